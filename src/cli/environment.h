// The circumstances of a measurement, so that a number can be understood without its machine.
#pragma once

#include "io/json.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sinew::cli {

struct Environment {
  std::string version;     // of sinew
  std::string git_commit;  // empty: not built from a repository
  std::string compiler;
  std::string cpu;
  int logical_cores = 0;
  int physical_cores = 0;
  int usable_cores = 0;
  std::string governor;  // of the first core's frequency; empty where the system does not say
  std::vector<std::string> instruction_sets;
  std::string kernel;
  size_t memory_bytes = 0;
  size_t available_bytes = 0;
  std::vector<std::pair<std::string, std::string>> libraries;
  double load_average =
      -1;  // processes that ran or waited during the last minute; below 0: unknown

  // Whether other work will disturb a measurement: more than a quarter of the usable cores taken.
  bool is_busy() const { return load_average > 0.25 * usable_cores; }
};

Environment read_environment();

io::Json environment_json(const Environment& environment);

// For people, one fact a line.
std::string environment_text(const Environment& environment);

// The first number of /proc/loadavg; below 0 when there is none.
double parse_load_average(std::string_view text);

}  // namespace sinew::cli
