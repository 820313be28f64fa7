#include "sinew/result.h"

namespace sinew {

const char* code_name(Code code) {
  switch (code) {
    case Code::kOk:
      return "ok";
    case Code::kUsage:
      return "usage";
    case Code::kBadInput:
      return "bad_input";
    case Code::kNotFound:
      return "not_found";
    case Code::kUnsupported:
      return "unsupported";
    case Code::kDevice:
      return "device";
    case Code::kOutOfMemory:
      return "out_of_memory";
    case Code::kThreshold:
      return "threshold";
    case Code::kInternal:
      return "internal";
  }
  return "internal";
}

Status::Status(Code code, std::string message)
    : error_(std::make_unique<Error>(Error{code, std::move(message)})) {}

const std::string& Status::message() const {
  static const std::string empty;
  return error_ == nullptr ? empty : error_->message;
}

Status&& Status::with(const std::string& context) && {
  if (error_ != nullptr) {
    error_->message = context + ": " + error_->message;
  }
  return std::move(*this);
}

}  // namespace sinew
