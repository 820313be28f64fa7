// How sinew reports what the outside world did wrong: a Status, or a Result<T> that holds a value
// or a Status. No sinew function lets an exception escape; programmer mistakes abort in SINEW_CHECK
// (base/check.h). Design: docs/adr/0003-result-type.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace sinew {

// What kind of failure. Each code maps to one CLI exit code (cli/exit_code.h) and one wire error.
enum class Code : uint8_t {
  kOk,
  kUsage,        // the caller asked for something contradictory or unknown; exit 2
  kBadInput,     // a checkpoint, dataset, observation or message is malformed; exit 3
  kNotFound,     // a file, tensor, key or episode that the input should have is not there; exit 3
  kUnsupported,  // understood, but this build, device or checkpoint cannot do it; exit 4
  kDevice,       // the device failed or is missing; exit 4
  kOutOfMemory,  // exit 1
  kThreshold,    // a limit that the caller set was not met; exit 5
  kInternal,     // anything else that went wrong at run time; exit 1
};

// Short lower-case name of a code ("bad_input"), for logs and wire errors.
const char* code_name(Code code);

// Success, or a code with a message. One pointer in size; success allocates nothing.
// A message says what was wrong, where, what was expected, what was found and what to do.
class [[nodiscard]] Status {
 public:
  Status() = default;  // ok
  Status(Code code, std::string message);

  bool ok() const { return error_ == nullptr; }

  Code code() const { return error_ == nullptr ? Code::kOk : error_->code; }

  // The contexts, outermost first, then the message, joined by ": ". Empty when ok.
  const std::string& message() const;

  // Puts what was being done in front of the message: status.with("while loading shard 2 of 5").
  Status&& with(const std::string& context) &&;

 private:
  struct Error {
    Code code;
    std::string message;
  };

  std::unique_ptr<Error> error_;
};

// A value of T, or the Status that says why there is none. value() on a failed Result aborts.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT(google-explicit-constructor)

  Result(Status status) : status_(std::move(status)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return value_.has_value(); }

  const Status& status() const& { return status_; }

  Status&& status() && { return std::move(status_); }

  // Precondition: ok(). (std::optional::value throws otherwise, which no caller may rely on.)
  T& value() & { return *value_; }

  const T& value() const& { return *value_; }

  T&& value() && { return std::move(*value_); }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace sinew

#define SINEW_CONCAT_INNER(a, b) a##b
#define SINEW_CONCAT(a, b) SINEW_CONCAT_INNER(a, b)

// Evaluates an expression of type Status and returns it from the enclosing function on failure.
#define SINEW_TRY(expr)                                              \
  do {                                                               \
    if (::sinew::Status sinew_status = (expr); !sinew_status.ok()) { \
      return sinew_status;                                           \
    }                                                                \
  } while (false)

// SINEW_ASSIGN(auto x, f()): moves the value of a Result out, or returns its Status.
#define SINEW_ASSIGN(lhs, expr) SINEW_ASSIGN_INNER(SINEW_CONCAT(sinew_result_, __LINE__), lhs, expr)
// NOLINTBEGIN(bugprone-macro-parentheses): names and declarations cannot be put in parentheses
#define SINEW_ASSIGN_INNER(temporary, lhs, expr) \
  auto temporary = (expr);                       \
  if (!(temporary).ok()) {                       \
    return std::move(temporary).status();        \
  }                                              \
  lhs = std::move(temporary).value()
// NOLINTEND(bugprone-macro-parentheses)
