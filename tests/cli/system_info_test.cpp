#include "cli/system_info.h"

#include <gtest/gtest.h>

namespace sinew::cli {
namespace {

TEST(CpuInfo, CountsProcessorsAndReadsFlags) {
  const CpuInfo info = parse_cpuinfo(
      "processor\t: 0\nmodel name\t: Some CPU\nphysical id\t: 0\ncore id\t: 0\nflags\t: avx2 "
      "fma\n\n"
      "processor\t: 1\nmodel name\t: Some CPU\nphysical id\t: 0\ncore id\t: 0\nflags\t: avx2 "
      "fma\n\n"
      "processor\t: 2\nmodel name\t: Some CPU\nphysical id\t: 1\ncore id\t: 0\nflags\t: avx2 "
      "fma\n");
  EXPECT_EQ(info.model, "Some CPU");
  EXPECT_EQ(info.logical_cores, 3);
  EXPECT_TRUE(info.has("avx2"));
  EXPECT_FALSE(info.has("avx"));
}

TEST(CpuInfo, SurvivesWhatItDoesNotKnow) {
  EXPECT_EQ(parse_cpuinfo("").logical_cores, 0);
  EXPECT_EQ(parse_cpuinfo("no colon\n:\n").logical_cores, 0);
  const CpuInfo arm = parse_cpuinfo("processor : 0\nFeatures : asimd bf16\n");
  EXPECT_EQ(arm.logical_cores, 1);
  EXPECT_TRUE(arm.has("asimd"));
}

TEST(MemoryInfo, ReadsKibibytes) {
  const MemoryInfo info = parse_meminfo("MemTotal:  16 kB\nMemFree: 3 kB\nMemAvailable: 8 kB\n");
  EXPECT_EQ(info.total_bytes, 16U * 1024);
  EXPECT_EQ(info.available_bytes, 8U * 1024);
  EXPECT_EQ(parse_meminfo("MemTotal: much\n").total_bytes, 0U);
}

TEST(Libraries, AreFoundLoadedWithTheirVersions) {
  EXPECT_EQ(split_library_name("libavcodec.so.59.37.100"),
            (std::pair<std::string, std::string>("libavcodec", "59.37.100")));
  EXPECT_EQ(split_library_name("libavcodec.so").first, "");
  EXPECT_EQ(split_library_name("").first, "");
}

TEST(SystemInfo, OfThisMachine) {
  const SystemInfo info = read_system_info();
  EXPECT_GE(info.processors.available, 1);
  EXPECT_GE(info.cpu.logical_cores, info.processors.available);
  EXPECT_GT(info.memory.total_bytes, info.memory.available_bytes);
}

}  // namespace
}  // namespace sinew::cli
