// What kernels keep, while it is planned: no GPU is needed.
#include "engine/cuda/kept_memory.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace sinew::cuda {
namespace {

TEST(ProgramMemory, EqualNamesKeysAndSizesAreOnePart) {
  ProgramMemory memory;
  const KeptMemory::Part first = memory.part("vectors", 1, 100);
  const KeptMemory::Part again = memory.part("vectors", 1, 100);
  EXPECT_TRUE(first.is_new);
  EXPECT_FALSE(again.is_new);
  EXPECT_EQ(first.data, again.data);
  EXPECT_EQ(memory.bytes(), 256U);
  for (const KeptMemory::Part& other :
       {memory.part("vectors", 2, 100), memory.part("exchange", 1, 100),
        memory.part("vectors", 1, 200)}) {
    EXPECT_TRUE(other.is_new);
    EXPECT_NE(other.data, first.data);
  }
  EXPECT_EQ(memory.bytes(), 4 * 256U);
}

TEST(ProgramMemory, PartsAreAlignedAndApart) {
  ProgramMemory memory;
  const auto address = [&](int64_t key, size_t bytes) {
    return reinterpret_cast<uintptr_t>(memory.part("part", key, bytes).data);
  };
  const uintptr_t small = address(1, 1);
  const uintptr_t large = address(2, 257);
  const uintptr_t last = address(3, 1);
  EXPECT_EQ(small % 256, 0U);
  EXPECT_EQ(large - small, 256U);
  EXPECT_EQ(last - large, 512U);
}

}  // namespace
}  // namespace sinew::cuda
