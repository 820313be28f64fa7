#include "kernels_cpu/support.h"

#include "base/float16.h"
#include "tensor/convert.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>

namespace sinew::cpu::test {
namespace {

constexpr size_t kGuardBytes = 64;
constexpr std::byte kGuard{0xA5};
constexpr std::byte kUnwritten{0xFF};  // a NaN in f32: whatever is read before it is written shows

float stored(float value, DType dtype) {
  switch (dtype) {
    case DType::kBf16:
      return to_float(to_bf16(value));
    case DType::kF16:
      return to_float(to_f16(value));
    default:
      return value;
  }
}

void store(float value, DType dtype, std::byte* to) {
  if (dtype == DType::kBf16) {
    const Bf16 narrow = to_bf16(value);
    std::memcpy(to, &narrow, sizeof(narrow));
  } else if (dtype == DType::kF16) {
    const F16 narrow = to_f16(value);
    std::memcpy(to, &narrow, sizeof(narrow));
  } else if (dtype == DType::kU8) {
    *to = static_cast<std::byte>(value);
  } else {
    std::memcpy(to, &value, sizeof(value));
  }
}

}  // namespace

std::vector<double> Source::effective() const {
  std::vector<double> out;
  for (const float value : values) {
    const float x = stored(value, dtype);
    out.push_back(static_cast<double>(is_weight ? to_float(to_bf16(x)) : x));
  }
  return out;
}

std::vector<float> Random::normals(int64_t count, float scale) {
  std::normal_distribution<float> normal(0.0F, scale);
  std::vector<float> out(static_cast<size_t>(count));
  std::generate(out.begin(), out.end(), [&] { return normal(engine_); });
  return out;
}

Source Random::activations(const Shape& shape, float scale, DType dtype) {
  return {.shape = shape,
          .values = normals(shape.elements(), scale),
          .indices = {},
          .is_weight = false,
          .dtype = dtype};
}

Source Random::weights(const Shape& shape, DType dtype, float scale) {
  return {.shape = shape,
          .values = normals(shape.elements(), scale),
          .indices = {},
          .is_weight = true,
          .dtype = dtype};
}

Source Random::indices(int64_t count, int64_t limit) {
  std::uniform_int_distribution<int32_t> uniform(0, static_cast<int32_t>(limit - 1));
  Source out{.shape = {count}, .values = {}, .indices = {}};
  for (int64_t i = 0; i < count; ++i) {
    out.indices.push_back(uniform(engine_));
  }
  return out;
}

PlannedStep planned_step(const Case& c) {
  PlannedStep planned;
  ops::Plan& plan = planned.plan;
  ops::Step& step = planned.step;
  plan.product_dtype = c.product_dtype;
  step.op = c.op;
  step.attributes = c.attributes;
  const auto add = [&](std::vector<ops::Value>& to, const ops::ValueInfo& info) {
    to.push_back({static_cast<int32_t>(plan.values.size())});
    plan.values.push_back(info);
  };
  for (const Source& source : c.srcs) {
    if (source.values.empty() && source.indices.empty()) {
      step.srcs.emplace_back();
      continue;
    }
    add(step.srcs, {.kind = source.is_weight ? ops::ValueKind::kWeight : ops::ValueKind::kInput,
                    .is_index = !source.indices.empty(),
                    .is_frame = source.dtype == DType::kU8,
                    .shape = source.shape,
                    .dtype = source.dtype});
  }
  for (const Shape& shape : c.dst_shapes) {
    add(step.dsts, {.shape = shape, .dtype = c.dst_dtype});
  }
  return planned;
}

const CpuRow* find_row(const Case& c) {
  const PlannedStep planned = planned_step(c);
  for (const CpuRow& row : cpu_rows()) {
    if (row.row.op == c.op && !row.row.refuse(planned.plan, planned.step)) {
      return &row;
    }
  }
  return nullptr;
}

Bound::Guarded::Guarded(size_t size) : bytes(size) {
  Result<Buffer> made = Buffer::allocate(bytes + 2 * kGuardBytes);
  EXPECT_TRUE(made.ok());
  buffer = std::move(made).value();
  std::fill_n(buffer.data(), buffer.size_bytes(), kGuard);
  std::fill_n(data(), bytes, kUnwritten);
}

std::byte* Bound::Guarded::data() {
  return buffer.data() + kGuardBytes;
}

bool Bound::Guarded::intact() const {
  const auto is_guard = [](std::byte b) { return b == kGuard; };
  const std::byte* end = buffer.data() + kGuardBytes + bytes;
  return std::all_of(buffer.data(), buffer.data() + kGuardBytes, is_guard) &&
         std::all_of(end, end + kGuardBytes, is_guard);
}

Bound::Bound(const Case& c, int threads) : row_(find_row(c)), pool_(threads) {
  step_.op = c.op;
  step_.product_dtype = c.product_dtype;
  step_.threads = threads;
  step_.attributes = c.attributes;
  for (const Source& source : c.srcs) {
    step_.src_is_weight.push_back(source.is_weight);
    if (source.values.empty() && source.indices.empty()) {
      step_.srcs.emplace_back(nullptr, DType::kF32, source.shape);
      continue;
    }
    const bool is_index = !source.indices.empty();
    const DType dtype = is_index ? DType::kI32 : source.dtype;
    const size_t size = dtype_bytes(dtype);
    const size_t misalignment = source.is_weight ? 1 : 0;
    const size_t count = is_index ? source.indices.size() : source.values.size();
    std::byte* data = sources_.emplace_back(count * size + misalignment).data() + misalignment;
    if (is_index) {
      std::memcpy(data, source.indices.data(), count * size);
    } else {
      for (size_t i = 0; i < count; ++i) {
        store(source.values[i], dtype, data + i * size);
      }
    }
    step_.srcs.emplace_back(data, dtype, source.shape);
  }
  for (const Shape& shape : c.dst_shapes) {
    const auto bytes = static_cast<size_t>(shape.elements()) * dtype_bytes(c.dst_dtype);
    step_.dsts.push_back({results_.emplace_back(bytes).data(), c.dst_dtype, shape});
  }
}

void Bound::make() {
  ASSERT_NE(row_, nullptr);
  auto made = row_->make(step_, weights_);
  ASSERT_TRUE(made.ok()) << made.status().message();
  kernel_ = std::move(made).value();
  workspace_ = std::make_unique<Guarded>(kernel_->workspace_bytes());
}

void Bound::run() {
  kernel_->run({.workspace = workspace_->data(), .pool = pool_});
}

std::vector<float> Bound::result(size_t index) const {
  const TensorView& view = step_.dsts[index];
  std::vector<float> values(static_cast<size_t>(view.shape.elements()));
  convert_to_f32(view, values);
  return values;
}

bool Bound::guards_intact() const {
  const auto intact = [](const Guarded& g) { return g.intact(); };
  return std::all_of(results_.begin(), results_.end(), intact) &&
         std::all_of(sources_.begin(), sources_.end(), intact) && workspace_->intact();
}

bool same_bits(std::span<const float> a, std::span<const float> b) {
  const auto equal = [](float x, float y) {
    return std::bit_cast<uint32_t>(x) == std::bit_cast<uint32_t>(y);
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), equal);
}

std::vector<std::vector<float>> run_case(const Case& c, int threads) {
  Bound bound(c, threads);
  bound.make();
  bound.run();
  std::vector<std::vector<float>> out;
  for (size_t i = 0; i < c.dst_shapes.size(); ++i) {
    out.push_back(bound.result(i));
  }
  return out;
}

const std::vector<Case>& all_cases() {
  static const std::vector<Case> cases_of_all = [] {
    std::vector<Case> out;
    for (const auto& cases : {linear_cases(), norm_cases(), elementwise_cases(), attention_cases(),
                              row_cases(), vision_cases(), table_cases()}) {
      out.insert(out.end(), cases.begin(), cases.end());
    }
    return out;
  }();
  return cases_of_all;
}

}  // namespace sinew::cpu::test
