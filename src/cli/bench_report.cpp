#include "cli/bench_report.h"

#include "cli/action_file.h"
#include "cli/terminal.h"
#include "eval/metrics.h"
#include "eval/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace sinew::cli {
namespace {

double memory_ms(const Component& component, const MachineBounds& bounds) {
  return 1e3 * static_cast<double>(component.weight_bytes) / bounds.read_bytes_per_second;
}

double arithmetic_ms(const Component& component, const MachineBounds& bounds) {
  return bounds.flop_per_second
             ? 1e3 * static_cast<double>(component.flop) / *bounds.flop_per_second
             : 0;
}

// Components run one after the other, so the bound of the whole call is the sum of theirs.
double bound_of(const BenchReport& report, const Component& component) {
  if (&component != &report.components.back()) {
    return component.bound_ms(report.bounds);
  }
  double sum = 0;
  for (size_t i = 0; i + 1 < report.components.size(); ++i) {
    sum += report.components[i].bound_ms(report.bounds);
  }
  return sum;
}

std::string_view bound_name(const BenchReport& report, const Component& component) {
  return &component == &report.components.back()    ? "sum"
         : component.is_memory_bound(report.bounds) ? "memory"
                                                    : "arithmetic";
}

double median(const Component& component) {
  return eval::latency_stats(component.ms).p50;
}

// 10^9 a second of what takes `ms`.
double giga_rate(int64_t amount, double ms) {
  return ms > 0 ? static_cast<double>(amount) / (ms * 1e6) : 0;
}

struct Throughput {
  double ms_per_chunk = 0;
  double chunks_per_second = 0;
  double actions_per_second = 0;  // decoded rows
};

Throughput throughput(const BenchReport& report) {
  const double ms = median(report.components.back());
  Throughput t;
  t.ms_per_chunk = ms / static_cast<double>(report.batch);
  t.chunks_per_second = t.ms_per_chunk > 0 ? 1e3 / t.ms_per_chunk : 0;
  t.actions_per_second = t.chunks_per_second * static_cast<double>(report.info.action_steps);
  return t;
}

std::string component_table(const BenchReport& report, bool colour) {
  Table table({"component", "median ms", "P90", "P99", "max", "share", "weights", "GB/s", "GFLOP",
               "GFLOP/s", "bound ms", "of bound"},
              {false, true, true, true, true, true, true, true, true, true, true, true});
  const double whole = median(report.components.back());
  for (const Component& c : report.components) {
    const eval::LatencyStats stats = eval::latency_stats(c.ms);
    const bool has_work = c.flop > 0 || c.weight_bytes > 0;
    const double bound = bound_of(report, c);
    const auto work = [&](std::string text) { return has_work ? std::move(text) : std::string(); };
    table.add({c.name, fmt::format("{:.3f}", stats.p50), fmt::format("{:.3f}", stats.p90),
               fmt::format("{:.3f}", stats.p99), fmt::format("{:.3f}", stats.max),
               whole > 0 ? fmt::format("{:.1f} %", 100 * stats.p50 / whole) : "",
               work(bytes_text(static_cast<size_t>(c.weight_bytes))),
               work(fmt::format("{:.1f}", giga_rate(c.weight_bytes, stats.p50))),
               work(fmt::format("{:.3g}", static_cast<double>(c.flop) * 1e-9)),
               work(fmt::format("{:.1f}", giga_rate(c.flop, stats.p50))),
               work(fmt::format("{:.3f} {}", bound, bound_name(report, c).substr(0, 1))),
               work(stats.p50 > 0 ? fmt::format("{:.0f} %", 100 * bound / stats.p50) : "")});
  }
  return table.text(colour) +
         "bound: the larger of weights / read bandwidth (m) and FLOP / peak arithmetic (a), and "
         "their "
         "sum (s);\nabove 100 % the weights stay in a cache\n";
}

std::string setting_text(const BenchReport& report) {
  const PolicyInfo& info = report.info;
  const InputShape& s = report.shape;
  return listing(
      {{"checkpoint", report.synthetic.empty()
                          ? report.checkpoint
                          : "made-up weights at the sizes of " + report.synthetic},
       {"mode",
        fmt::format("{} on {}, {} threads", info.precision, info.device, report.bounds.threads)},
       {"images", fmt::format("{} of {}x{}, to the network {}x{}", s.views, report.frame_height,
                              report.frame_width, s.image_height, s.image_width)},
       {"prompt", fmt::format("{} tokens: {} image, {} text", s.tokens, s.image_tokens,
                              s.tokens - s.image_tokens)},
       {"actions", fmt::format("{} tokens computed, {} rows decoded, {} denoising steps",
                               info.horizon, info.action_steps, info.denoising_steps)},
       {"calls", fmt::format("{} timed after {}, batch {}", report.components.back().ms.size(),
                             report.warmup, report.batch)}});
}

std::string bounds_text(const MachineBounds& bounds) {
  return listing(
      {{"read bandwidth", fmt::format("{:.1f} GB/s", bounds.read_bytes_per_second * 1e-9)},
       {"peak arithmetic", bounds.flop_per_second
                               ? fmt::format("{:.1f} GFLOP/s ({})", *bounds.flop_per_second * 1e-9,
                                             bounds.instructions)
                               : "no probe for this precision: bounds are those of memory alone"}});
}

std::string network_text(const BenchReport& report) {
  const eval::LatencyStats stats = eval::latency_stats(report.network_ms);
  return listing({{"network alone",
                   fmt::format("{:.3f} ms median, {:.3f} P90, {:.3f} P99, {:.3f} max, stages not "
                               "timed, inputs and outputs in host memory",
                               stats.p50, stats.p90, stats.p99, stats.max)}});
}

std::string gpu_text(const BenchReport& report) {
  if (!report.gpu) {
    return "";
  }
  const engine::CudaDevice& gpu = *report.gpu;
  return "\n" +
         listing({{"GPU", fmt::format("{}, {} multiprocessors, {} MHz, memory {} MHz", gpu.name,
                                      gpu.multiprocessors, gpu.clock_mhz, gpu.memory_clock_mhz)},
                  {"CUDA",
                   fmt::format("driver {}, runtime {}", report.cuda_driver, report.cuda_runtime)},
                  {"GPU memory in use", fmt::format("{} of {}, other programs included",
                                                    bytes_text(gpu.total_bytes - gpu.free_bytes),
                                                    bytes_text(gpu.total_bytes))}});
}

io::Json gpu_json(const BenchReport& report) {
  if (!report.gpu) {
    return {};
  }
  const engine::CudaDevice& gpu = *report.gpu;
  return {
      {"name", gpu.name},
      {"compute_capability", gpu.compute_capability},
      {"multiprocessors", gpu.multiprocessors},
      {"clock_mhz", gpu.clock_mhz},
      {"memory_clock_mhz", gpu.memory_clock_mhz},
      {"driver", report.cuda_driver},
      {"runtime", report.cuda_runtime},
      {"memory_bytes", {{"total", gpu.total_bytes}, {"in_use", gpu.total_bytes - gpu.free_bytes}}}};
}

io::Json component_json(const BenchReport& report, const Component& c, double whole) {
  const double p50 = median(c);
  io::Json json{{"name", c.name},
                {"latency_ms", eval::latency_json(eval::latency_stats(c.ms))},
                {"share", whole > 0 ? io::Json(p50 / whole) : io::Json()}};
  if (c.flop > 0 || c.weight_bytes > 0) {
    json["flop"] = c.flop;
    json["weight_bytes"] = c.weight_bytes;
    json["gb_per_s"] = giga_rate(c.weight_bytes, p50);
    json["gflop_per_s"] = giga_rate(c.flop, p50);
    json["bound_ms"] = bound_of(report, c);
    json["bound"] = bound_name(report, c);
    json["fraction_of_bound"] = p50 > 0 ? io::Json(bound_of(report, c) / p50) : io::Json();
  }
  return json;
}

}  // namespace

