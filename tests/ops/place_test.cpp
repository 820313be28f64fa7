#include "ops/builder.h"
#include "ops/passes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <span>
#include <string_view>
#include <vector>

namespace sinew::ops {
namespace {

constexpr std::array<LeafRow, 4> kLeaves = {{{OpKind::kRelu, "relu", nullptr},
                                             {OpKind::kAdd, "add", nullptr},
                                             {OpKind::kConcatRows, "concat", nullptr},
                                             {OpKind::kSilu, "silu", nullptr}}};

// relu(x) + silu(x) row by row, with two values and a view of its own.
struct Sum {
  static constexpr std::string_view kName = "sum";
  static constexpr int kVersion = 1;
  Value x;

  std::vector<Value> operands() const { return {x}; }
};

Value sum(Builder& b, Value x) {
  return b.composite(Sum{x}, [&] {
    const Value own = b.relu(x);
    return b.add(b.silu(x), b.slice_rows(own, 0, b.shape(x)[0]));
  });
}

constexpr std::array<CompositeRow, 1> kWhole = {{{"sum", 1, "sum", nullptr}}};

size_t bytes(const Plan& plan, Value v) {
  return static_cast<size_t>(plan.info(v).shape.elements()) * 4;
}

size_t offset(const Plan& plan, Value v) {
  return plan.placements[static_cast<size_t>(v.id)].offset_bytes;
}

// A random chain of steps over values of random heights, some of them kept to the end.
Plan random_plan(std::mt19937& random, std::vector<Value>& kept) {
  Builder b;
  std::vector<Value> values{b.real_input("x", {3, 16})};
  const auto pick = [&] { return values[random() % values.size()]; };
  for (int i = 0; i < 40; ++i) {
    const Value x = pick();
    switch (random() % 5) {
      case 0:
        values.push_back(b.relu(x));
        break;
      case 1:
        values.push_back(b.add(x, b.slice_rows(x, 0, 1)));
        break;
      case 2:
        values.push_back(b.shape(x)[0] > 200 ? b.relu(x) : b.concat_rows(x, pick()));
        break;
      case 3:
        values.push_back(sum(b, x));
        break;
      default:
        values.push_back(b.slice_rows(x, b.shape(x)[0] / 2, b.shape(x)[0] - b.shape(x)[0] / 2));
        break;
    }
    if (random() % 8 == 0) {
      b.site("site" + std::to_string(i), values.back());
      kept.push_back(values.back());
    }
  }
  b.output(b.relu(values.back()));
  return b.take();
}

// Whether `value` belongs to a composite that `call` runs whole.
bool is_inner(const Plan& plan, const Call& call, Value value) {
  const Value root = plan.root(value);
  const int32_t producer = plan.info(root).producer;
  return call.composite >= 0 && producer >= call.first_step && producer < call.end_step &&
         root != plan.composites[static_cast<size_t>(call.composite)].results[0];
}

// Which value each byte of the arena belongs to while the calls are replayed.
class Replay {
 public:
  explicit Replay(const Plan& plan) : plan_(plan), owner_(plan.arena_bytes, -1) {}

  // A value must still own its bytes whenever it is read, and at the end if it is kept.
  void run(const std::vector<Value>& kept) {
    for (const Value v : plan_.inputs) {
      write(v);
    }
    for (const Call& call : plan_.calls) {
      // A kernel reads all of its sources before, while and after it writes: no result may lie on
      // a source.
      for_values(call, &Step::srcs, [&](Value v) { expect_owned(v); });
      for_values(call, &Step::dsts, [&](Value v) { write(v); });
      for_values(call, &Step::srcs, [&](Value v) { expect_owned(v); });
    }
    for (const Value v : plan_.outputs) {
      expect_owned(v);
    }
    for (const Value v : kept) {
      expect_owned(v);
    }
  }

