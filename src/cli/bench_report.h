// The figures of `sinew bench`, as a table and as JSON.
#pragma once

#include "cli/environment.h"
#include "cli/options.h"
#include "engine/backend.h"
#include "io/json.h"

#include "sinew/policy.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sinew::cli {

// What the machine can do at most.
struct MachineBounds {
  double read_bytes_per_second = 0;
  std::optional<double> flop_per_second;  // empty: no probe for this precision
  std::string instructions;               // that the arithmetic was measured with
  int threads = 0;
};

// One part of a call: its times, and what it had to do in each.
struct Component {
  std::string name;
  std::vector<double> ms = {};  // one a call
  int64_t flop = 0;
  int64_t weight_bytes = 0;

  // The least time that the work can take, and which bound that is.
  double bound_ms(const MachineBounds& bounds) const;
  bool is_memory_bound(const MachineBounds& bounds) const;
};

struct BenchReport {
  std::string checkpoint;
  std::string synthetic;  // profile, or empty
  PolicyInfo info;
  InputShape shape;
  int64_t frame_height = 0, frame_width = 0;
  int64_t batch = 1;
  int64_t warmup = 0;
  std::vector<Component> components;  // the last one is the whole call
  std::vector<double> network_ms;     // inputs in host memory to outputs there, one sample
  double load_ms = 0;
  double first_call_ms = 0;  // converts and packs the weights, plans memory, tokenises the prompt
  double first_tokenize_ms = 0;
  Policy::Memory memory;
  size_t peak_resident_bytes = 0;
  std::optional<engine::CudaDevice> gpu;  // with its memory in use
  std::string cuda_driver, cuda_runtime;  // versions
  MachineBounds bounds;
  Environment environment;
};

std::string bench_summary(const BenchReport& report, bool colour);

io::Json bench_json(const BenchReport& report);

}  // namespace sinew::cli
