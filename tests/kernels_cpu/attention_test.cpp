#include "kernels_cpu/support.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>

namespace sinew::cpu::test {
namespace {

struct AttentionShape {
  int64_t queries = 0;  // of all segments
  int64_t keys = 0;     // of all segments
  int64_t head_dim = 0;
  ops::AttentionAttributes attributes;
  DType dtype = DType::kF32;   // of queries, keys and values
  DType result = DType::kF32;  // of the result
};

struct Reference {
  const Case& c;
  const AttentionShape& s;
  std::vector<double> q = c.srcs[0].effective();
  std::vector<double> k = c.srcs[1].effective();
  std::vector<double> v = c.srcs[2].effective();

  // One query of one head: the result for all channels, with its error bound.
  void run(int64_t query, int64_t head, double* expected, double* bound) const {
    const ops::AttentionAttributes& a = s.attributes;
    const int64_t segment = query / (s.queries / a.segments);
    const int64_t keys = s.keys / a.segments;
    const int64_t first = segment * keys;
    const int64_t visible = a.is_causal ? query % (s.queries / a.segments) + 1 : keys;
    const int64_t kv_head = head / (a.heads / a.kv_heads);
    const auto kv = [&](int64_t key, int64_t channel) {
      return static_cast<size_t>(((first + key) * a.kv_heads + kv_head) * s.head_dim + channel);
    };
    std::vector<double> scores;
    double magnitude = 0;  // of the terms of the largest score
    for (int64_t key = 0; key < visible; ++key) {
      double score = 0;
      double terms = 0;
      for (int64_t i = 0; i < s.head_dim; ++i) {
        const double term =
            q[static_cast<size_t>((query * a.heads + head) * s.head_dim + i)] * k[kv(key, i)];
        score += term;
        terms += std::abs(term);
      }
      scores.push_back(score * static_cast<double>(a.scale));
      magnitude = std::max(magnitude, terms * static_cast<double>(a.scale));
    }
    const double maximum = *std::max_element(scores.begin(), scores.end());
    double total = 0;
    for (double& score : scores) {
      score = std::exp(score - maximum);
      total += score;
    }
    for (int64_t i = 0; i < s.head_dim; ++i) {
      double sum = 0;
      double terms = 0;
      for (int64_t key = 0; key < visible; ++key) {
        const double term = scores[static_cast<size_t>(key)] / total * v[kv(key, i)];
        sum += term;
        terms += std::abs(term);
      }
      expected[i] = sum;
      // An error of a score is a relative error of its weight; then a sum and a quotient. Roundings
      // that are independent in sign add up to the square root of their number.
      const double score_error = (2 + std::sqrt(static_cast<double>(s.head_dim))) * magnitude;
      const double sum_error = 8 + std::sqrt(static_cast<double>(visible));
      bound[i] = kRoundoff * terms * (score_error + sum_error);
      if (s.dtype == DType::kBf16) {  // weights are operands of the second product
        bound[i] += kBf16Roundoff * terms;
      }
      if (s.result == DType::kBf16) {
        bound[i] += kBf16Roundoff * (std::abs(sum) + bound[i]);
      }
    }
  }
};

Case attention_case(const AttentionShape& s, uint32_t seed, float spread = 1.0F) {
  Random random(seed);
  const ops::AttentionAttributes& a = s.attributes;
  Case c;
  c.name = fmt::format("attention t={} s={} e={} heads={}/{} causal={} segments={} {} -> {}",
                       s.queries, s.keys, s.head_dim, a.heads, a.kv_heads, a.is_causal, a.segments,
                       dtype_name(s.dtype), dtype_name(s.result));
  c.op = ops::OpKind::kAttention;
  c.attributes = a;
  c.srcs.push_back(random.activations({s.queries, a.heads * s.head_dim}, spread, s.dtype));
  c.srcs.push_back(random.activations({s.keys, a.kv_heads * s.head_dim}, 1.0F, s.dtype));
  c.srcs.push_back(random.activations({s.keys, a.kv_heads * s.head_dim}, 1.0F, s.dtype));
  c.dst_dtype = s.result;
  c.product_dtype = s.dtype;
  c.dst_shapes = {{s.queries, a.heads * s.head_dim}};
  const auto elements = static_cast<size_t>(c.dst_shapes[0].elements());
  c.expected.emplace_back(elements);
  c.bound.emplace_back(elements);
  const Reference reference{c, s};
  for (int64_t query = 0; query < s.queries; ++query) {
    for (int64_t head = 0; head < a.heads; ++head) {
      const auto at = static_cast<size_t>((query * a.heads + head) * s.head_dim);
      reference.run(query, head, &c.expected[0][at], &c.bound[0][at]);
    }
  }
  return c;
}

ops::AttentionAttributes heads(int64_t heads, int64_t kv_heads, bool is_causal = false,
                               int64_t segments = 1) {
  return {.heads = heads,
          .kv_heads = kv_heads,
          .scale = 0.125F,
          .is_causal = is_causal,
          .segments = segments};
}

// Queries around the 32 of a block, key counts around panels of 16 and depth steps of 32, head
// dimensions that fill neither.
void add_bf16_cases(std::vector<Case>& out) {
  uint32_t seed = 500;
  const auto add = [&](int64_t queries, int64_t keys, int64_t head_dim,
                       const ops::AttentionAttributes& attributes, float spread = 1.0F) {
    const DType result = seed % 2 == 0 ? DType::kF32 : DType::kBf16;
    out.push_back(attention_case({queries, keys, head_dim, attributes, DType::kBf16, result},
                                 seed++, spread));
  };
  for (int64_t keys = 1; keys <= 80; ++keys) {
    add(keys % 7 + 1, keys, 24, heads(2, 1));
    add(keys, keys, 24, heads(2, 1, true));
  }
  for (const int64_t head_dim : {2, 16, 24, 48, 72, 128}) {
    for (const int64_t n : {1, 2, 15, 16, 17, 31, 32, 33, 65, 80, 257}) {
      add(n, n, head_dim, heads(2, 2));
      add(n, n, head_dim, heads(4, 2, true));
      add(17, n, head_dim, heads(3, 3));
    }
    add(120, 99, head_dim, heads(2, 2, false, 3));
    add(10, 66, head_dim, heads(4, 1, false, 2));
    add(76, 76, head_dim, heads(4, 2, true, 2));
  }
  // Scores in the hundreds: the weights are nearly one-hot, the maximum must be subtracted.
  add(17, 50, 64, heads(2, 2), 300.0F);
}

}  // namespace

std::vector<Case> attention_cases() {
  std::vector<Case> out;
  uint32_t seed = 400;
  for (const int64_t n : {1, 2, 7, 17, 81, 257}) {
    out.push_back(attention_case({n, n, 8, heads(2, 2)}, seed++));
    out.push_back(attention_case({n, n, 16, heads(4, 2, true)}, seed++));
    out.push_back(attention_case({17, n, 48, heads(3, 3)}, seed++));
  }
  out.push_back(attention_case({60, 60, 72, heads(2, 2, false, 3)}, seed++));
  out.push_back(attention_case({10, 66, 24, heads(2, 1, false, 2)}, seed++));
  out.push_back(attention_case({38, 38, 5, heads(4, 1, true, 2)}, seed++));
  out.push_back(attention_case({40, 40, 128, heads(4, 2, true)}, seed++));
  // Scores in the hundreds: the weights are nearly one-hot, the maximum must be subtracted.
  out.push_back(attention_case({17, 50, 64, heads(2, 2)}, seed++, 300.0F));
  add_bf16_cases(out);
  return out;
}

namespace {

class AttentionTest : public testing::TestWithParam<DType> {};

INSTANTIATE_TEST_SUITE_P(Types, AttentionTest, testing::Values(DType::kF32, DType::kBf16),
                         [](const auto& parameter) {
                           return std::string(dtype_name(parameter.param));
                         });

TEST_P(AttentionTest, CausalQueriesIgnoreLaterKeys) {
  Case c = attention_case({19, 19, 16, heads(2, 1, true), GetParam()}, 1);
  const std::vector<float> before = run_case(c)[0];
  for (const size_t source : {size_t{1}, size_t{2}}) {
    std::span<float> values(c.srcs[source].values);
    std::ranges::fill(values.subspan(size_t{11} * 16), 1e5F);
  }
  const std::vector<float> after = run_case(c)[0];
  const size_t first = size_t{11} * 32;
  EXPECT_TRUE(same_bits(std::span(before).first(first), std::span(after).first(first)));
  EXPECT_NE(before[first], after[first]);
}

TEST_P(AttentionTest, SegmentsAreSeparate) {
  Case c = attention_case({20, 20, 8, heads(2, 2, false, 2), GetParam()}, 2);
  const std::vector<float> before = run_case(c)[0];
  c.srcs[1].values[160] += 1.0F;  // first key of the second segment
  const std::vector<float> after = run_case(c)[0];
  EXPECT_TRUE(same_bits(std::span(before).first(160), std::span(after).first(160)));
  EXPECT_NE(before[160], after[160]);
}

}  // namespace
}  // namespace sinew::cpu::test
