// `sinew doctor`: what this machine offers, and what to do about what it lacks. Bug reports paste
// its --json.
#include "cli/json_text.h"
#include "cli/system_info.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "engine/backend.h"

#include "sinew/version.h"

#include <fmt/ranges.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

namespace sinew::cli {
namespace {

// Weights of a GR00T N1.6 3B checkpoint in f32, what a CPU run holds.
constexpr size_t kFullModelBytes = size_t{13} * 1000 * 1000 * 1000;

// One thing looked at: its state, and what to do unless that is fine.
struct Finding {
  std::string subject;
  std::string state;
  std::string advice;  // empty: nothing to do
};

Finding check_extensions(const CpuInfo& cpu) {
  const std::vector<std::string> found = vector_extensions(cpu);
  Finding finding{"vector extensions", fmt::format("{}", fmt::join(found, " ")), ""};
  if (found.empty()) {
    finding.state = "none found";
  }
  if (!cpu.has("avx2") && !cpu.has("asimd")) {
    finding.advice = "runs, but slowly: use a CPU with AVX2 or newer";
  }
  return finding;
}

Finding check_cores(const SystemInfo& info) {
  const int usable = info.processors.available;
  const int physical = info.processors.physical_cores;
  Finding finding{"cores",
                  fmt::format("{} logical, {} physical, {} usable by this process",
                              info.cpu.logical_cores, physical, usable),
                  ""};
  if (usable < physical) {
    finding.advice = fmt::format(
        "only {} cores may be used: widen the container's or taskset's "
        "limit, or give --threads {}",
        usable, usable);
  }
  return finding;
}

Finding check_memory(const MemoryInfo& memory) {
  Finding finding{"memory",
                  fmt::format("{} of {} available", bytes_text(memory.available_bytes),
                              bytes_text(memory.total_bytes)),
                  ""};
  if (memory.total_bytes == 0) {
    finding.state = "unknown";
  } else if (memory.available_bytes < kFullModelBytes) {
    finding.advice = fmt::format(
        "a 3B policy in fp32 holds about {}: close other programs or use a machine "
        "with more memory; small policies run",
        bytes_text(kFullModelBytes));
  }
  return finding;
}

std::vector<Finding> check_gpu(const NvidiaInfo& nvidia) {
  std::vector<Finding> findings;
  findings.push_back({"NVIDIA driver", nvidia.driver.empty() ? "none loaded" : nvidia.driver, ""});
  for (const std::string& gpu : nvidia.gpus) {
    findings.push_back({"GPU", gpu, ""});
  }
  const engine::CudaSystem cuda = engine::cuda_system();
  if (!cuda.is_built) {
    findings.push_back({"CUDA back end", "not in this build",
                        nvidia.gpus.empty()
                            ? ""
                            : "the GPU is left unused: build with SINEW_CUDA=ON, or SINEW_CUDA=PIP "
                              "to fetch the compiler"});
    return findings;
  }
  findings.push_back({"CUDA back end",
                      fmt::format("runtime {}, driver offers {}, kernels for {}", cuda.runtime,
                                  cuda.driver.empty() ? "none" : cuda.driver, cuda.architectures),
                      nvidia.gpus.empty() ? "" : cuda.problem});
  for (size_t i = 0; i < cuda.devices.size(); ++i) {
    const engine::CudaDevice& gpu = cuda.devices[i];
    findings.push_back(
        {fmt::format("cuda:{}", i),
         fmt::format("{}, compute capability {}.{}, {} of {} free, {}", gpu.name,
                     gpu.compute_capability / 10, gpu.compute_capability % 10,
                     bytes_text(gpu.free_bytes), bytes_text(gpu.total_bytes),
                     gpu.has_kernels ? "kernels in this build" : "no kernels in this build"),
         gpu.has_kernels
             ? ""
             : fmt::format(
                   "build with SINEW_CUDA_ARCHITECTURES={}, or use --device cpu",
                   gpu.compute_capability == 90 ? "90a" : std::to_string(gpu.compute_capability))});
  }
  return findings;
}

std::vector<Finding> examine(const SystemInfo& info) {
  std::vector<Finding> findings;
  findings.push_back({"CPU", info.cpu.model.empty() ? "unknown" : info.cpu.model, ""});
  findings.push_back(check_extensions(info.cpu));
  findings.push_back(check_cores(info));
  findings.push_back(check_memory(info.memory));
  for (Finding& finding : check_gpu(info.nvidia)) {
    findings.push_back(std::move(finding));
  }
  for (const auto& [name, version] : info.libraries) {
    findings.push_back({name, version, ""});
  }
  return findings;
}

}  // namespace

Status run_doctor(const DoctorOptions& options, const FlagList&) {
  const SystemInfo info = read_system_info();
  const std::vector<Finding> findings = examine(info);
  std::string result;
  if (options.output.json) {
    io::Json list = io::Json::array();
    for (const Finding& finding : findings) {
      list.push_back(
          {{"subject", finding.subject}, {"state", finding.state}, {"advice", finding.advice}});
    }
    result = json_text(
        {{"version", kVersion},
         {"findings", list},
         {"memory_bytes",
          {{"total", info.memory.total_bytes}, {"available", info.memory.available_bytes}}},
         {"cores",
          {{"logical", info.cpu.logical_cores},
           {"physical", info.processors.physical_cores},
           {"usable", info.processors.available}}},
         {"vector_extensions", vector_extensions(info.cpu)}});
  } else {
    Table table({"sinew " + std::string(kVersion), ""});
    std::string advice;
    for (const Finding& finding : findings) {
      table.add({finding.subject, finding.state});
      if (!finding.advice.empty()) {
        advice += fmt::format("- {}: {}\n", finding.subject, finding.advice);
      }
    }
    result = table.text(has_colour(stdout)) + "\n" +
             (advice.empty() ? "Nothing to do.\n" : "What to do:\n" + advice);
  }
  return print_result(result);
}

}  // namespace sinew::cli
