// A linked list of symbols and a heap of the merges that were possible when they were seen; one
// that no longer is, because a neighbour has merged meanwhile, is dropped when its turn comes.
#include "preprocess/text/bpe.h"

#include <queue>
#include <tuple>

namespace sinew::preprocess {

namespace {

constexpr int32_t kNone = -1;

struct Symbol {
  int32_t id;        // kNone once merged into the symbol on its left
  int32_t previous;  // index, or kNone
  int32_t next;      // index, or kNone
};

struct Candidate {
  int32_t rank;
  int32_t position;  // of the left symbol
  int32_t left;      // ids at the time
  int32_t right;
  int32_t merged;
};

struct LaterFirst {
  bool operator()(const Candidate& a, const Candidate& b) const {
    return std::tie(a.rank, a.position) > std::tie(b.rank, b.position);
  }
};

class Merger {
 public:
  Merger(std::string_view piece, const std::array<int32_t, 256>& byte_ids, const MergeTable& merges)
      : merges_(merges) {
    symbols_.reserve(piece.size());
    const auto count = static_cast<int32_t>(piece.size());
    for (int32_t i = 0; i < count; ++i) {
      const auto byte = static_cast<unsigned char>(piece[static_cast<size_t>(i)]);
      symbols_.push_back({byte_ids[byte], i - 1, i + 1 < count ? i + 1 : kNone});
    }
    for (int32_t i = 0; i < count; ++i) {
      offer(i);
    }
  }

  void run() {
    while (!queue_.empty()) {
      const Candidate candidate = queue_.top();
      queue_.pop();
      if (still_holds(candidate)) {
        merge(candidate);
      }
    }
  }

  void append_to(std::vector<int32_t>& ids) const {
    for (const Symbol& symbol : symbols_) {
      if (symbol.id != kNone) {
        ids.push_back(symbol.id);
      }
    }
  }

 private:
  Symbol& at(int32_t position) { return symbols_[static_cast<size_t>(position)]; }

  // Queues the merge of the symbol at `position` with the one on its right, if there is one.
  void offer(int32_t position) {
    if (position == kNone || at(position).next == kNone) {
      return;
    }
    const int32_t left = at(position).id;
    const int32_t right = at(at(position).next).id;
    if (const Merge* found = merges_.find(left, right)) {
      queue_.push({found->rank, position, left, right, found->id});
    }
  }

  bool still_holds(const Candidate& candidate) {
    const Symbol& symbol = at(candidate.position);
    return symbol.id == candidate.left && symbol.next != kNone &&
           at(symbol.next).id == candidate.right;
  }

  void merge(const Candidate& candidate) {
    Symbol& left = at(candidate.position);
    Symbol& right = at(left.next);
    left.id = candidate.merged;
    left.next = right.next;
    right.id = kNone;
    if (left.next != kNone) {
      at(left.next).previous = candidate.position;
    }
    offer(left.previous);
    offer(candidate.position);
  }

  const MergeTable& merges_;
  std::vector<Symbol> symbols_;
  std::priority_queue<Candidate, std::vector<Candidate>, LaterFirst> queue_;
};

}  // namespace

void encode_piece(std::string_view piece, const std::array<int32_t, 256>& byte_ids,
                  const MergeTable& merges, std::vector<int32_t>& ids) {
  Merger merger(piece, byte_ids, merges);
  merger.run();
  merger.append_to(ids);
}

}  // namespace sinew::preprocess
