#include "model/blocks/fused_linear.h"

#include "base/check.h"

namespace sinew::model {

ops::Value linear_activation(ops::Builder& b, const LinearActivation& a) {
  return b.composite(a, [&] {
    const ops::Value y = b.linear(a.x, a.w, a.b, a.weights_in_out);
    switch (a.activation) {
      case Activation::kGeluTanh:
        return b.gelu_tanh(y);
      case Activation::kGeluErf:
        return b.gelu_erf(y);
      case Activation::kRelu:
        return b.relu(y);
    }
    SINEW_CHECK(false && "an activation");
    return y;
  });
}

ops::Value linear_residual(ops::Builder& b, const LinearResidual& a) {
  return b.composite(a, [&] { return b.add(b.linear(a.x, a.w, a.b), a.residual); });
}

ops::Value swiglu(ops::Builder& b, const SwiGlu& a) {
  return b.composite(a, [&] {
    const ops::Value gate = b.silu(b.linear(a.x, a.gate_w, {}));
    return b.mul(gate, b.linear(a.x, a.up_w, {}));
  });
}

}  // namespace sinew::model