double Component::bound_ms(const MachineBounds& bounds) const {
  return std::max(memory_ms(*this, bounds), arithmetic_ms(*this, bounds));
}

bool Component::is_memory_bound(const MachineBounds& bounds) const {
  return memory_ms(*this, bounds) >= arithmetic_ms(*this, bounds);
}

std::string bench_summary(const BenchReport& report, bool colour) {
  const Throughput t = throughput(report);
  std::string out = setting_text(report) + "\n" + component_table(report, colour);
  out += fmt::format("\n{:.2f} ms a chunk; {:.2f} chunks/s, {:.1f} actions/s ({} rows a chunk)\n",
                     t.ms_per_chunk, t.chunks_per_second, t.actions_per_second,
                     report.info.action_steps);
  out += "\n" + listing({{"loaded in", fmt::format("{:.0f} ms", report.load_ms)},
                         {"first call",
                          fmt::format("{:.0f} ms, with packing the weights; {:.2f} ms to tokenise",
                                      report.first_call_ms, report.first_tokenize_ms)}});
  out += "\n" + network_text(report);
  out += "\n" + listing({{"weights", bytes_text(report.memory.weight_bytes)},
                         {"activations", bytes_text(report.memory.arena_bytes)},
                         {"workspace", bytes_text(report.memory.workspace_bytes)},
                         {"process, at most", bytes_text(report.peak_resident_bytes)}});
  out += gpu_text(report);
  out += "\n" + bounds_text(report.bounds) + "\n" + environment_text(report.environment);
  return out;
}

