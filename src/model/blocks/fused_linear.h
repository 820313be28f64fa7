// A linear layer together with the elementwise operation that follows it: the borders at which any
// backend can finish a product while its sums are still at hand. The definitions are the ops one
// after the other.
#pragma once

#include "ops/builder.h"

#include <string_view>
#include <vector>

namespace sinew::model {

enum class Activation { kGeluTanh, kGeluErf, kRelu };

// activation(x W^T + b), or of x W + b if weights_in_out
struct LinearActivation {
  static constexpr std::string_view kName = "linear_activation";
  static constexpr int kVersion = 1;

  ops::Value x;     // [t, d]
  ops::Value w, b;  // [f, d], [f]
  Activation activation = Activation::kGeluTanh;
  bool weights_in_out = false;  // w is [d, f]

  std::vector<ops::Value> operands() const { return {x, w, b}; }
};

// x W^T + b + residual; b may be absent
struct LinearResidual {
  static constexpr std::string_view kName = "linear_residual";
  static constexpr int kVersion = 1;

  ops::Value x;         // [t, f]
  ops::Value w, b;      // [d, f], [d]
  ops::Value residual;  // [t, d]

  std::vector<ops::Value> operands() const { return {x, w, b, residual}; }
};

// silu(x Wg^T) * (x Wu^T)
struct SwiGlu {
  static constexpr std::string_view kName = "swiglu";
  static constexpr int kVersion = 1;

  ops::Value x;             // [t, d]
  ops::Value gate_w, up_w;  // [f, d]

  std::vector<ops::Value> operands() const { return {x, gate_w, up_w}; }
};

ops::Value linear_activation(ops::Builder& b, const LinearActivation& a);  // -> [t, f]
ops::Value linear_residual(ops::Builder& b, const LinearResidual& a);      // -> [t, d]
ops::Value swiglu(ops::Builder& b, const SwiGlu& a);                       // -> [t, f]

}  // namespace sinew::model