 private:
  template <class Visit>
  void for_values(const Call& call, std::vector<Value> Step::*values, const Visit& visit) {
    for (int32_t s = call.first_step; s < call.end_step; ++s) {
      for (const Value v : plan_.steps[static_cast<size_t>(s)].*values) {
        if (is_inner(plan_, call, v)) {
          EXPECT_EQ(plan_.placements[static_cast<size_t>(plan_.root(v).id)].region, Region::kNone);
        } else {
          visit(v);
        }
      }
    }
  }

  void write(Value v) {
    ASSERT_LE(offset(plan_, v) + bytes(plan_, v), plan_.arena_bytes);
    std::fill_n(owner_.begin() + static_cast<std::ptrdiff_t>(offset(plan_, v)), bytes(plan_, v),
                v.id);
  }

  void expect_owned(Value v) {
    const Value root = plan_.root(v);
    ASSERT_EQ(plan_.placements[static_cast<size_t>(root.id)].region, Region::kArena);
    for (size_t i = 0; i < bytes(plan_, root); ++i) {
      ASSERT_EQ(owner_[offset(plan_, root) + i], root.id);
    }
  }

  const Plan& plan_;
  std::vector<int32_t> owner_;
};

TEST(Place, NoLiveValueIsOverwritten) {
  for (const bool whole : {false, true}) {
    std::mt19937 random(7);
    size_t composites = 0;
    for (int round = 0; round < 200; ++round) {
      std::vector<Value> kept;
      Plan plan = random_plan(random, kept);
      fold_once(plan);
      const auto rows =
          whole ? std::span<const CompositeRow>(kWhole) : std::span<const CompositeRow>();
      ASSERT_TRUE(select(plan, kLeaves, rows).ok());
      place(plan, /*keep_sites=*/true);
      composites += static_cast<size_t>(
          std::ranges::count_if(plan.calls, [](const Call& call) { return call.composite >= 0; }));
      Replay(plan).run(kept);
      ASSERT_FALSE(HasFailure()) << "round " << round << ", composites run whole: " << whole;
    }
    EXPECT_EQ(composites > 0, whole);
  }
}

// Run whole, a composite needs room for what goes in and comes out; step by step, for all of it.
TEST(Place, GivesValuesInsideAWholeCompositeNoMemory) {
  Builder b;
  const Value x = b.real_input("x", {64, 16});
  b.output(sum(b, x));
  Plan plan = b.take();
  const size_t one = bytes(plan, x);
  ASSERT_TRUE(select(plan, kLeaves, kWhole).ok());
  place(plan, /*keep_sites=*/false);
  EXPECT_EQ(plan.arena_bytes, 2 * one);
  ASSERT_TRUE(select(plan, kLeaves, {}).ok());
  place(plan, /*keep_sites=*/false);
  EXPECT_EQ(plan.arena_bytes, 4 * one);
}

TEST(Place, ReusesMemoryOfDeadValues) {
  Builder b;
  Value x = b.real_input("x", {64, 16});
  for (int i = 0; i < 100; ++i) {
    x = b.relu(x);
  }
  b.output(x);
  Plan plan = b.take();
  ASSERT_TRUE(select(plan, kLeaves, {}).ok());
  place(plan, /*keep_sites=*/false);
  EXPECT_LE(plan.arena_bytes, 4U * 64 * 16 * 4);
}

TEST(Place, AlignsAndKeepsConstantsApart) {
  Builder b;
  const Value x = b.real_input("x", {1, 3});
  const Value constant = b.once([&] { return b.silu(b.weight("w", {1, 3})); });
  const Value y = b.add(x, constant);
  b.output(y);
  Plan plan = b.take();
  fold_once(plan);
  ASSERT_TRUE(select(plan, kLeaves, {}).ok());
  place(plan, false);
  EXPECT_EQ(plan.placements[static_cast<size_t>(constant.id)].region, Region::kConstants);
  EXPECT_EQ(plan.placements[static_cast<size_t>(y.id)].region, Region::kArena);
  EXPECT_EQ(offset(plan, y) % 64, 0U);
  EXPECT_EQ(plan.constant_bytes, 64U);
}

}  // namespace
}  // namespace sinew::ops
