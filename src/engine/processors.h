// How many threads this process may use with profit.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sinew::engine {

// What limits the threads of this process.
struct Processors {
  int available = 1;            // logical processors that the scheduler may put it on
  int physical_cores = 0;       // among all of the machine; 0: the system does not say
  std::optional<double> quota;  // processors' worth of time that its control group grants
};

Processors processors();

// --threads: `requested`, or for 0 as many as there are physical cores, available processors and
// processors of the quota, whichever is least: threads beyond a quota are not slower but stopped
// for most of every period. More than available is clipped. `note` says why it is what it is.
int resolve_threads(int requested, const Processors& processors, std::string& note);

// Distinct cores of all packages in the text of /proc/cpuinfo; 0 where it does not say (arm64).
int count_physical_cores(std::string_view cpuinfo);

// cpu.max of a version 2 control group ("200000 100000": two processors). Nothing for "max" and for
// what is not in that form.
std::optional<double> parse_cpu_quota(std::string_view text);

}  // namespace sinew::engine
