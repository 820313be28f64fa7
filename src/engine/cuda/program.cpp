#include "engine/cuda/program.h"

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "engine/bind_step.h"
#include "kernels/cuda/status.h"

#include <cuda_runtime_api.h>

#include <algorithm>

namespace sinew::cuda {
namespace {

constexpr size_t kAlignment = 256;
constexpr uintptr_t kArenaPlaceholder = uintptr_t{1} << 54;
constexpr uintptr_t kExchangePlaceholder = uintptr_t{1} << 55;

size_t aligned(size_t bytes) {
  return (std::max<size_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

std::string call_text(const ops::Plan& plan, const ops::Call& call) {
  const ops::Step& first = plan.steps[static_cast<size_t>(call.first_step)];
  const ops::Step& last = plan.steps[static_cast<size_t>(call.end_step) - 1];
  const auto values = [&](const std::vector<ops::Value>& list) {
    std::string text;
    for (const ops::Value v : list) {
      if (v.valid()) {
        const ops::ValueInfo& info = plan.info(v);
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", dtype_name(info.dtype),
                            info.shape.text());
      }
    }
    return text;
  };
  return fmt::format("{} in stage {}, recorded at {}:{}: {} -> {}", call.lowering,
                     first.stage >= 0 ? plan.stages[static_cast<size_t>(first.stage)] : "once",
                     first.file, first.line, values(first.srcs), values(last.dsts));
}

CudaProgram::CudaProgram(const ops::Plan& plan, Machine& machine, OnceStore::User once)
    : plan_(plan), machine_(machine), once_(std::move(once)), stages_(plan.stages.size()) {
  size_t offset = 0;
  const auto exchange = [&](ops::Value value) {
    const ops::Value root = plan_.root(value);
    if (!is_exchanged(root)) {
      const ops::ValueInfo& info = plan_.info(root);
      exchanged_.emplace_back(root, offset);
      offset += aligned(static_cast<size_t>(info.shape.elements()) * dtype_bytes(info.dtype));
    }
  };
  std::for_each(plan_.inputs.begin(), plan_.inputs.end(), exchange);
  input_bytes_ = offset;
  for (const ops::Value output : plan_.outputs) {
    if (!plan_.info(plan_.root(output)).is_once) {
      exchange(output);
    }
  }
  exchange_bytes_ = offset;
}

bool CudaProgram::is_exchanged(ops::Value root) const {
  return std::any_of(exchanged_.begin(), exchanged_.end(),
                     [&](const auto& item) { return item.first == root; });
}

Status CudaProgram::allocate() {
  SINEW_ASSIGN(staging_, PinnedBuffer::allocate(exchange_bytes_, machine_.is_integrated,
                                                "inputs and outputs"));
  SINEW_ASSIGN(exchange_, DeviceBuffer::allocate(exchange_device_bytes(), "inputs and outputs"));
  SINEW_ASSIGN(done_, make_event(/*has_time=*/false));
  return kept_.allocate();
}

std::byte* CudaProgram::address(ops::Value root) const {
  if (plan_.info(root).is_once) {
    return once_.address(root);
  }
  for (const auto& [value, offset] : exchanged_) {
    if (value == root) {
      std::byte* const base = machine_.is_integrated ? staging_.device_data() : exchange_.data();
      return base != nullptr ? base + offset
                             : reinterpret_cast<std::byte*>(kExchangePlaceholder + offset);
    }
  }
  const ops::Placement& place = plan_.placements[static_cast<size_t>(root.id)];
  if (place.region == ops::Region::kNone) {
    return nullptr;
  }
  return machine_.arena != nullptr
             ? machine_.arena + place.offset_bytes
             : reinterpret_cast<std::byte*>(kArenaPlaceholder + place.offset_bytes);
}

void CudaProgram::add(const ops::Call& call, std::unique_ptr<Kernel> kernel) {
  const int32_t stage = plan_.steps[static_cast<size_t>(call.first_step)].stage;
  SINEW_CHECK(stage >= 0);
  stages_[static_cast<size_t>(stage)].push_back({&call, std::move(kernel)});
}

Status CudaProgram::copy_in() const {
  if (machine_.is_integrated || input_bytes_ == 0) {
    return {};
  }
  return call_status(cudaMemcpyAsync(exchange_.data(), staging_.data(), input_bytes_,
                                     cudaMemcpyHostToDevice, machine_.stream),
                     "copying inputs to the device");
}

Status CudaProgram::copy_out() const {
  if (machine_.is_integrated || exchange_bytes_ == input_bytes_) {
    return {};
  }
  return call_status(
      cudaMemcpyAsync(staging_.data() + input_bytes_, exchange_.data() + input_bytes_,
                      exchange_bytes_ - input_bytes_, cudaMemcpyDeviceToHost, machine_.stream),
      "copying outputs from the device");
}

Status CudaProgram::enqueue_call(const BoundCall& call, bool is_checked) const {
  Status status = call.kernel->enqueue(machine_.stream, machine_.workspace);
  if (status.ok() && is_checked) {
    status = call_status(cudaStreamSynchronize(machine_.stream), "running a kernel");
  }
  return status.ok() ? Status() : std::move(status).with(call_text(plan_, *call.call));
}

// Events of a captured run are nodes of the graph, and readable after each launch.
Status CudaProgram::enqueue_all(bool with_events, bool is_checked) const {
  cudaStreamCaptureStatus capturing = cudaStreamCaptureStatusNone;
  SINEW_TRY(call_status(cudaStreamIsCapturing(machine_.stream, &capturing), "recording an event"));
  const unsigned flags =
      capturing == cudaStreamCaptureStatusActive ? cudaEventRecordExternal : cudaEventRecordDefault;
  const auto stamp = [&](size_t i) -> Status {
    return !with_events
               ? Status()
               : call_status(cudaEventRecordWithFlags(events_[i].get(), machine_.stream, flags),
                             "recording an event");
  };
  SINEW_TRY(copy_in());
  SINEW_TRY(stamp(0));
  for (size_t s = 0; s < stages_.size(); ++s) {
    for (const BoundCall& call : stages_[s]) {
      SINEW_TRY(enqueue_call(call, is_checked));
    }
    SINEW_TRY(stamp(s + 1));
  }
  return copy_out();
}

Result<Graph> CudaProgram::capture(bool with_events) const {
  SINEW_TRY(call_status(cudaStreamBeginCapture(machine_.stream, cudaStreamCaptureModeThreadLocal),
                        "capturing"));
  Status enqueued = enqueue_all(with_events, /*is_checked=*/false);
  cudaGraph_t recorded = nullptr;
  const Status ended =
      call_status(cudaStreamEndCapture(machine_.stream, &recorded), "ending the capture");
  cudaGraphExec_t executable = nullptr;
  Status made = std::move(enqueued);
  if (made.ok()) {
    made = call_status(ended.ok() ? cudaSuccess : cudaErrorStreamCaptureInvalidated,
                       "ending the capture");
  }
  if (made.ok()) {
    made = call_status(cudaGraphInstantiate(&executable, recorded, 0), "instantiating the graph");
  }
  if (recorded != nullptr) {
    cudaGraphDestroy(recorded);
  }
  if (!made.ok()) {
    cudaGetLastError();  // a failed capture is no fault of the device
    return made;
  }
  Graph graph(executable);
  SINEW_TRY(call_status(cudaGraphUpload(executable, machine_.stream), "uploading the graph"));
  return graph;
}

Status CudaProgram::prepare_kernels() {
  for (const std::vector<BoundCall>& stage : stages_) {
    for (const BoundCall& call : stage) {
      Status status = call.kernel->prepare(machine_.stream);
      if (!status.ok()) {
        return std::move(status).with(call_text(plan_, *call.call));
      }
    }
  }
  return {};
}

Status CudaProgram::prepare() {
  is_captured_ = false;
  Status status = prepare_kernels();
  if (status.ok()) {
    status = enqueue_all(/*with_events=*/false, /*is_checked=*/!machine_.captures);
  }
  if (status.ok()) {
    status = call_status(cudaStreamSynchronize(machine_.stream), "the first run");
  }
  if (!status.ok()) {
    return failed(std::move(status));
  }
  if (!machine_.captures) {
    return {};
  }
  is_captured_ = true;
  auto graph = capture(/*with_events=*/false);
  if (!graph.ok()) {
    is_captured_ = false;
    log_warning(
        "the run could not be captured as a graph and is launched kernel by kernel, which "
        "is slower: {}",
        graph.status().message());
    return {};
  }
  graph_ = std::move(graph).value();
  return call_status(cudaStreamSynchronize(machine_.stream), "uploading the graph");
}

// Events of all stages, and the graph that records them where runs are captured; a run without that
// graph is timed kernel by kernel.
Status CudaProgram::prepare_timing() {
  std::vector<Event> events;
  for (size_t i = 0; i <= stages_.size(); ++i) {
    SINEW_ASSIGN(Event event, make_event(/*has_time=*/true));
    events.push_back(std::move(event));
  }
  events_ = std::move(events);
  if (!is_captured_) {
    return {};
  }
  auto graph = capture(/*with_events=*/true);
  if (graph.ok()) {
    timed_graph_ = std::move(graph).value();
  } else {
    log_warning("stages are timed kernel by kernel, since their graph could not be captured: {}",
                graph.status().message());
  }
  return {};
}

Status CudaProgram::failed(Status status) {
  if (machine_.fault.empty()) {
    machine_.fault = status.message();
  }
  return {Code::kDevice,
          fmt::format("{}; the device's context is lost, no result is given and nothing more can "
                      "run in this process: start it again (--cuda-graph off names the kernel)",
                      status.message())};
}

Status CudaProgram::run(std::span<double> stage_ms) {
  if (!machine_.fault.empty()) {
    return error(Code::kDevice,
                 "the GPU session is unhealthy since an earlier run failed ({}): "
                 "start the process again",
                 machine_.fault);
  }
  // The caller's thread may have another device, or none yet.
  SINEW_TRY(call_status(cudaSetDevice(machine_.device), "choosing the device"));
  const bool is_timed = !stage_ms.empty();
  if (is_timed && events_.empty()) {
    SINEW_TRY(prepare_timing());
  }
  Status status;
  CUgraphExec_st* const graph = is_timed ? timed_graph_.get() : graph_.get();
  if (graph != nullptr) {
    status = call_status(cudaGraphLaunch(graph, machine_.stream), "launching the graph");
  } else {
    status = enqueue_all(is_timed, /*is_checked=*/!machine_.captures);
  }
  if (status.ok()) {
    status = call_status(cudaEventRecord(done_.get(), machine_.stream), "running the network");
  }
  if (status.ok()) {
    status = call_status(cudaEventSynchronize(done_.get()), "running the network");
  }
  if (!status.ok()) {
    return failed(std::move(status));
  }
  return is_timed ? read_times(stage_ms) : Status();
}

Status CudaProgram::read_times(std::span<double> stage_ms) const {
  for (size_t i = 0; i < stage_ms.size(); ++i) {
    float ms = 0;
    SINEW_TRY(call_status(cudaEventElapsedTime(&ms, events_[i].get(), events_[i + 1].get()),
                          "reading the time of a stage"));
    stage_ms[i] = static_cast<double>(ms);
  }
  return {};
}

TensorView CudaProgram::view(ops::Value value) const {
  const ops::Value root = plan_.root(value);
  for (const auto& [exchanged, offset] : exchanged_) {
    if (exchanged == root) {
      return engine::view_at(plan_, value, staging_.data() + offset);
    }
  }
  SINEW_CHECK(false && "neither an input nor an output");
  return {};
}

Result<ConstTensorView> CudaProgram::read(ops::Value value) {
  const TensorView on_device = engine::view_at(plan_, value, address(plan_.root(value)));
  SINEW_CHECK(on_device.data != nullptr);
  read_back_.resize(std::max(read_back_.size(), on_device.bytes()));
  SINEW_TRY(call_status(
      cudaMemcpy(read_back_.data(), on_device.data, on_device.bytes(), cudaMemcpyDefault),
      "reading a site from the device"));
  return ConstTensorView(read_back_.data(), on_device.dtype, on_device.shape);
}

engine::MemoryUse CudaProgram::memory() const {
  return {.arena_bytes = exchange_.size_bytes(),
          .workspace_bytes = kept_.allocated_bytes(),
          .staging_bytes = staging_.size_bytes()};
}

}  // namespace sinew::cuda
