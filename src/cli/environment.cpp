#include "cli/environment.h"

#include "cli/git_commit.h"
#include "cli/system_info.h"
#include "cli/terminal.h"

#include "sinew/version.h"

#include <fmt/ranges.h>
#include <sys/utsname.h>

#include <charconv>

namespace sinew::cli {

double parse_load_average(std::string_view text) {
  double load = -1;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), load);
  return parsed.ec == std::errc() ? load : -1;
}

Environment read_environment() {
  const SystemInfo system = read_system_info();
  Environment e;
  e.version = kVersion;
  e.git_commit = kGitCommit;
#if defined(__clang__)
  e.compiler = "clang " __clang_version__;
#else
  e.compiler = "g++ " __VERSION__;
#endif
  e.cpu = system.cpu.model.empty() ? "unknown" : system.cpu.model;
  e.logical_cores = system.cpu.logical_cores;
  e.physical_cores = system.processors.physical_cores;
  e.usable_cores = system.processors.available;
  const std::string governor = read_proc("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  e.governor = governor.substr(0, governor.find('\n'));
  e.instruction_sets = vector_extensions(system.cpu);
  utsname name{};
  if (uname(&name) == 0) {
    e.kernel = fmt::format("{} {} {}", name.sysname, name.release, name.machine);
  }
  e.memory_bytes = system.memory.total_bytes;
  e.available_bytes = system.memory.available_bytes;
  e.libraries = system.libraries;
  e.load_average = parse_load_average(read_proc("/proc/loadavg"));
  return e;
}

io::Json environment_json(const Environment& e) {
  io::Json libraries = io::Json::object();
  for (const auto& [name, version] : e.libraries) {
    libraries[name] = version;
  }
  return {
      {"version", e.version},
      {"git_commit", e.git_commit.empty() ? io::Json() : io::Json(e.git_commit)},
      {"compiler", e.compiler},
      {"cpu", e.cpu},
      {"cores",
       {{"logical", e.logical_cores}, {"physical", e.physical_cores}, {"usable", e.usable_cores}}},
      {"governor", e.governor.empty() ? io::Json() : io::Json(e.governor)},
      {"instruction_sets", e.instruction_sets},
      {"kernel", e.kernel},
      {"memory_bytes", {{"total", e.memory_bytes}, {"available", e.available_bytes}}},
      {"libraries", libraries},
      {"load_average", e.load_average < 0 ? io::Json() : io::Json(e.load_average)},
      {"is_busy", e.is_busy()}};
}

std::string environment_text(const Environment& e) {
  std::string libraries;
  for (const auto& [name, version] : e.libraries) {
    libraries += fmt::format("{}{} {}", libraries.empty() ? "" : ", ", name, version);
  }
  return listing(
      {{"sinew", e.version + (e.git_commit.empty() ? "" : " at " + e.git_commit)},
       {"compiler", e.compiler},
       {"CPU", fmt::format("{}, {} usable of {} cores ({} physical)", e.cpu, e.usable_cores,
                           e.logical_cores, e.physical_cores)},
       {"instruction sets", fmt::format("{}", fmt::join(e.instruction_sets, " "))},
       {"governor", e.governor.empty() ? "unknown" : e.governor},
       {"memory",
        fmt::format("{}, {} available", bytes_text(e.memory_bytes), bytes_text(e.available_bytes))},
       {"kernel", e.kernel},
       {"libraries", libraries},
       {"load average",
        e.load_average < 0
            ? "unknown"
            : fmt::format("{:.2f}{}", e.load_average,
                          e.is_busy() ? ": the machine is busy, the figures are too high" : "")}});
}

}  // namespace sinew::cli
