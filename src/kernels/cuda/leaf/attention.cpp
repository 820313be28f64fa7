#include "base/check.h"
#include "kernels/cuda/leaf/launch.h"
#include "kernels/cuda/leaf/make.h"

namespace sinew::cuda {

MadeKernel make_attention(const BoundStep& step, const MakeContext& context) {
  AttentionShape shape;
  shape.attributes = std::get<ops::AttentionAttributes>(step.attributes);
  const auto& a = shape.attributes;
  const int64_t queries = row_count(step.srcs[0].shape);
  const int64_t keys = row_count(step.srcs[1].shape);
  SINEW_CHECK(a.heads > 0 && a.kv_heads > 0 && a.segments > 0 && a.heads % a.kv_heads == 0);
  SINEW_CHECK(queries % a.segments == 0 && keys % a.segments == 0 && keys > 0);
  SINEW_CHECK(!a.is_causal || queries == keys);
  shape.queries = queries / a.segments;
  shape.keys = keys / a.segments;
  shape.head_dim = row_length(step.srcs[0].shape) / a.heads;
  SINEW_CHECK(row_length(step.srcs[1].shape) == a.kv_heads * shape.head_dim);
  SINEW_CHECK(shape.head_dim > 0 && shape.head_dim <= kMaxHeadDim);  // the table refuses others
  shape.rounds_operands = step.product_dtype == DType::kBf16;
  SINEW_ASSIGN(const RealSource q, real_source(step, 0, context));
  SINEW_ASSIGN(const RealSource k, real_source(step, 1, context));
  SINEW_ASSIGN(const RealSource v, real_source(step, 2, context));
  SINEW_TRY(prepare_attention(shape));
  return made_kernel([q, k, v, y = real_result(step), shape](Stream stream, std::byte*) {
    return launch_attention(q, k, v, y, shape, stream);
  });
}

}  // namespace sinew::cuda
