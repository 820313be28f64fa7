// Every case of the CPU's ops on the GPU, through the table: the right numbers, nothing written
// outside, the same bits again.
#include "base/float16.h"
#include "base/thread_pool.h"
#include "engine/backend.h"
#include "engine/cuda/device.h"
#include "engine/cuda/kept_memory.h"
#include "engine/cuda/memory.h"
#include "engine/cuda/weight_store.h"
#include "kernels/cuda/blas_lt.h"
#include "kernels/cuda/kernel.h"
#include "kernels_cpu/support.h"
#include "tensor/convert.h"

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sinew::cuda::test {
namespace {

using cpu::test::Case;
using cpu::test::Source;

constexpr size_t kGuardBytes = 256;

// Device memory with guard bytes around it; contents are NaN before they are written.
class Guarded {
 public:
  Guarded(const void* contents, size_t bytes) : bytes_(bytes) {
    memory_ = DeviceBuffer::allocate(bytes + 2 * kGuardBytes, "test").value();
    EXPECT_EQ(cudaMemset(memory_.data(), 0xA5, memory_.size_bytes()), cudaSuccess);
    EXPECT_EQ(cudaMemset(data(), 0xFF, bytes), cudaSuccess);
    if (contents != nullptr) {
      EXPECT_EQ(cudaMemcpy(data(), contents, bytes, cudaMemcpyHostToDevice), cudaSuccess);
    }
  }

  std::byte* data() const { return memory_.data() + kGuardBytes; }

  std::vector<std::byte> read() const {
    std::vector<std::byte> out(bytes_);
    EXPECT_EQ(cudaMemcpy(out.data(), data(), bytes_, cudaMemcpyDeviceToHost), cudaSuccess);
    return out;
  }

  bool is_intact() const {
    std::vector<std::byte> all(memory_.size_bytes());
    EXPECT_EQ(cudaMemcpy(all.data(), memory_.data(), all.size(), cudaMemcpyDeviceToHost),
              cudaSuccess);
    const auto is_guard = [](std::byte b) { return b == std::byte{0xA5}; };
    return std::all_of(all.begin(), all.begin() + kGuardBytes, is_guard) &&
           std::all_of(all.end() - kGuardBytes, all.end(), is_guard);
  }

 private:
  size_t bytes_;
  DeviceBuffer memory_;
};

std::vector<std::byte> stored_bytes(const Source& source) {
  if (!source.indices.empty()) {
    std::vector<std::byte> out(source.indices.size() * sizeof(int32_t));
    std::memcpy(out.data(), source.indices.data(), out.size());
    return out;
  }
  const size_t size = dtype_bytes(source.dtype);
  std::vector<std::byte> out(source.values.size() * size);
  for (size_t i = 0; i < source.values.size(); ++i) {
    const float x = source.values[i];
    const Bf16 b = to_bf16(x);
    const F16 h = to_f16(x);
    const auto level = static_cast<uint8_t>(source.dtype == DType::kU8 ? x : 0);
    const void* from = source.dtype == DType::kBf16  ? static_cast<const void*>(&b)
                       : source.dtype == DType::kF16 ? static_cast<const void*>(&h)
                       : source.dtype == DType::kU8  ? static_cast<const void*>(&level)
                                                     : &x;
    std::memcpy(out.data() + i * size, from, size);
  }
  return out;
}

// The first row that accepts the case, as a session would choose.
const CudaRow* cuda_row(const Case& c) {
  const cpu::test::PlannedStep planned = cpu::test::planned_step(c);
  for (const CudaRow& row : cuda_rows()) {
    if (row.row.op == c.op &&
        (row.row.refuse == nullptr || !row.row.refuse(planned.plan, planned.step))) {
      return &row;
    }
  }
  return nullptr;
}

class EveryOpOnCuda : public testing::Test {
 protected:
  void SetUp() override {
    const engine::CudaSystem system = engine::cuda_system();
    if (!system.problem.empty()) {
      GTEST_SKIP() << "no GPU: " << system.problem;
    }
    caps_ = open_device(0).value();
    blas_ = BlasLt::open().value();
    cudaStream_t stream = nullptr;
    ASSERT_EQ(cudaStreamCreate(&stream), cudaSuccess);
    stream_ = stream;
    uploader_ = Uploader::make(pool_, stream_).value();
  }

  void TearDown() override {
    uploader_.reset();
    if (stream_ != nullptr) {
      cudaStreamDestroy(stream_);
    }
  }

  // Results of a case, widened to f32, or nothing and a failed test.
  std::vector<std::vector<float>> run(const Case& c, int times) {
    const CudaRow* const row = cuda_row(c);
    EXPECT_NE(row, nullptr) << c.name;
    std::deque<std::vector<std::byte>> host;
    std::deque<Guarded> sources;
    std::deque<Guarded> results;
    BoundStep step{.op = c.op,
                   .attributes = c.attributes,
                   .srcs = {},
                   .src_is_weight = {},
                   .dsts = {},
                   .product_dtype = c.product_dtype};
    for (const Source& source : c.srcs) {
      step.src_is_weight.push_back(source.is_weight);
      if (source.values.empty() && source.indices.empty()) {
        step.srcs.emplace_back(nullptr, DType::kF32, source.shape);
        continue;
      }
      const DType dtype = source.indices.empty() ? source.dtype : DType::kI32;
      std::vector<std::byte> bytes = stored_bytes(source);
      if (source.is_weight) {  // at an odd address, as a file may have it
        bytes.insert(bytes.begin(), std::byte{0});
        step.srcs.emplace_back(host.emplace_back(std::move(bytes)).data() + 1, dtype, source.shape);
      } else {
        step.srcs.emplace_back(sources.emplace_back(bytes.data(), bytes.size()).data(), dtype,
                               source.shape);
      }
    }
    for (const Shape& shape : c.dst_shapes) {
      const size_t bytes = static_cast<size_t>(shape.elements()) * dtype_bytes(c.dst_dtype);
      step.dsts.push_back({results.emplace_back(nullptr, bytes).data(), c.dst_dtype, shape});
    }
    DeviceWeightStore weights;
    ProgramMemory kept;
    const MakeContext context{.weights = weights, .kept = kept, .blas = *blas_, .device = caps_};
    EXPECT_TRUE(row->make(step, context).ok()) << c.name;  // only asks for its parameters
    const Status filled = weights.fill(*uploader_);
    EXPECT_TRUE(filled.ok()) << filled.message();
    auto kernel = row->make(step, context);
    EXPECT_TRUE(kernel.ok()) << c.name << ": " << kernel.status().message();
    EXPECT_EQ(weights.missing_bytes(), 0U) << c.name;
    const Guarded workspace(nullptr, kernel.value()->workspace_bytes());
    for (int i = 0; i < times; ++i) {
      const Status status = kernel.value()->enqueue(stream_, workspace.data());
      EXPECT_TRUE(status.ok()) << c.name << ": " << status.message();
    }
    EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess) << c.name;
    std::vector<std::vector<float>> out;
    for (size_t i = 0; i < results.size(); ++i) {
      EXPECT_TRUE(results[i].is_intact()) << c.name;
      const std::vector<std::byte> bytes = results[i].read();
      std::vector<float> values(static_cast<size_t>(c.dst_shapes[i].elements()));
      convert_to_f32({bytes.data(), c.dst_dtype, c.dst_shapes[i]}, values);
      out.push_back(std::move(values));
    }
    EXPECT_TRUE(workspace.is_intact()) << c.name;
    return out;
  }

  ops::DeviceCaps caps_;
  std::unique_ptr<BlasLt> blas_;
  ThreadPool pool_{2};
  Stream stream_ = nullptr;
  std::optional<Uploader> uploader_;
};

// The bounds of the cases count roundings of double sums; f32 sums of norms have more of them,
// which show where a result is near zero.
constexpr double kBoundFactor = 4;
constexpr double kNearZero = 16 * cpu::test::kRoundoff;  // of the rms of the result

TEST_F(EveryOpOnCuda, MatchesNaiveDoubleLoopsAndStaysInItsMemory) {
  for (const Case& c : cpu::test::all_cases()) {
    const auto results = run(c, 1);
    ASSERT_EQ(results.size(), c.expected.size()) << c.name;
    for (size_t r = 0; r < results.size(); ++r) {
      double worst = 0;
      double difference2 = 0;
      double expected2 = 0;
      ASSERT_EQ(results[r].size(), c.expected[r].size()) << c.name;
      double rms = 0;
      for (const double x : c.expected[r]) {
        rms += x * x / static_cast<double>(c.expected[r].size());
      }
      const double floor = c.op == ops::OpKind::kLayerNorm ? kNearZero * std::sqrt(rms) : 0.0;
      for (size_t i = 0; i < results[r].size(); ++i) {
        const double difference = static_cast<double>(results[r][i]) - c.expected[r][i];
        const double size = std::isfinite(difference) ? std::fabs(difference) : HUGE_VAL;
        difference2 += size * size;
        expected2 += c.expected[r][i] * c.expected[r][i];
        if (size > 0) {
          worst = std::max(worst, size / std::max(c.bound[r][i] + floor, 1e-300));
        }
      }
      EXPECT_LE(worst, kBoundFactor) << c.name << ": result " << r << " is off by " << worst
                                     << " times its bound at worst, relative L2 error "
                                     << std::sqrt(difference2 / std::max(expected2, 1e-300));
    }
  }
}

TEST_F(EveryOpOnCuda, GivesTheSameBitsAgain) {
  for (const Case& c : cpu::test::all_cases()) {
    const auto first = run(c, 1);
    const auto second = run(c, 2);
    for (size_t r = 0; r < first.size(); ++r) {
      EXPECT_TRUE(cpu::test::same_bits(first[r], second[r])) << c.name;
    }
  }
}

// What only products read is stored as bf16: the f32 result, rounded once.
TEST_F(EveryOpOnCuda, StoresBf16AsItsF32ResultRounded) {
  for (const Case& c : cpu::test::all_cases()) {
    if (c.op == ops::OpKind::kLinear || c.op == ops::OpKind::kGatherRows ||
        c.dst_shapes.size() != 1) {
      continue;  // the library may choose another order of sums; rows are copied as they are
    }
    Case narrow = c;
    narrow.dst_dtype = DType::kBf16;
    Case wide = c;
    wide.dst_dtype = DType::kF32;
    std::vector<float> expected = run(wide, 1)[0];
    for (float& x : expected) {
      x = to_float(to_bf16(x));
    }
    EXPECT_TRUE(cpu::test::same_bits(run(narrow, 1)[0], expected)) << c.name;
  }
}

}  // namespace
}  // namespace sinew::cuda::test
