#include "ops/builder.h"

#include "base/check.h"

#include <algorithm>

namespace sinew::ops {

Value Builder::new_value(ValueInfo info) {
  plan_.values.push_back(std::move(info));
  return {static_cast<int32_t>(plan_.values.size()) - 1};
}

Value Builder::real_input(std::string_view name, const Shape& shape) {
  const Value v = new_value({.kind = ValueKind::kInput, .shape = shape, .name = std::string(name)});
  plan_.inputs.push_back(v);
  return v;
}

Value Builder::index_input(std::string_view name, const Shape& shape) {
  const Value v = new_value({.kind = ValueKind::kInput,
                             .is_index = true,
                             .shape = shape,
                             .dtype = DType::kI32,
                             .name = std::string(name)});
  plan_.inputs.push_back(v);
  return v;
}

Value Builder::frame_input(std::string_view name, const Shape& shape) {
  const Value v = new_value({.kind = ValueKind::kInput,
                             .is_frame = true,
                             .shape = shape,
                             .dtype = DType::kU8,
                             .name = std::string(name)});
  plan_.inputs.push_back(v);
  return v;
}

Value Builder::weight(std::string_view name, const Shape& shape) {
  for (size_t i = 0; i < plan_.values.size(); ++i) {
    const ValueInfo& info = plan_.values[i];
    if (info.kind == ValueKind::kWeight && info.name == name) {
      SINEW_CHECK(info.shape == shape);
      return {static_cast<int32_t>(i)};
    }
  }
  return new_value({.kind = ValueKind::kWeight, .shape = shape, .name = std::string(name)});
}

Value Builder::reshape(Value x, const Shape& shape) {
  const ValueInfo& source = plan_.info(x);
  SINEW_CHECK(source.shape.elements() == shape.elements());
  const bool is_alias = source.kind == ValueKind::kAlias;
  ValueInfo view{.kind = ValueKind::kAlias,
                 .is_index = source.is_index,
                 .is_once = source.is_once,
                 .shape = shape,
                 .dtype = source.dtype,
                 .alias_of = is_alias ? source.alias_of : x.id,
                 .alias_offset = is_alias ? source.alias_offset : 0};
  return new_value(std::move(view));
}

Value Builder::slice_rows(Value x, int64_t first, int64_t count) {
  const Shape whole = plan_.info(x).shape;
  SINEW_CHECK(whole.rank() >= 1 && first >= 0 && count >= 0 && first + count <= whole[0]);
  std::vector<int64_t> extents(whole.extents().begin(), whole.extents().end());
  extents[0] = count;
  const int64_t row = whole[0] == 0 ? 0 : whole.elements() / whole[0];
  const Value view = reshape(x, whole);
  ValueInfo& info = plan_.values[static_cast<size_t>(view.id)];
  info.shape = Shape(extents);
  info.alias_offset += first * row;
  return view;
}

Step& Builder::append_step(OpKind op, std::vector<Value> srcs, Attributes attributes, Here here) {
  plan_.steps.push_back({.op = op,
                         .srcs = std::move(srcs),
                         .dsts = {},
                         .attributes = attributes,
                         .is_once = in_once_,
                         .composite = composite_,
                         .stage = stage_,
                         .file = here.file_name(),
                         .line = here.line()});
  return plan_.steps.back();
}

Value Builder::step_result(const Shape& shape) {
  const Value v = new_value({.is_once = in_once_,
                             .shape = shape,
                             .producer = static_cast<int32_t>(plan_.steps.size()) - 1});
  plan_.steps.back().dsts.push_back(v);
  return v;
}

Value Builder::record(OpKind op, std::vector<Value> srcs, const Shape& result,
                      Attributes attributes, Here here) {
  append_step(op, std::move(srcs), attributes, here);
  return step_result(result);
}

Value Builder::unary(OpKind op, Value x, Here here) {
  return record(op, {x}, shape(x), {}, here);
}

Value Builder::broadcast(OpKind op, Value x, Value y, Here here) {
  const int64_t repeated = shape(y).elements();
  SINEW_CHECK(repeated > 0 && shape(x).elements() % repeated == 0);
  return record(op, {x, y}, shape(x), {}, here);
}

Value Builder::linear(Value x, Value w, Value b_optional, bool weights_in_out, Here here) {
  const Shape xs = shape(x);
  const Shape ws = shape(w);
  SINEW_CHECK(xs.rank() == 2 && ws.rank() == 2);
  const int64_t k = weights_in_out ? ws[0] : ws[1];
  const int64_t n = weights_in_out ? ws[1] : ws[0];
  SINEW_CHECK(xs[1] == k);
  SINEW_CHECK(!b_optional.valid() || shape(b_optional).elements() == n);
  return record(OpKind::kLinear, {x, w, b_optional}, {xs[0], n}, LinearAttributes{weights_in_out},
                here);
}

Value Builder::layer_norm(Value x, Value w_optional, Value b_optional, float epsilon, Here here) {
  SINEW_CHECK(shape(x).rank() == 2 && w_optional.valid() == b_optional.valid());
  SINEW_CHECK(!w_optional.valid() || shape(w_optional).elements() == shape(x)[1]);
  return record(OpKind::kLayerNorm, {x, w_optional, b_optional}, shape(x), NormAttributes{epsilon},
                here);
}

Value Builder::rms_norm(Value x, Value w, float epsilon, Here here) {
  SINEW_CHECK(shape(x).rank() == 2 && shape(w).elements() == shape(x)[1]);
  return record(OpKind::kRmsNorm, {x, w}, shape(x), NormAttributes{epsilon}, here);
}

Value Builder::add(Value x, Value y, Here here) {
  return broadcast(OpKind::kAdd, x, y, here);
}

Value Builder::mul(Value x, Value y, Here here) {
  return broadcast(OpKind::kMul, x, y, here);
}

Value Builder::modulate(Value x, Value scale, Value shift, Here here) {
  SINEW_CHECK(shape(x).rank() == 2 && shape(scale).elements() == shape(x)[1] &&
              shape(shift).elements() == shape(x)[1]);
  return record(OpKind::kModulate, {x, scale, shift}, shape(x), {}, here);
}

Value Builder::gelu_tanh(Value x, Here here) {
  return unary(OpKind::kGeluTanh, x, here);
}

Value Builder::gelu_erf(Value x, Here here) {
  return unary(OpKind::kGeluErf, x, here);
}

Value Builder::silu(Value x, Here here) {
  return unary(OpKind::kSilu, x, here);
}

Value Builder::relu(Value x, Here here) {
  return unary(OpKind::kRelu, x, here);
}

Value Builder::attention(Value q, Value k, Value v, const AttentionAttributes& a, Here here) {
  const Shape qs = shape(q);
  const Shape ks = shape(k);
  SINEW_CHECK(qs.rank() == 2 && ks.rank() == 2 && shape(v) == ks);
  SINEW_CHECK(a.heads > 0 && a.kv_heads > 0 && a.heads % a.kv_heads == 0 && a.segments > 0);
  SINEW_CHECK(qs[1] % a.heads == 0 && ks[1] == qs[1] / a.heads * a.kv_heads);
  SINEW_CHECK(qs[0] % a.segments == 0 && ks[0] % a.segments == 0);
  SINEW_CHECK(!a.is_causal || qs[0] == ks[0]);
  return record(OpKind::kAttention, {q, k, v}, qs, a, here);
}

Value Builder::rope(Value x, Value cos, Value sin, int64_t heads, Here here) {
  const Shape xs = shape(x);
  SINEW_CHECK(xs.rank() == 2 && xs[1] % (2 * heads) == 0);
  SINEW_CHECK(shape(cos) == shape(sin) && shape(cos) == (Shape{xs[0], xs[1] / (2 * heads)}));
  return record(OpKind::kRope, {x, cos, sin}, xs, RopeAttributes{heads}, here);
}

Value Builder::embed(Value table, Value ids, Here here) {
  SINEW_CHECK(shape(table).rank() == 2 && plan_.info(ids).is_index);
  return record(OpKind::kEmbed, {table, ids}, {shape(ids).elements(), shape(table)[1]}, {}, here);
}

Value Builder::gather_rows(Value x, Value rows, Here here) {
  SINEW_CHECK(shape(x).rank() == 2 && plan_.info(rows).is_index);
  return record(OpKind::kGatherRows, {x, rows}, {shape(rows).elements(), shape(x)[1]}, {}, here);
}

Value Builder::scatter_rows(Value x, Value rows, Value y, Here here) {
  SINEW_CHECK(shape(x).rank() == 2 && plan_.info(rows).is_index);
  SINEW_CHECK(shape(y) == (Shape{shape(rows).elements(), shape(x)[1]}));
  return record(OpKind::kScatterRows, {x, rows, y}, shape(x), {}, here);
}

Value Builder::concat_rows(Value x, Value y, Here here) {
  const Shape xs = shape(x);
  const Shape ys = shape(y);
  SINEW_CHECK(xs.rank() == 2 && ys.rank() == 2 && xs[1] == ys[1]);
  return record(OpKind::kConcatRows, {x, y}, {xs[0] + ys[0], xs[1]}, {}, here);
}

Value Builder::normalize_frames(Value frames, Here here) {
  const Shape s = shape(frames);
  SINEW_CHECK(plan_.info(frames).is_frame && s.rank() == 4 && s[3] == 3);
  return record(OpKind::kNormalizeFrames, {frames}, {s[0], s[3], s[1], s[2]}, {}, here);
}

Value Builder::patchify(Value pixels, int64_t patch, Here here) {
  const Shape s = shape(pixels);
  SINEW_CHECK(s.rank() == 4 && patch > 0 && s[2] % patch == 0 && s[3] % patch == 0);
  const GridAttributes grid{.rows = s[2] / patch, .columns = s[3] / patch, .patch = patch};
  return record(OpKind::kPatchify, {pixels},
                {s[0] * grid.rows * grid.columns, s[1] * patch * patch}, grid, here);
}

Value Builder::pixel_shuffle(Value x, int64_t rows, int64_t columns, Here here) {
  const Shape s = shape(x);
  SINEW_CHECK(s.rank() == 2 && rows % 2 == 0 && columns % 2 == 0 && s[0] % (rows * columns) == 0);
  const GridAttributes grid{.rows = rows, .columns = columns};
  return record(OpKind::kPixelShuffle, {x}, {s[0] / 4, s[1] * 4}, grid, here);
}

Value Builder::euler_step(Value x, Value velocity, float dt, Here here) {
  SINEW_CHECK(shape(x) == shape(velocity));
  return record(OpKind::kEulerStep, {x, velocity}, shape(x), EulerAttributes{dt}, here);
}

Value Builder::time_sinusoid(const SinusoidAttributes& attributes, Here here) {
  SINEW_CHECK(attributes.half > 1);
  return record(OpKind::kTimeSinusoid, {}, {1, 2 * attributes.half}, attributes, here);
}

std::pair<Value, Value> Builder::rope_table(const RopeTableAttributes& a, Here here) {
  SINEW_CHECK(a.head_dim > 0 && a.head_dim % 2 == 0 && a.positions > 0);
  const Value cos = record(OpKind::kRopeTable, {}, {a.positions, a.head_dim / 2}, a, here);
  return {cos, step_result({a.positions, a.head_dim / 2})};
}

Value Builder::resize_positions(Value table, int64_t rows, int64_t columns, Here here) {
  const Shape s = shape(table);
  SINEW_CHECK(s.rank() == 2 && rows > 0 && columns > 0);
  int64_t side = 0;
  while (side * side < s[0]) {
    ++side;
  }
  SINEW_CHECK(side * side == s[0]);
  const GridAttributes grid{.rows = rows, .columns = columns, .patch = side};
  return record(OpKind::kResizePositions, {table}, {rows * columns, s[1]}, grid, here);
}

int32_t Builder::stage_index(std::string_view name) {
  const auto found = std::find(plan_.stages.begin(), plan_.stages.end(), name);
  if (found == plan_.stages.end()) {
    plan_.stages.emplace_back(name);
    return static_cast<int32_t>(plan_.stages.size()) - 1;
  }
  return static_cast<int32_t>(found - plan_.stages.begin());
}

int32_t Builder::begin_composite(std::string_view name, int version, std::vector<Value> operands) {
  plan_.composites.push_back({.name = std::string(name),
                              .version = version,
                              .first_step = static_cast<int32_t>(plan_.steps.size()),
                              .parent = composite_,
                              .operands = std::move(operands),
                              .results = {}});
  composite_ = static_cast<int32_t>(plan_.composites.size()) - 1;
  return composite_;
}

void Builder::end_composite(int32_t call, std::vector<Value> results) {
  CompositeCall& composite = plan_.composites[static_cast<size_t>(call)];
  composite.end_step = static_cast<int32_t>(plan_.steps.size());
  composite.results = std::move(results);
  composite_ = composite.parent;
}

void Builder::site(std::string name, Value value) {
  plan_.sites.push_back({std::move(name), value});
}

Plan Builder::take() {
  Plan plan = std::move(plan_);
  plan_ = {};
  return plan;
}

}  // namespace sinew::ops
