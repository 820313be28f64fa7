// Records a forward pass into a Plan. Model code calls these as if they computed; shapes are
// checked at once, and a mistake in the model is a SINEW_CHECK, because everything a file can get
// wrong was refused before recording.
#pragma once

#include "ops/plan.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace sinew::ops {

// The line of model code that records a step. Not std::source_location: clang 14 cannot compile the
// one of g++ 12's library.
class Here {
 public:
  static constexpr Here current(const char* file_name = __builtin_FILE(),
                                uint32_t line = __builtin_LINE()) {
    return {file_name, line};
  }

  constexpr const char* file_name() const { return file_name_; }

  constexpr uint32_t line() const { return line_; }

 private:
  constexpr Here(const char* file_name, uint32_t line) : file_name_(file_name), line_(line) {}

  const char* file_name_;
  uint32_t line_;
};

class Builder {
 public:
  // Values from outside. Weights are named as in the checkpoint; recording the same name twice
  // gives one value.
  Value real_input(std::string_view name, const Shape& shape);
  Value index_input(std::string_view name, const Shape& shape);
  Value frame_input(std::string_view name, const Shape& shape);
  Value weight(std::string_view name, const Shape& shape);

  // Views: no step, no copy.
  Value reshape(Value x, const Shape& shape);
  // Rows [first, first + count) of axis 0; a count of 1 along axis 0 of rank > 1 keeps the axis.
  Value slice_rows(Value x, int64_t first, int64_t count);

  // The vocabulary (op.h has the formulas). An invalid Value{} stands for "absent" where marked
  // optional.
  Value linear(Value x, Value w, Value b_optional, bool weights_in_out = false,
               Here here = Here::current());
  Value layer_norm(Value x, Value w_optional, Value b_optional, float epsilon,
                   Here here = Here::current());
  Value rms_norm(Value x, Value w, float epsilon, Here here = Here::current());
  Value add(Value x, Value y, Here here = Here::current());
  Value mul(Value x, Value y, Here here = Here::current());
  Value modulate(Value x, Value scale, Value shift, Here here = Here::current());
  Value gelu_tanh(Value x, Here here = Here::current());
  Value gelu_erf(Value x, Here here = Here::current());
  Value silu(Value x, Here here = Here::current());
  Value relu(Value x, Here here = Here::current());
  Value attention(Value q, Value k, Value v, const AttentionAttributes& attributes,
                  Here here = Here::current());
  Value rope(Value x, Value cos, Value sin, int64_t heads, Here here = Here::current());
  Value embed(Value table, Value ids, Here here = Here::current());
  Value gather_rows(Value x, Value rows, Here here = Here::current());
  Value scatter_rows(Value x, Value rows, Value y, Here here = Here::current());
  Value concat_rows(Value x, Value y, Here here = Here::current());
  Value normalize_frames(Value frames, Here here = Here::current());
  Value patchify(Value pixels, int64_t patch, Here here = Here::current());
  Value pixel_shuffle(Value x, int64_t rows, int64_t columns, Here here = Here::current());
  Value euler_step(Value x, Value velocity, float dt, Here here = Here::current());
  Value time_sinusoid(const SinusoidAttributes& attributes, Here here = Here::current());
  std::pair<Value, Value> rope_table(const RopeTableAttributes& attributes,
                                     Here here = Here::current());
  Value resize_positions(Value table, int64_t rows, int64_t columns, Here here = Here::current());

  // Steps recorded by `body` depend on weights alone; they run at load and their results are kept.
  template <class Body>
  auto once(Body&& body) {
    const bool outer = in_once_;
    in_once_ = true;
    auto result = std::forward<Body>(body)();
    in_once_ = outer;
    return result;
  }

  // Steps recorded by `body` belong to a stage of the profile.
  template <class Body>
  auto stage(std::string_view name, Body&& body) {
    const int32_t outer = stage_;
    stage_ = stage_index(name);
    auto result = std::forward<Body>(body)();
    stage_ = outer;
    return result;
  }

  // Records `body` as the definition of the contract that `arguments` (a struct of model/blocks
  // with kName, kVersion and operands()) describes. Returns what the body returns: a Value, or a
  // vector of them.
  template <class Arguments, class Body>
  auto composite(const Arguments& arguments, Body&& body) {
    const int32_t call =
        begin_composite(Arguments::kName, Arguments::kVersion, arguments.operands());
    auto result = std::forward<Body>(body)();
    if constexpr (std::is_same_v<decltype(result), Value>) {
      end_composite(call, {result});
    } else {
      end_composite(call, result);
    }
    return result;
  }

  // Names a value as a dump site (spec/model.md section 11).
  void site(std::string name, Value value);

  void output(Value value) { plan_.outputs.push_back(value); }

  const Shape& shape(Value v) const { return plan_.info(v).shape; }

  // Hands the recording over; the builder is empty afterwards.
  Plan take();

 private:
  Value new_value(ValueInfo info);
  Value record(OpKind op, std::vector<Value> srcs, const Shape& result, Attributes attributes,
               Here here);
  Value unary(OpKind op, Value x, Here here);
  Value broadcast(OpKind op, Value x, Value y, Here here);
  Step& append_step(OpKind op, std::vector<Value> srcs, Attributes attributes, Here here);
  Value step_result(const Shape& shape);
  int32_t stage_index(std::string_view name);
  int32_t begin_composite(std::string_view name, int version, std::vector<Value> operands);
  void end_composite(int32_t call, std::vector<Value> results);

  Plan plan_;
  bool in_once_ = false;
  int32_t stage_ = -1;
  int32_t composite_ = -1;
};

}  // namespace sinew::ops
