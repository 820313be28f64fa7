// linear: cuBLASLt, with the bias in its epilogue; where it has no kernel for a shape, a plain one
// of ours.
#include "base/check.h"
#include "kernels/cuda/blas_lt.h"
#include "kernels/cuda/leaf/launch.h"
#include "kernels/cuda/leaf/make.h"

#include <algorithm>
#include <bit>

namespace sinew::cuda {
namespace {

constexpr uint32_t kAlignment = 256;

size_t aligned(size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// The largest power of two up to 256 that divides an address.
uint32_t alignment_of(const void* address) {
  const auto bits = static_cast<uint64_t>(reinterpret_cast<uintptr_t>(address));
  return bits == 0 ? kAlignment : 1U << std::min(std::countr_zero(bits), 8);
}

struct LinearOperands {
  RealSource x;  // as it is stored
  RealSource w;
  RealSource bias;  // absent where it is added afterwards
  RealSource late_bias;
  RealResult y;
  ProductShape shape;
  size_t copied_bytes =
      0;  // of x in the products' type, at the front of the workspace; 0: as it is
};

Result<LinearOperands> linear_operands(const BoundStep& step, const MakeContext& context) {
  SINEW_CHECK(step.src_is_weight[1]);  // products of two activations are `attention`
  LinearOperands o;
  const DType product = step.product_dtype;
  SINEW_ASSIGN(o.x, real_source(step, 0, context, product));
  SINEW_ASSIGN(o.w, real_source(step, 1, context, product));
  o.y = real_result(step);
  const bool has_parameter_bias = step.srcs[2].data != nullptr && step.src_is_weight[2];
  SINEW_ASSIGN(const RealSource bias,
               real_source(step, 2, context, has_parameter_bias ? step.dsts[0].dtype : product));
  (has_parameter_bias ? o.bias : o.late_bias) = bias;
  o.shape.rows = row_count(step.srcs[0].shape);
  o.shape.inputs = row_length(step.srcs[0].shape);
  o.shape.weights_in_out = std::get<ops::LinearAttributes>(step.attributes).weights_in_out;
  SINEW_CHECK(o.shape.inputs > 0 && step.srcs[1].shape.elements() % o.shape.inputs == 0);
  o.shape.outputs = step.srcs[1].shape.elements() / o.shape.inputs;
  SINEW_CHECK(o.shape.rows * o.shape.outputs == step.dsts[0].shape.elements());
  if (o.x.is_bf16 != (product == DType::kBf16)) {
    o.copied_bytes =
        aligned(static_cast<size_t>(o.shape.rows * o.shape.inputs) * dtype_bytes(product));
  }
  return o;
}

// x in the type that products read, and the scratch that is left.
struct ProductInput {
  RealSource x;
  std::byte* workspace = nullptr;
};

Result<ProductInput> product_input(const LinearOperands& o, Stream stream, std::byte* workspace) {
  if (o.copied_bytes == 0) {
    return ProductInput{o.x, workspace};
  }
  const RealResult copy{.data = workspace, .is_bf16 = !o.x.is_bf16};
  SINEW_TRY(launch_convert(o.x, copy, o.shape.rows * o.shape.inputs, stream));
  return ProductInput{{.data = copy.data, .is_bf16 = copy.is_bf16}, workspace + o.copied_bytes};
}

Status add_late_bias(const LinearOperands& o, Stream stream) {
  if (o.late_bias.data == nullptr) {
    return {};
  }
  const RealSource sums{.data = o.y.data, .is_bf16 = o.y.is_bf16};
  return launch_broadcast(ops::OpKind::kAdd, sums, o.late_bias, {}, o.y,
                          o.shape.rows * o.shape.outputs, o.shape.outputs, stream);
}

}  // namespace

MadeKernel make_linear(const BoundStep& step, const MakeContext& context) {
  if (step.dsts[0].shape.elements() == 0) {
    return made_kernel([](Stream, std::byte*) { return Status(); });
  }
  SINEW_ASSIGN(const LinearOperands o, linear_operands(step, context));
  const Product product{.rows = o.shape.rows,
                        .outputs = o.shape.outputs,
                        .inputs = o.shape.inputs,
                        .weights_in_out = o.shape.weights_in_out,
                        .has_bias = o.bias.data != nullptr,
                        .operands = step.product_dtype,
                        .result = step.dsts[0].dtype,
                        .x_alignment = o.copied_bytes > 0 ? kAlignment : alignment_of(o.x.data),
                        .w_alignment = alignment_of(o.w.data),
                        .y_alignment = alignment_of(o.y.data)};
  SINEW_ASSIGN(const BlasLt::Plan* const plan, context.blas.plan(product));
  // For rows of an odd number of bf16 the library stores the product as bf16 before it adds the
  // bias: two roundings, seen with 13.1.
  const bool rounds_twice =
      product.has_bias && product.result == DType::kBf16 && product.inputs % 2 != 0;
  if (plan == nullptr || rounds_twice) {
    return made_kernel(
        [o](Stream stream, std::byte* workspace) -> Status {
          SINEW_ASSIGN(const ProductInput input, product_input(o, stream, workspace));
          SINEW_TRY(launch_plain_linear(input.x, o.w, o.bias, o.y, o.shape, stream));
          return add_late_bias(o, stream);
        },
        o.copied_bytes);
  }
  return made_kernel(
      [o, plan, &blas = context.blas](Stream stream, std::byte* workspace) -> Status {
        SINEW_ASSIGN(const ProductInput input, product_input(o, stream, workspace));
        SINEW_TRY(blas.run(*plan, input.x.data, o.w.data, o.bias.data, o.y.data, input.workspace,
                           stream));
        return add_late_bias(o, stream);
      },
      o.copied_bytes + BlasLt::workspace_bytes(*plan));
}

}  // namespace sinew::cuda
