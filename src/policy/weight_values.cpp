#include "policy/weight_values.h"

#include "base/check.h"
#include "base/error.h"
#include "policy/name_list.h"
#include "tensor/dtype.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace sinew::policy {
namespace {

// A block is copied to an aligned buffer that stays in the first-level cache, the last one filled
// up with zeros, then reduced without branches: a loop of fixed length that compilers vectorise at
// -O2.
constexpr int64_t kBlock = 4096;

// An IEEE number is NaN or infinite when all bits of its exponent are set.
template <class Bits>
std::optional<int64_t> find_exponent(const std::byte* data, int64_t count, Bits exponent) {
  alignas(64) std::array<Bits, kBlock> block{};
  for (int64_t start = 0; start < count; start += kBlock) {
    const int64_t size = std::min(kBlock, count - start);
    std::memcpy(block.data(), data + static_cast<size_t>(start) * sizeof(Bits),
                static_cast<size_t>(size) * sizeof(Bits));
    std::fill(block.begin() + size, block.end(), Bits{0});
    Bits found = 0;
    for (const Bits bits : block) {
      found = static_cast<Bits>(found | ((bits & exponent) == exponent ? 1 : 0));
    }
    if (found != 0) {
      const auto bad = std::find_if(block.begin(), block.begin() + size, [exponent](Bits bits) {
        return (bits & exponent) == exponent;
      });
      return start + (bad - block.begin());
    }
  }
  return std::nullopt;
}

// Elements [first, end) of a weight.
using Range = std::pair<int64_t, int64_t>;

// What the steps of `plan` read of each weight; a slice is read as a slice.
std::map<int32_t, std::vector<Range>> ranges_read(const ops::Plan& plan) {
  std::map<int32_t, std::vector<Range>> ranges;
  for (const ops::Step& step : plan.steps) {
    for (size_t i = 0; i < step.srcs.size(); ++i) {
      const ops::Value src = step.srcs[i];
      const bool is_table = step.op == ops::OpKind::kEmbed && i == 0;
      if (!src.valid() || is_table || plan.info(plan.root(src)).kind != ops::ValueKind::kWeight) {
        continue;
      }
      const ops::ValueInfo& info = plan.info(src);
      const int64_t first = info.kind == ops::ValueKind::kAlias ? info.alias_offset : 0;
      const Range range{first, first + info.shape.elements()};
      std::vector<Range>& known = ranges[plan.root(src).id];
      if (std::find(known.begin(), known.end(), range) == known.end()) {
        known.push_back(range);
      }
    }
  }
  return ranges;
}

}  // namespace

std::optional<int64_t> find_non_finite(const ConstTensorView& view) {
  const auto* const data = static_cast<const std::byte*>(view.data);
  const int64_t count = view.shape.elements();
  switch (view.dtype) {
    case DType::kF32:
      return find_exponent<uint32_t>(data, count, 0x7f800000U);
    case DType::kBf16:
      return find_exponent<uint16_t>(data, count, 0x7f80U);
    case DType::kF16:
      return find_exponent<uint16_t>(data, count, 0x7c00U);
    default:
      SINEW_CHECK(false);  // check_weights refuses other types
  }
  return std::nullopt;
}

Status check_weight_values(const ops::Plan& plan, const io::Checkpoint& checkpoint) {
  std::vector<std::string> bad;
  for (const auto& [id, ranges] : ranges_read(plan)) {
    const std::string& name = plan.values[static_cast<size_t>(id)].name;
    const io::TensorEntry* const tensor = checkpoint.find(name);
    SINEW_CHECK(tensor != nullptr);  // see check_weights
    const ConstTensorView& view = tensor->view;
    for (const auto& [first, end] : ranges) {
      const auto* const data = static_cast<const std::byte*>(view.data) +
                               static_cast<size_t>(first) * dtype_bytes(view.dtype);
      if (const auto at = find_non_finite({data, view.dtype, {end - first}})) {
        bad.push_back(fmt::format("{} {}: element {}", name, view.shape.text(), first + *at));
        break;
      }
    }
  }
  if (bad.empty()) {
    return {};
  }
  return bad_input(
      "{}: expected finite weights, found NaN or infinity in {} tensors that the network reads:{}\n"
      "Did the training diverge, or was the checkpoint cast to a type that cannot hold it? Take an "
      "earlier checkpoint, or download this one again",
      checkpoint.path().string(), bad.size(), list_of(bad));
}

}  // namespace sinew::policy
