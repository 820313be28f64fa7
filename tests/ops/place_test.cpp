#include "ops/builder.h"
#include "ops/passes.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

namespace sinew::ops {
namespace {

constexpr std::array<LeafRow, 4> kLeaves = {{{OpKind::kRelu, "relu", nullptr},
                                             {OpKind::kAdd, "add", nullptr},
                                             {OpKind::kConcatRows, "concat", nullptr},
                                             {OpKind::kSilu, "silu", nullptr}}};

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
    switch (random() % 4) {
      case 0:
        values.push_back(b.relu(x));
        break;
      case 1:
        values.push_back(b.add(x, b.slice_rows(x, 0, 1)));
        break;
      case 2:
        values.push_back(b.shape(x)[0] > 200 ? b.relu(x) : b.concat_rows(x, pick()));
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

// Replays the calls on a byte map: a value must still own its bytes whenever it is read, and at the
// end if it is kept.
TEST(Place, NoLiveValueIsOverwritten) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<Value> kept;
    Plan plan = random_plan(random, kept);
    fold_once(plan);
    ASSERT_TRUE(select(plan, kLeaves, {}).ok());
    place(plan, /*keep_sites=*/true);
    std::vector<int32_t> owner(plan.arena_bytes, -1);
    const auto write = [&](Value v) {
      ASSERT_LE(offset(plan, v) + bytes(plan, v), plan.arena_bytes);
      std::fill_n(owner.begin() + static_cast<std::ptrdiff_t>(offset(plan, v)), bytes(plan, v),
                  v.id);
    };
    const auto expect_owned = [&](Value v) {
      const Value root = plan.root(v);
      for (size_t i = 0; i < bytes(plan, root); ++i) {
        ASSERT_EQ(owner[offset(plan, root) + i], root.id);
      }
    };
    for (const Value v : plan.inputs) {
      write(v);
    }
    for (const Call& call : plan.calls) {
      const Step& step = plan.steps[static_cast<size_t>(call.first_step)];
      for (const Value v : step.srcs) {
        expect_owned(v);
      }
      for (const Value v : step.dsts) {
        write(v);
      }
      for (const Value v : step.srcs) {
        expect_owned(v);  // a result never lies on a source of its own step
      }
    }
    for (const Value v : plan.outputs) {
      expect_owned(v);
    }
    for (const Value v : kept) {
      expect_owned(v);
    }
  }
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
