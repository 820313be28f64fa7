// Byte-pair merging of one piece of text: step 3 of spec/preprocessing.md section 4.4.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sinew::preprocess {

struct Merge {
  int32_t rank;  // line of merges.txt: the lowest is merged first
  int32_t id;    // of the merged token
};

// The merge of two neighbouring token ids, if there is one.
class MergeTable {
 public:
  // A pair given again takes the later rank, as in the original.
  void add(int32_t left, int32_t right, Merge merge) { merges_[key(left, right)] = merge; }

  // Null when the pair does not merge.
  const Merge* find(int32_t left, int32_t right) const {
    const auto found = merges_.find(key(left, right));
    return found == merges_.end() ? nullptr : &found->second;
  }

 private:
  static uint64_t key(int32_t left, int32_t right) {
    return (uint64_t{static_cast<uint32_t>(left)} << 32) | static_cast<uint32_t>(right);
  }

  std::unordered_map<uint64_t, Merge> merges_;
};

// Appends the ids of `piece` to `ids`: its bytes' tokens, merged lowest rank first and, within a
// rank, leftmost first. Time is n log n in the bytes, memory a small multiple of them.
// `byte_ids[b]` is the token of byte b. Precondition: fewer than 2^31 bytes.
void encode_piece(std::string_view piece, const std::array<int32_t, 256>& byte_ids,
                  const MergeTable& merges, std::vector<int32_t>& ids);

}  // namespace sinew::preprocess
