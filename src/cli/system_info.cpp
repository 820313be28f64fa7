#include "cli/system_info.h"

#include <link.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace sinew::cli {
namespace {

std::string_view trimmed(std::string_view text) {
  const size_t start = text.find_first_not_of(" \t\r");
  if (start == std::string_view::npos) {
    return "";
  }
  return text.substr(start, text.find_last_not_of(" \t\r") - start + 1);
}

// Calls `use(name, value)` for every "name : value" line.
template <class Use>
void for_each_field(std::string_view text, const Use& use) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    if (const size_t colon = line.find(':'); colon != std::string_view::npos) {
      use(trimmed(line.substr(0, colon)), trimmed(line.substr(colon + 1)));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

NvidiaInfo read_nvidia() {
  NvidiaInfo info;
  const std::filesystem::path root = "/proc/driver/nvidia";
  const std::string version = read_proc(root / "version");
  info.driver = trimmed(std::string_view(version).substr(0, version.find('\n')));
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(root / "gpus", error)) {
    for_each_field(read_proc(entry.path() / "information"),
                   [&](std::string_view name, std::string_view value) {
                     if (name == "Model") {
                       info.gpus.emplace_back(value);
                     }
                   });
  }
  return info;
}

using Libraries = std::vector<std::pair<std::string, std::string>>;

// Called by the dynamic loader for every loaded object; `data` is the Libraries to add to.
int add_library(dl_phdr_info* object, size_t /*size*/, void* data) {
  constexpr std::array<std::string_view, 6> kWorkers{"libavcodec", "libavformat", "libswscale",
                                                     "libarrow",   "libparquet",  "libcairo"};
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(object->dlpi_name, error);
  auto library = split_library_name(real.filename().native());
  if (!error && std::find(kWorkers.begin(), kWorkers.end(), library.first) != kWorkers.end()) {
    static_cast<Libraries*>(data)->push_back(std::move(library));
  }
  return 0;
}

}  // namespace

std::string read_proc(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return file ? text.str() : "";
}

std::vector<std::string> vector_extensions(const CpuInfo& cpu) {
  std::vector<std::string> found;
  for (const char* flag : {"avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16",
                           "amx_int8", "asimd", "asimddp", "bf16", "i8mm"}) {
    if (cpu.has(flag)) {
      found.emplace_back(flag);
    }
  }
  return found;
}

std::pair<std::string, std::string> split_library_name(std::string_view file_name) {
  constexpr std::string_view kEnding = ".so.";
  const size_t ending = file_name.find(kEnding);
  if (ending == std::string_view::npos) {
    return {};
  }
  return {std::string(file_name.substr(0, ending)),
          std::string(file_name.substr(ending + kEnding.size()))};
}

bool CpuInfo::has(std::string_view flag) const {
  return std::find(flags.begin(), flags.end(), flag) != flags.end();
}

CpuInfo parse_cpuinfo(std::string_view text) {
  CpuInfo info;
  for_each_field(text, [&](std::string_view name, std::string_view value) {
    if (name == "processor") {
      ++info.logical_cores;
    } else if (name == "model name" || name == "Model") {
      info.model = value;
    } else if ((name == "flags" || name == "Features") && info.flags.empty()) {
      std::istringstream words{std::string(value)};
      for (std::string word; words >> word;) {
        info.flags.push_back(word);
      }
    }
  });
  return info;
}

MemoryInfo parse_meminfo(std::string_view text) {
  MemoryInfo info;
  for_each_field(text, [&](std::string_view name, std::string_view value) {
    size_t kib = 0;
    const auto parsed = std::from_chars(value.data(), value.data() + value.size(), kib);
    if (parsed.ec != std::errc{}) {
      return;
    }
    if (name == "MemTotal") {
      info.total_bytes = kib * 1024;
    } else if (name == "MemAvailable") {
      info.available_bytes = kib * 1024;
    }
  });
  return info;
}

SystemInfo read_system_info() {
  SystemInfo info;
  info.cpu = parse_cpuinfo(read_proc("/proc/cpuinfo"));
  info.processors = engine::processors();
  info.memory = parse_meminfo(read_proc("/proc/meminfo"));
  info.nvidia = read_nvidia();
  dl_iterate_phdr(add_library, &info.libraries);
  std::sort(info.libraries.begin(), info.libraries.end());
  return info;
}

}  // namespace sinew::cli
