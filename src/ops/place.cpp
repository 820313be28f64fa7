// Pass 4: liveness and offsets.
#include "base/check.h"
#include "ops/passes.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <vector>

namespace sinew::ops {
namespace {

constexpr size_t kAlignmentBytes = 64;
constexpr int32_t kForever = std::numeric_limits<int32_t>::max();

size_t padded_bytes(const ValueInfo& info) {
  const size_t bytes = static_cast<size_t>(info.shape.elements()) * dtype_bytes(info.dtype);
  return (std::max<size_t>(bytes, 1) + kAlignmentBytes - 1) / kAlignmentBytes * kAlignmentBytes;
}

// The calls during which a value must keep its memory: from its writer to its last reader, both
// included.
struct Lifetime {
  int32_t value = -1;
  int32_t first = kForever;
  int32_t last = -1;
  size_t bytes = 0;
  size_t offset = 0;

  bool overlaps_in_time(const Lifetime& other) const {
    return first <= other.last && other.first <= last;
  }

  bool overlaps_in_memory(const Lifetime& other) const {
    return offset < other.offset + other.bytes && other.offset < offset + bytes;
  }
};

// Whether a composite that is run whole keeps the value to itself: it needs no memory.
bool is_inner(const Plan& plan, const Call& call, Value value) {
  if (call.composite < 0) {
    return false;
  }
  const Value root = plan.root(value);
  const int32_t producer = plan.info(root).producer;
  if (producer < call.first_step || producer >= call.end_step) {
    return false;
  }
  const auto& results = plan.composites[static_cast<size_t>(call.composite)].results;
  return std::none_of(results.begin(), results.end(),
                      [&](Value result) { return plan.root(result) == root; });
}

std::vector<Lifetime> lifetimes(const Plan& plan, bool keep_sites) {
  std::vector<Lifetime> lives(plan.values.size());
  for (size_t i = 0; i < lives.size(); ++i) {
    lives[i].value = static_cast<int32_t>(i);
    lives[i].bytes = padded_bytes(plan.values[i]);
  }
  const auto touch = [&](Value v, int32_t time) {
    if (v.valid()) {
      Lifetime& life = lives[static_cast<size_t>(plan.root(v).id)];
      life.first = std::min(life.first, time);
      life.last = std::max(life.last, time);
    }
  };
  for (size_t c = 0; c < plan.calls.size(); ++c) {
    const Call& call = plan.calls[c];
    for (int32_t s = call.first_step; s < call.end_step; ++s) {
      const Step& step = plan.steps[static_cast<size_t>(s)];
      for (const auto* values : {&step.srcs, &step.dsts}) {
        for (const Value v : *values) {
          if (v.valid() && !is_inner(plan, call, v)) {
            touch(v, static_cast<int32_t>(c));
          }
        }
      }
    }
  }
  const auto whole_run = [&](Value v) {
    touch(v, -1);
    touch(v, kForever);
  };
  std::for_each(plan.inputs.begin(), plan.inputs.end(), whole_run);
  for (const Value v : plan.outputs) {
    touch(v, kForever);
  }
  if (keep_sites) {
    for (const Site& site : plan.sites) {
      touch(site.value, kForever);
    }
  }
  return lives;
}

// First fit, larger values first: the lowest offset at which no value that lives at the same time
// lies.
size_t assign_offsets(std::vector<Lifetime>& lives) {
  std::stable_sort(lives.begin(), lives.end(),
                   [](const Lifetime& a, const Lifetime& b) { return a.bytes > b.bytes; });
  std::vector<const Lifetime*> neighbours;
  size_t total = 0;
  for (size_t i = 0; i < lives.size(); ++i) {
    Lifetime& life = lives[i];
    neighbours.clear();
    for (size_t j = 0; j < i; ++j) {
      if (lives[j].overlaps_in_time(life)) {
        neighbours.push_back(&lives[j]);
      }
    }
    std::sort(neighbours.begin(), neighbours.end(),
              [](const Lifetime* a, const Lifetime* b) { return a->offset < b->offset; });
    for (const Lifetime* placed : neighbours) {
      if (life.overlaps_in_memory(*placed)) {
        life.offset = placed->offset + placed->bytes;
      }
    }
    total = std::max(total, life.offset + life.bytes);
  }
  return total;
}

}  // namespace

void place(Plan& plan, bool keep_sites) {
  plan.placements.assign(plan.values.size(), {});
  std::vector<Lifetime> arena;
  plan.constant_bytes = 0;
  for (Lifetime& life : lifetimes(plan, keep_sites)) {
    const auto i = static_cast<size_t>(life.value);
    const ValueInfo& info = plan.values[i];
    if (info.kind == ValueKind::kWeight || info.kind == ValueKind::kAlias) {
      continue;
    }
    if (info.is_once) {
      plan.placements[i] = {Region::kConstants, plan.constant_bytes};
      plan.constant_bytes += life.bytes;
    } else if (life.last >= 0) {
      arena.push_back(life);
    }
  }
  plan.arena_bytes = assign_offsets(arena);
  for (const Lifetime& life : arena) {
    plan.placements[static_cast<size_t>(life.value)] = {Region::kArena, life.offset};
  }
  for (size_t i = 0; i < arena.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      SINEW_CHECK(!(arena[i].overlaps_in_time(arena[j]) && arena[i].overlaps_in_memory(arena[j])));
    }
  }
}

}  // namespace sinew::ops
