// The CUDA backend: one device, one stream, one arena, one workspace, and the parameters in the
// forms that kernels want.
#include "base/error.h"
#include "base/log.h"
#include "base/thread_pool.h"
#include "engine/backend.h"
#include "engine/bind_step.h"
#include "engine/cuda/device.h"
#include "engine/cuda/memory.h"
#include "engine/cuda/once_store.h"
#include "engine/cuda/program.h"
#include "engine/cuda/weight_store.h"
#include "kernels/cuda/blas_lt.h"
#include "kernels/cuda/kernel.h"
#include "kernels/cuda/status.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace sinew::cuda {
namespace {

double mib(size_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

// Device memory that binding a plan adds, by component.
struct Need {
  size_t weights = 0;
  size_t arena = 0;
  size_t constants = 0;
  size_t workspace = 0;
  size_t exchange = 0;
  size_t loading = 0;  // only while parameters are uploaded

  size_t total() const { return weights + arena + constants + workspace + exchange + loading; }
};

class CudaBackend final : public engine::Backend {
 public:
  CudaBackend(const engine::CudaOptions& options, const ops::DeviceCaps& caps,
              std::unique_ptr<BlasLt> blas, cudaStream_t stream)
      : name_(fmt::format("cuda:{}", options.device)),
        options_(options),
        caps_(caps),
        blas_(std::move(blas)),
        pool_(std::max(options.threads, 1)) {
    machine_.device = options.device;
    machine_.stream = stream;
    machine_.is_integrated = caps.is_integrated;
    machine_.captures = options.captures;
    for (const CudaRow& row : cuda_rows()) {
      rows_.push_back(row.row);
    }
    if (options.lowering != engine::LoweringChoice::kLeaf) {
      for (const CudaCompositeRow& row : cuda_composite_rows()) {
        composite_rows_.push_back(row.row);
      }
    }
  }

  ~CudaBackend() override {
    cudaStreamSynchronize(machine_.stream);
    cudaStreamDestroy(machine_.stream);
  }

  CudaBackend(const CudaBackend&) = delete;
  CudaBackend& operator=(const CudaBackend&) = delete;

  std::string_view name() const override { return name_; }

  ops::DeviceCaps device() const override { return caps_; }

  std::span<const ops::LeafRow> leaf_rows() const override { return rows_; }

  std::span<const ops::CompositeRow> composite_rows() const override { return composite_rows_; }

  int arena_generation() const override { return generation_; }

  ThreadPool& threads() override { return pool_; }

  engine::MemoryUse memory() const override {
    return {.weight_bytes = weights_.bytes(),
            .arena_bytes = arena_.size_bytes(),
            .constant_bytes = once_.bytes(),
            .workspace_bytes = workspace_.size_bytes()};
  }

  Result<std::unique_ptr<engine::Program>> bind(const ops::Plan& plan,
                                                const engine::WeightSource& weights) override {
    if (!machine_.fault.empty()) {
      return error(Code::kDevice, "the GPU session is unhealthy: {}", machine_.fault);
    }
    SINEW_TRY(call_status(cudaSetDevice(options_.device), "choosing the device"));
    auto bound = bind_checked(plan, weights);
    if (!bound.ok()) {
      weights_.drop_missing();
    }
    return bound;
  }

 private:
  using Calls = std::vector<ops::Call>;

  Result<std::unique_ptr<engine::Program>> bind_checked(const ops::Plan& plan,
                                                        const engine::WeightSource& weights) {
    auto program = std::make_unique<CudaProgram>(plan, machine_, once_.use(plan, weights));
    const Calls once_calls = missing_once_calls(plan, program->once());

    // First against placeholders, to learn how much memory everything takes.
    DeviceWeightStore once_weights;
    size_t workspace_bytes = 0;
    SINEW_TRY(make_all(plan, weights, once_calls, *program, once_weights, workspace_bytes));
    if (program->kept().bytes() > 0) {
      return internal_error("a kernel of a once-step asked for memory to keep");
    }
    SINEW_TRY(make_all(plan, weights, plan.calls, *program, weights_, workspace_bytes));
    SINEW_TRY(check_memory(plan, *program, once_weights, workspace_bytes));

    SINEW_TRY(grow(arena_, plan.arena_bytes, machine_.arena, "activations"));
    SINEW_TRY(grow(workspace_, workspace_bytes, machine_.workspace, "workspace"));
    SINEW_TRY(program->allocate());
    SINEW_TRY(program->once().allocate());
    {
      std::optional<Uploader> uploader;
      if (once_weights.missing_bytes() + weights_.missing_bytes() > 0) {
        SINEW_ASSIGN(uploader, Uploader::make(pool_, machine_.stream));
      }
      SINEW_TRY(run_once(plan, weights, once_calls, *program, once_weights, uploader));
      if (weights_.missing_bytes() > 0) {
        SINEW_TRY(weights_.fill(*uploader));
        release_pages(plan, weights);
      }
    }
    size_t same_workspace = 0;
    SINEW_TRY(make_all(plan, weights, plan.calls, *program, weights_, same_workspace, &*program));
    if (weights_.missing_bytes() > 0 || same_workspace > workspace_.size_bytes() ||
        program->kept().bytes() != program->kept().allocated_bytes()) {
      return internal_error("kernels asked for other memory when made again");
    }
    SINEW_TRY(program->prepare());
    return std::unique_ptr<engine::Program>(std::move(program));
  }

  static Calls missing_once_calls(const ops::Plan& plan, const OnceStore::User& once) {
    Calls calls;
    for (const ops::Call& call : plan.once_calls) {
      if (once.is_missing(plan, call)) {
        calls.push_back(call);
      }
    }
    return calls;
  }

  Result<std::unique_ptr<Kernel>> make(const ops::Plan& plan, const engine::WeightSource& weights,
                                       const ops::Call& call, CudaProgram& program,
                                       DeviceWeightStore& store) {
    const MakeContext context{
        .weights = store, .kept = program.kept(), .blas = *blas_, .device = caps_};
    const std::vector<BoundStep> steps = engine::bind_call(
        plan, call, weights, [&](ops::Value root) { return program.address(root); });
    const auto row = static_cast<size_t>(call.row);
    auto kernel = call.composite >= 0 ? cuda_composite_rows()[row].make(steps, context)
                                      : cuda_rows()[row].make(steps.front(), context);
    if (!kernel.ok()) {
      return std::move(kernel).status().with(call_text(plan, call));
    }
    return kernel;
  }

  // Makes every kernel and notes the largest workspace; gives them to `into` if there is one.
  Status make_all(const ops::Plan& plan, const engine::WeightSource& weights, const Calls& calls,
                  CudaProgram& program, DeviceWeightStore& store, size_t& workspace_bytes,
                  CudaProgram* into = nullptr) {
    for (const ops::Call& call : calls) {
      SINEW_ASSIGN(std::unique_ptr<Kernel> kernel, make(plan, weights, call, program, store));
      workspace_bytes = std::max(workspace_bytes, kernel->workspace_bytes());
      if (into != nullptr) {
        into->add(call, std::move(kernel));
      }
    }
    return {};
  }

  // Before anything is allocated or uploaded: what is needed against what is free.
  Status check_memory(const ops::Plan& plan, CudaProgram& program,
                      const DeviceWeightStore& once_weights, size_t workspace_bytes) {
    size_t free = 0;
    size_t total = 0;
    SINEW_TRY(call_status(cudaMemGetInfo(&free, &total), "asking for free memory"));
    Need need;
    need.arena = plan.arena_bytes > arena_.size_bytes() ? plan.arena_bytes : 0;
    const bool grows = workspace_bytes > workspace_.size_bytes();
    need.workspace = (grows ? workspace_bytes : 0) + program.kept().bytes();
    // A region that grows is freed first.
    free += (need.arena > 0 ? arena_.size_bytes() : 0) + (grows ? workspace_.size_bytes() : 0);
    need.weights = weights_.missing_bytes();
    need.constants = program.once().missing_bytes();
    need.exchange = program.exchange_device_bytes();
    // The parameters of once-steps are gone before the others come.
    const size_t once_loading = once_weights.missing_bytes() + once_weights.unpacked_bytes();
    const size_t loading = once_loading > need.weights + weights_.unpacked_bytes()
                               ? once_loading - need.weights
                               : weights_.unpacked_bytes();
    need.loading = need.weights + once_loading > 0 ? loading + Uploader::kDeviceBytes : 0;
    const auto allowed = static_cast<size_t>(static_cast<double>(free) * options_.memory_fraction);
    log_debug("device memory: {:.1f} MiB needed, {:.1f} MiB free", mib(need.total()), mib(free));
    if (need.total() <= allowed) {
      return {};
    }
    return error(
        Code::kOutOfMemory,
        "{} has too little memory: {:.0f} MiB needed ({:.0f} parameters, {:.0f} activations, "
        "{:.0f} "
        "constants, {:.0f} workspace, {:.0f} inputs and outputs, {:.0f} only while loading), "
        "{:.0f} "
        "MiB free of {:.0f}, of which --gpu-mem-fraction {:g} allows {:.0f}. Close other programs "
        "on "
        "the GPU, use --precision bf16, fewer or smaller camera frames, a larger fraction, or "
        "--device cpu",
        name_, mib(need.total()), mib(need.weights), mib(need.arena), mib(need.constants),
        mib(need.workspace), mib(need.exchange), mib(need.loading), mib(free), mib(total),
        options_.memory_fraction, mib(allowed));
  }

  // Makes a shared region large enough; one that moves ends the programs bound to it.
  Status grow(DeviceBuffer& region, size_t size_bytes, std::byte*& address, const char* what) {
    if (region.size_bytes() < size_bytes) {
      ++generation_;
      address = nullptr;
      region = DeviceBuffer();
      SINEW_ASSIGN(region, DeviceBuffer::allocate(size_bytes, what));
      address = region.data();
    }
    return {};
  }

  // Once-steps whose results are not there, with parameters that are gone afterwards.
  Status run_once(const ops::Plan& plan, const engine::WeightSource& weights, const Calls& calls,
                  CudaProgram& program, DeviceWeightStore& store,
                  std::optional<Uploader>& uploader) {
    if (calls.empty()) {
      return {};
    }
    if (store.missing_bytes() > 0) {
      SINEW_TRY(store.fill(*uploader));
    }
    for (const ops::Call& call : calls) {
      SINEW_ASSIGN(const std::unique_ptr<Kernel> kernel, make(plan, weights, call, program, store));
      Status status = kernel->enqueue(machine_.stream, machine_.workspace);
      if (!status.ok()) {
        return std::move(status).with(call_text(plan, call));
      }
    }
    SINEW_TRY(call_status(cudaStreamSynchronize(machine_.stream), "running the once-steps"));
    store = DeviceWeightStore();
    return {};
  }

  // The device holds all parameters that the plan reads.
  static void release_pages(const ops::Plan& plan, const engine::WeightSource& weights) {
    for (const ops::Step& step : plan.steps) {
      for (const ops::Value src : step.srcs) {
        if (src.valid() && plan.info(plan.root(src)).kind == ops::ValueKind::kWeight) {
          weights.release(engine::weight_view(plan, src, weights));
        }
      }
    }
  }

  std::string name_;
  engine::CudaOptions options_;
  ops::DeviceCaps caps_;
  std::vector<ops::LeafRow> rows_;
  std::vector<ops::CompositeRow> composite_rows_;
  std::unique_ptr<BlasLt> blas_;
  ThreadPool pool_;
  Machine machine_;
  DeviceWeightStore weights_;
  OnceStore once_;
  DeviceBuffer arena_;
  DeviceBuffer workspace_;
  int generation_ = 0;
};

}  // namespace
}  // namespace sinew::cuda

namespace sinew::engine {

Result<std::unique_ptr<Backend>> make_cuda_backend(const CudaOptions& options) {
  SINEW_ASSIGN(const ops::DeviceCaps caps, cuda::open_device(options.device));
  SINEW_ASSIGN(std::unique_ptr<cuda::BlasLt> blas, cuda::BlasLt::open());
  cudaStream_t stream = nullptr;
  SINEW_TRY(cuda::call_status(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking),
                              "creating a stream"));
  return std::unique_ptr<Backend>(
      std::make_unique<cuda::CudaBackend>(options, caps, std::move(blas), stream));
}

}  // namespace sinew::engine