io::Json bench_json(const BenchReport& report) {
  const InputShape& s = report.shape;
  const double whole = median(report.components.back());
  io::Json components = io::Json::array();
  for (const Component& c : report.components) {
    components.push_back(component_json(report, c, whole));
  }
  const Throughput t = throughput(report);
  return {{"checkpoint", report.synthetic.empty() ? io::Json(report.checkpoint) : io::Json()},
          {"synthetic", report.synthetic.empty() ? io::Json() : io::Json(report.synthetic)},
          {"config", config_json(report.info)},
          {"notices", report.info.notices},
          {"shapes",
           {{"views", s.views},
            {"frame", {report.frame_height, report.frame_width}},
            {"image", {s.image_height, s.image_width}},
            {"tokens", s.tokens},
            {"image_tokens", s.image_tokens},
            {"text_tokens", s.tokens - s.image_tokens},
            {"horizon", report.info.horizon},
            {"action_steps", report.info.action_steps},
            {"denoising_steps", report.info.denoising_steps},
            {"batch", report.batch}}},
          {"iterations", report.components.back().ms.size()},
          {"warmup", report.warmup},
          {"components", components},
          {"throughput",
           {{"ms_per_chunk", t.ms_per_chunk},
            {"chunks_per_s", t.chunks_per_second},
            {"actions_per_s", t.actions_per_second}}},
          {"network_ms", eval::latency_json(eval::latency_stats(report.network_ms))},
          {"gpu", gpu_json(report)},
          {"load_ms", report.load_ms},
          {"first_call_ms", report.first_call_ms},
          {"first_tokenize_ms", report.first_tokenize_ms},
          {"memory_bytes",
           {{"weights", report.memory.weight_bytes},
            {"activations", report.memory.arena_bytes},
            {"workspace", report.memory.workspace_bytes},
            {"staging", report.memory.staging_bytes},
            {"peak_resident", report.peak_resident_bytes}}},
          {"machine_bounds",
           {{"read_bytes_per_s", report.bounds.read_bytes_per_second},
            {"flop_per_s",
             report.bounds.flop_per_second ? io::Json(*report.bounds.flop_per_second) : io::Json()},
            {"instructions", report.bounds.instructions},
            {"threads", report.bounds.threads}}},
          {"environment", environment_json(report.environment)}};
}

}  // namespace sinew::cli
