// Ops that move or rotate rows: exact copies but for rope.
#include "kernels_cpu/support.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace sinew::cpu::test {
namespace {

// A case whose result is a selection of source elements, to the bit.
Case exact_case(std::string name, ops::OpKind op, std::vector<Source> srcs, const Shape& dst,
                std::vector<double> expected) {
  Case c;
  c.name = std::move(name);
  c.op = op;
  c.srcs = std::move(srcs);
  c.dst_shapes = {dst};
  c.bound = {std::vector<double>(expected.size(), 0.0)};
  c.expected = {std::move(expected)};
  return c;
}

void append_row(const std::vector<double>& from, int64_t row, int64_t d, std::vector<double>* to) {
  to->insert(to->end(), from.begin() + row * d, from.begin() + (row + 1) * d);
}

Case select_case(ops::OpKind op, const Source& table, const Source& rows) {
  const int64_t d = table.shape[1];
  std::vector<double> expected;
  for (const int32_t row : rows.indices) {
    append_row(table.effective(), row, d, &expected);
  }
  return exact_case(fmt::format("{} {} from {} {}", ops::op_name(op), rows.shape.text(),
                                table.shape.text(), dtype_name(table.dtype)),
                    op, {table, rows}, {rows.shape[0], d}, expected);
}

Case scatter_case(int64_t m, int64_t d, uint32_t seed) {
  Random random(seed);
  const Source x = random.activations({m, d});
  Source rows{.shape = {(m + 1) / 2}, .values = {}, .indices = {}};
  for (int64_t row = 0; row < m; row += 2) {
    rows.indices.push_back(static_cast<int32_t>(row));
  }
  std::reverse(rows.indices.begin(), rows.indices.end());
  const Source y = random.activations({rows.shape[0], d});
  std::vector<double> expected = x.effective();
  const std::vector<double> replacements = y.effective();
  for (int64_t i = 0; i < rows.shape[0]; ++i) {
    std::copy_n(replacements.begin() + i * d, d,
                expected.begin() + rows.indices[static_cast<size_t>(i)] * d);
  }
  return exact_case(fmt::format("scatter_rows m={} d={}", m, d), ops::OpKind::kScatterRows,
                    {x, rows, y}, {m, d}, expected);
}

Case concat_case(int64_t m, int64_t n, int64_t d, uint32_t seed) {
  Random random(seed);
  const Source x = random.activations({m, d});
  const Source y = random.weights({n, d}, DType::kBf16);
  std::vector<double> expected = x.effective();
  const std::vector<double> second = y.effective();
  expected.insert(expected.end(), second.begin(), second.end());
  return exact_case(fmt::format("concat_rows {}+{} d={}", m, n, d), ops::OpKind::kConcatRows,
                    {x, y}, {m + n, d}, expected);
}

Case rope_case(int64_t tokens, int64_t heads, int64_t head_dim, uint32_t seed) {
  Random random(seed);
  const int64_t half = head_dim / 2;
  Case c;
  c.name = fmt::format("rope t={} heads={} e={}", tokens, heads, head_dim);
  c.op = ops::OpKind::kRope;
  c.attributes = ops::RopeAttributes{heads};
  c.srcs = {random.activations({tokens, heads * head_dim}), random.activations({tokens, half}),
            random.activations({tokens, half})};
  c.dst_shapes = {{tokens, heads * head_dim}};
  const auto x = c.srcs[0].effective();
  const auto cos = c.srcs[1].effective();
  const auto sin = c.srcs[2].effective();
  c.expected.emplace_back();
  c.bound.emplace_back();
  for (int64_t i = 0; i < tokens * heads * head_dim; ++i) {
    const int64_t k = i % head_dim % half;
    const bool is_first = i % head_dim < half;
    const auto table = static_cast<size_t>(i / (heads * head_dim) * half + k);
    const double own = x[static_cast<size_t>(i)] * cos[table];
    const double other = x[static_cast<size_t>(is_first ? i + half : i - half)] * sin[table];
    c.expected[0].push_back(is_first ? own - other : own + other);
    c.bound[0].push_back(2 * kRoundoff * (std::abs(own) + std::abs(other)));
  }
  return c;
}

}  // namespace

std::vector<Case> row_cases() {
  std::vector<Case> out;
  uint32_t seed = 500;
  Random random(seed++);
  for (const DType dtype : {DType::kBf16, DType::kF16, DType::kF32}) {
    for (const int64_t count : {1, 7, 81}) {
      out.push_back(select_case(ops::OpKind::kEmbed, random.weights({33, 17}, dtype),
                                random.indices(count, 33)));
    }
  }
  for (const int64_t count : {1, 2, 17, 257}) {
    out.push_back(select_case(ops::OpKind::kGatherRows, random.activations({19, 7}),
                              random.indices(count, 19)));
    out.push_back(scatter_case(count, 17, seed++));
    out.push_back(concat_case(1, count, 9, seed++));
    out.push_back(rope_case(count, 3, 8, seed++));
  }
  // An activation is copied as it is, never rounded like a parameter.
  out.push_back(select_case(ops::OpKind::kEmbed, random.activations({5, 9}), random.indices(7, 5)));
  out.push_back(rope_case(17, 2, 128, seed++));
  out.push_back(rope_case(257, 2, 128, seed++));
  return out;
}

}  // namespace sinew::cpu::test
