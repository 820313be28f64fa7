// What the machine offers, read from /proc and the libraries: the facts behind `sinew doctor`.
#pragma once

#include "engine/processors.h"

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sinew::cli {

struct CpuInfo {
  std::string model;               // empty where the system does not say
  int logical_cores = 0;           // of the machine
  std::vector<std::string> flags;  // as /proc/cpuinfo names them

  bool has(std::string_view flag) const;
};

// The text of /proc/cpuinfo (x86 and arm64 spellings).
CpuInfo parse_cpuinfo(std::string_view text);

struct MemoryInfo {
  size_t total_bytes = 0;  // 0: unknown
  size_t available_bytes = 0;
};

// The text of /proc/meminfo.
MemoryInfo parse_meminfo(std::string_view text);

struct NvidiaInfo {
  std::string driver;             // version line; empty: no driver loaded
  std::vector<std::string> gpus;  // model names
};

struct SystemInfo {
  CpuInfo cpu;
  engine::Processors processors;
  MemoryInfo memory;
  NvidiaInfo nvidia;
  std::vector<std::pair<std::string, std::string>>
      libraries;  // loaded ones that do the work: name, version
};

SystemInfo read_system_info();

// The vector instruction sets that matter to a policy, of those that the CPU has.
std::vector<std::string> vector_extensions(const CpuInfo& cpu);

// The text of a file of /proc or /sys, which have no size to ask for; empty when unreadable.
std::string read_proc(const std::filesystem::path& path);

// "libavcodec", "59.37.100" of "libavcodec.so.59.37.100"; both empty for a name that is no
// versioned shared library.
std::pair<std::string, std::string> split_library_name(std::string_view file_name);

}  // namespace sinew::cli
