#include "engine/processors.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>
#include <utility>

namespace sinew::engine {
namespace {

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

int count_available() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0) {
    return CPU_COUNT(&set);
  }
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

// The smallest quota from the process's own control group up to the root that it can see.
std::optional<double> smallest_quota() {
  std::string group = "/";
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    if (line.starts_with("0::")) {  // the version 2 hierarchy
      group = line.substr(3);
    }
  }
  std::optional<double> smallest;
  while (true) {
    const std::optional<double> quota =
        parse_cpu_quota(text_of("/sys/fs/cgroup" + (group == "/" ? "" : group) + "/cpu.max"));
    if (quota && (!smallest || *quota < *smallest)) {
      smallest = quota;
    }
    const size_t slash = group.rfind('/');
    if (slash == std::string::npos || group == "/") {
      return smallest;
    }
    group = slash == 0 ? "/" : group.substr(0, slash);
  }
}

}  // namespace

int count_physical_cores(std::string_view cpuinfo) {
  std::istringstream lines{std::string(cpuinfo)};
  std::set<std::pair<std::string, std::string>> cores;  // (package, core)
  std::string package;
  for (std::string line; std::getline(lines, line);) {
    const std::string value = line.substr(std::min(line.size(), line.find(':') + 1));
    if (line.starts_with("physical id")) {
      package = value;
    } else if (line.starts_with("core id")) {
      cores.emplace(package, value);
    }
  }
  return static_cast<int>(cores.size());
}

std::optional<double> parse_cpu_quota(std::string_view text) {
  std::istringstream words{std::string(text)};
  double quota_us = 0;
  double period_us = 0;
  if (!(words >> quota_us >> period_us) || !(quota_us > 0) || !(period_us > 0)) {
    return std::nullopt;
  }
  return quota_us / period_us;
}

Processors processors() {
  return {.available = count_available(),
          .physical_cores = count_physical_cores(text_of("/proc/cpuinfo")),
          .quota = smallest_quota()};
}

int resolve_threads(int requested, const Processors& processors, std::string& note) {
  if (requested > processors.available) {
    note = fmt::format("{} asked for, {} processors available", requested, processors.available);
    return processors.available;
  }
  if (requested > 0) {
    if (processors.quota && requested > std::ceil(*processors.quota)) {
      note = fmt::format("more than the {:.1f} processors that the control group grants",
                         *processors.quota);
    }
    return requested;
  }
  int threads = processors.available;
  note = "available processors";
  if (processors.physical_cores > 0 && processors.physical_cores <= threads) {
    threads = processors.physical_cores;
    note = "physical cores";
  }
  if (processors.quota && std::ceil(*processors.quota) < threads) {
    threads = std::max(1, static_cast<int>(std::ceil(*processors.quota)));
    note = fmt::format("the control group grants {:.1f} processors", *processors.quota);
  }
  return threads;
}

}  // namespace sinew::engine
