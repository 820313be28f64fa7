// y = x W^T + b or x W + b: the products that take nearly all the time of a policy.
#include "base/check.h"
#include "kernels/cpu/dnnl.h"
#include "kernels/cpu/make.h"

#include <utility>

namespace sinew::cpu {
namespace {

class Linear final : public Kernel {
 public:
  explicit Linear(std::unique_ptr<Matmul> product) : product_(std::move(product)) {}

  size_t workspace_bytes() const override {
    return product_ == nullptr ? 0 : product_->workspace_bytes();
  }

  void run(std::byte* workspace) override {
    if (product_ != nullptr) {
      product_->run(workspace);
    }
  }

 private:
  std::unique_ptr<Matmul> product_;  // nullptr: no rows
};

}  // namespace

MadeKernel make_linear(const BoundStep& step, WeightCache& weights) {
  const ConstTensorView& x = step.srcs[0];
  const ConstTensorView& w = step.srcs[1];
  SINEW_CHECK(step.src_is_weight[1]);  // products of two activations are `attention`
  const bool weights_in_out = std::get<ops::LinearAttributes>(step.attributes).weights_in_out;
  const int64_t inputs = row_length(x.shape);
  const int64_t rows = row_count(x.shape);
  if (step.dsts[0].shape.elements() == 0) {
    return std::unique_ptr<Kernel>(std::make_unique<Linear>(nullptr));
  }
  SINEW_ASSIGN(const float* source, real_source(step, 0, weights));
  SINEW_ASSIGN(const float* bias, real_source(step, 2, weights));
  SINEW_ASSIGN(const PackedMatrix* matrix, weights.packed(w, weights_in_out, inputs, rows));
  SINEW_CHECK(rows * matrix->outputs() == step.dsts[0].shape.elements());
  SINEW_ASSIGN(auto product, Matmul::make(*matrix, rows, source, bias, real_result(step)));
  return std::unique_ptr<Kernel>(std::make_unique<Linear>(std::move(product)));
}

}  // namespace sinew::cpu
