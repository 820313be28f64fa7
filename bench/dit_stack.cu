// The fused diffusion transformer (kernels/cuda/fused/dit_stack.h) at true size with made-up
// weights: checked against an f32 reference and against the same chain with bf16 rounding after
// every operation, then timed as a graph of denoising steps.
//   dit_stack [--tokens n] [--blocks n] [--steps n] [--image n] [--text n] [--replays n]
//             [--in-flight n] [--pace n] [--bits n]
// One JSON line a result; --in-flight 0 tries several. Exit code 1 if a check fails. Built with
// SINEW_DIT_PROFILE it also prints the cycles of each part of a block, and with
// SINEW_DIT_NO_WEIGHTS the numbers are wrong and the time is that of the chain of exchanges alone.
#include "kernels/cuda/fused/dit_stack.h"

#include <cuda_bf16.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace dit = sinew::cuda::dit;

#ifdef SINEW_DIT_PROFILE
namespace sinew::cuda::dit {
void read_profile(long long (&cycles)[32]);
}
#endif

namespace {

void check(cudaError_t error, const char* what, int line) {
  if (error != cudaSuccess) {
    std::printf("{\"error\":\"%s, line %d: %s\"}\n", what, line, cudaGetErrorString(error));
    std::exit(1);
  }
}

#define CHECK(call) check(call, #call, __LINE__)

struct Options {
  int tokens = 17, blocks = 32, steps = 4, image = 180, text = 42, replays = 300,
      in_flight = dit::kStagesInFlight;
  int pace = dit::kCyclesPerCopy;  // cycles between requests of 6 KB
  int bits = 100;                  // replays that must give the same bits
};

template <class T>
T* device_array(size_t count) {
  T* p = nullptr;
  CHECK(cudaMalloc(&p, count * sizeof(T)));
  CHECK(cudaMemset(p, 0xFF, count * sizeof(T)));  // NaN
  return p;
}

// --- made-up numbers: a hash of (seed, index), uniform in [-1, 1)
__host__ __device__ float uniform(uint32_t seed, uint32_t index) {
  uint32_t h = seed * 0x9E3779B1U ^ index * 0x85EBCA77U;
  h ^= h >> 16, h *= 0x7FEB352DU, h ^= h >> 15, h *= 0x846CA68BU, h ^= h >> 16;
  return static_cast<float>(static_cast<int32_t>(h)) * 4.6566129e-10F;
}

__global__ void fill_bf16(__nv_bfloat16* p, size_t count, uint32_t seed, float scale) {
  for (size_t i = blockIdx.x * size_t{blockDim.x} + threadIdx.x; i < count;
       i += size_t{gridDim.x} * blockDim.x) {
    p[i] = __float2bfloat16(scale * uniform(seed, static_cast<uint32_t>(i)));
  }
}

__global__ void fill_f32(float* p, size_t count, uint32_t seed, float scale, float middle) {
  for (size_t i = blockIdx.x * size_t{blockDim.x} + threadIdx.x; i < count;
       i += size_t{gridDim.x} * blockDim.x) {
    p[i] = middle + scale * uniform(seed, static_cast<uint32_t>(i));
  }
}

__nv_bfloat16* made_bf16(size_t count, uint32_t seed, float scale) {
  auto* p = device_array<__nv_bfloat16>(count);
  fill_bf16<<<1024, 256>>>(p, count, seed, scale);
  return p;
}

float* made_f32(size_t count, uint32_t seed, float scale, float middle = 0) {
  auto* p = device_array<float>(count);
  fill_f32<<<256, 256>>>(p, count, seed, scale, middle);
  return p;
}

// --- reference: plain kernels in f32; `rounded`: to bf16 after every operation
__device__ float maybe_rounded(float v, bool rounded) {
  return rounded ? __bfloat162float(__float2bfloat16(v)) : v;
}

__device__ float warp_sum(float v) {
  for (int o = 16; o > 0; o /= 2) {
    v += __shfl_xor_sync(~0U, v, o);
  }
  return v;
}

__global__ void reference_norm(const float* x, const float* scale, const float* shift,
                               float epsilon, float* y, bool rounded) {
  const float* row = x + size_t{blockIdx.x} * dit::kWidth;
  const int lane = static_cast<int>(threadIdx.x);
  float mean = 0;
  for (int k = lane; k < dit::kWidth; k += 32) {
    mean += row[k];
  }
  mean = warp_sum(mean) / dit::kWidth;
  float square = 0;
  for (int k = lane; k < dit::kWidth; k += 32) {
    square += (row[k] - mean) * (row[k] - mean);
  }
  const float inverse = rsqrtf(warp_sum(square) / dit::kWidth + epsilon);
  for (int k = lane; k < dit::kWidth; k += 32) {
    float v = maybe_rounded((row[k] - mean) * inverse, rounded);
    if (scale != nullptr) {
      v = maybe_rounded(v * maybe_rounded(1.F + maybe_rounded(scale[k], rounded), rounded),
                        rounded);
      v = maybe_rounded(v + maybe_rounded(shift[k], rounded), rounded);
    }
    y[size_t{blockIdx.x} * dit::kWidth + k] = v;
  }
}

// y[t, n] = x[t, k] w[n, k]^T + b; then gelu, or added to `residual`
__global__ void reference_linear(const float* x, const __nv_bfloat16* w, const float* b, int k,
                                 int n, bool gelu, const float* residual, float* y, bool rounded) {
  const int row = static_cast<int>(blockIdx.x);
  const int token = static_cast<int>(blockIdx.y);
  const int lane = static_cast<int>(threadIdx.x);
  double sum = 0;
  for (int i = lane; i < k; i += 32) {
    sum += static_cast<double>(x[size_t(token) * k + i]) * __bfloat162float(w[size_t(row) * k + i]);
  }
  for (int o = 16; o > 0; o /= 2) {
    sum += __shfl_xor_sync(~0U, sum, o);
  }
  if (lane == 0) {
    float v = maybe_rounded(static_cast<float>(sum) + maybe_rounded(b[row], rounded), rounded);
    if (gelu) {
      v = 0.5F * v * (1.F + tanhf(0.7978845608F * (v + 0.044715F * v * v * v)));
    }
    if (residual != nullptr) {
      v += residual[size_t(token) * n + row];
    }
    y[size_t(token) * n + row] = maybe_rounded(v, rounded);
  }
}

__global__ void widen(const __nv_bfloat16* x, size_t count, float* y) {
  for (size_t i = blockIdx.x * size_t{blockDim.x} + threadIdx.x; i < count;
       i += size_t{gridDim.x} * blockDim.x) {
    y[i] = __bfloat162float(x[i]);
  }
}

__global__ void reference_attention(const float* q, const float* k, const float* v, int keys,
                                    float* out, bool rounded) {
  __shared__ float p[512];
  const int head = static_cast<int>(blockIdx.x) * dit::kHeadDim;
  const int lane = static_cast<int>(threadIdx.x);
  const float* query = q + size_t{blockIdx.y} * dit::kWidth + head;
  float top = -INFINITY;
  for (int s = lane; s < keys; s += 32) {
    float dot = 0;
    for (int i = 0; i < dit::kHeadDim; ++i) {
      dot += query[i] * k[size_t(s) * dit::kWidth + head + i];
    }
    p[s] = dot * 0.14433756729740643F;
    top = fmaxf(top, p[s]);
  }
  for (int o = 16; o > 0; o /= 2) {
    top = fmaxf(top, __shfl_xor_sync(~0U, top, o));
  }
  float sum = 0;
  for (int s = lane; s < keys; s += 32) {
    p[s] = expf(p[s] - top);
    sum += p[s];
  }
  sum = warp_sum(sum);
  __syncwarp();
  for (int i = lane; i < dit::kHeadDim; i += 32) {
    float o = 0;
    for (int s = 0; s < keys; ++s) {
      o += maybe_rounded(p[s], rounded) * v[size_t(s) * dit::kWidth + head + i];
    }
    out[size_t{blockIdx.y} * dit::kWidth + head + i] = maybe_rounded(o / sum, rounded);
  }
}

struct Model {
  Options o;
  std::vector<dit::BlockMatrices> weights;
  std::vector<dit::BlockBiases> biases;
  std::vector<dit::BlockModulation> modulation;  // of one step
  std::vector<__nv_bfloat16*> k, v;              // of cross blocks
  std::vector<int> keys;
  float* x = nullptr;
  std::vector<std::byte*> packed;
  float* vectors = nullptr;
  std::vector<std::byte*> context;
  std::byte* workspace = nullptr;
};

Model made_model(const Options& o) {
  Model m;
  m.o = o;
  constexpr size_t kSquare = size_t{dit::kWidth} * dit::kWidth;
  constexpr size_t kFeed = size_t{dit::kWidth} * dit::kHidden;
  const float narrow = std::sqrt(3.F / dit::kWidth);
  const float wide = std::sqrt(3.F / dit::kHidden);
  for (int b = 0; b < o.blocks; ++b) {
    const auto seed = static_cast<uint32_t>(1000 + 20 * b);
    const bool self = !dit::is_cross(b);
    m.weights.push_back({.q_w = made_bf16(kSquare, seed, narrow),
                         .k_w = self ? made_bf16(kSquare, seed + 1, narrow) : nullptr,
                         .v_w = self ? made_bf16(kSquare, seed + 2, narrow) : nullptr,
                         .out_w = made_bf16(kSquare, seed + 3, narrow),
                         .up_w = made_bf16(kFeed, seed + 4, narrow),
                         .down_w = made_bf16(kFeed, seed + 5, wide)});
    m.biases.push_back({.q_b = made_f32(dit::kWidth, seed + 6, 0.1F),
                        .k_b = self ? made_f32(dit::kWidth, seed + 7, 0.1F) : nullptr,
                        .v_b = self ? made_f32(dit::kWidth, seed + 8, 0.1F) : nullptr,
                        .out_b = made_f32(dit::kWidth, seed + 9, 0.1F),
                        .up_b = made_f32(dit::kHidden, seed + 10, 0.1F),
                        .down_b = made_f32(dit::kWidth, seed + 11, 0.1F)});
    m.modulation.push_back({.scale = made_f32(dit::kWidth, seed + 12, 0.3F),
                            .shift = made_f32(dit::kWidth, seed + 13, 0.3F)});
    if (!self) {
      const int keys = b % 4 == 0 ? o.text : o.image;
      m.keys.push_back(keys);
      m.k.push_back(made_bf16(size_t(keys) * dit::kWidth, seed + 14, 1.7F));
      m.v.push_back(made_bf16(size_t(keys) * dit::kWidth, seed + 15, 1.7F));
    }
  }
  m.x = made_f32(size_t(o.tokens) * dit::kWidth, 7, 1.7F, 0.3F);
  m.vectors = device_array<float>(dit::vector_floats(o.blocks));
  m.workspace = device_array<std::byte>(dit::workspace(dit::token_tiles(o.tokens)).bytes);
  dit::Contexts contexts{};
  for (int b = 0; b < o.blocks; ++b) {
    const bool cross = dit::is_cross(b);
    m.packed.push_back(device_array<std::byte>(dit::block_bytes(cross)));
    CHECK(dit::pack_block(m.weights[b], cross, m.packed[b], nullptr));
    CHECK(dit::fold_block(m.packed[b], m.biases[b], m.modulation[b], b, m.vectors, nullptr));
    if (cross) {
      m.context.push_back(device_array<std::byte>(dit::context_bytes(m.keys[b / 2])));
      contexts.of[b / 2] = {m.k[b / 2], m.v[b / 2], m.context[b / 2], m.keys[b / 2]};
    }
  }
  CHECK(dit::pack_contexts(contexts, o.blocks / 2, nullptr));
  CHECK(dit::prepare_workspace(m.workspace, o.tokens, nullptr));
  CHECK(cudaDeviceSynchronize());
  return m;
}

std::vector<float> reference(const Model& m, bool rounded) {
  const int t = m.o.tokens;
  const size_t size = size_t(t) * dit::kWidth;
  auto* x = device_array<float>(size);
  auto* n = device_array<float>(size);
  auto* q = device_array<float>(size);
  const size_t rows = std::max({t, m.o.image, m.o.text});
  auto* k = device_array<float>(rows * dit::kWidth);
  auto* v = device_array<float>(rows * dit::kWidth);
  auto* o = device_array<float>(size);
  auto* h = device_array<float>(size_t(t) * dit::kHidden);
  CHECK(cudaMemcpy(x, m.x, size * 4, cudaMemcpyDeviceToDevice));
  const auto linear = [&](const float* in, const void* w, const float* b, int from, int to,
                          bool gelu, const float* residual, float* out) {
    reference_linear<<<dim3(to, t), 32>>>(in, static_cast<const __nv_bfloat16*>(w), b, from, to,
                                          gelu, residual, out, rounded);
  };
  constexpr int kD = dit::kWidth;
  for (int b = 0; b < m.o.blocks; ++b) {
    const dit::BlockMatrices& w = m.weights[b];
    const dit::BlockBiases& bias = m.biases[b];
    reference_norm<<<t, 32>>>(x, m.modulation[b].scale, m.modulation[b].shift, 1e-5F, n, rounded);
    linear(n, w.q_w, bias.q_b, kD, kD, false, nullptr, q);
    int keys = t;
    if (dit::is_cross(b)) {
      keys = m.keys[b / 2];
      widen<<<256, 256>>>(m.k[b / 2], size_t(keys) * kD, k);
      widen<<<256, 256>>>(m.v[b / 2], size_t(keys) * kD, v);
    } else {
      linear(n, w.k_w, bias.k_b, kD, kD, false, nullptr, k);
      linear(n, w.v_w, bias.v_b, kD, kD, false, nullptr, v);
    }
    reference_attention<<<dim3(dit::kHeads, t), 32>>>(q, k, v, keys, o, rounded);
    linear(o, w.out_w, bias.out_b, kD, kD, false, x, x);
    reference_norm<<<t, 32>>>(x, nullptr, nullptr, 1e-5F, n, rounded);
    linear(n, w.up_w, bias.up_b, kD, dit::kHidden, true, nullptr, h);
    linear(h, w.down_w, bias.down_b, dit::kHidden, kD, false, x, x);
  }
  CHECK(cudaDeviceSynchronize());
  std::vector<float> out(size);
  CHECK(cudaMemcpy(out.data(), x, size * 4, cudaMemcpyDeviceToHost));
  for (void* p :
       {static_cast<void*>(x), static_cast<void*>(n), static_cast<void*>(q), static_cast<void*>(k),
        static_cast<void*>(v), static_cast<void*>(o), static_cast<void*>(h)}) {
    CHECK(cudaFree(p));
  }
  return out;
}

double relative_error(const std::vector<float>& a, const std::vector<float>& b) {
  double error = 0;
  double norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double d = static_cast<double>(a[i]) - b[i];
    if (!std::isfinite(d)) {
      return 1e9;
    }
    error += d * d, norm += static_cast<double>(b[i]) * b[i];
  }
  return std::sqrt(error / norm);
}

dit::StackArguments arguments(const Model& m, float* out) {
  dit::StackArguments a{};
  std::copy(m.packed.begin(), m.packed.end(), a.weights);
  a.vectors = m.vectors, a.x = m.x, a.out = out, a.workspace = m.workspace;
  for (size_t i = 0; i < m.context.size(); ++i) {
    a.context[i] = m.context[i], a.context_tokens[i] = m.keys[i];
  }
  a.tokens = m.o.tokens, a.blocks = m.o.blocks, a.stages_in_flight = m.o.in_flight;
  a.epsilon = 1e-5F, a.cycles_per_copy = m.o.pace;
  return a;
}

cudaGraphExec_t captured(const dit::StackArguments& a, int steps, cudaStream_t stream) {
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  for (int i = 0; i < steps; ++i) {
    CHECK(dit::run_stack(a, stream));
  }
  CHECK(cudaStreamEndCapture(stream, &graph));
  CHECK(cudaGraphInstantiate(&exec, graph, 0));
  CHECK(cudaGraphDestroy(graph));
  return exec;
}

bool check_numbers(const Model& m, float* out, cudaStream_t stream) {
  const std::vector<float> exact = reference(m, false);
  const std::vector<float> rounded = reference(m, true);
  dit::StackArguments a = arguments(m, out);
  a.stages_in_flight = std::max(1, a.stages_in_flight);
  const size_t size = exact.size();
  std::vector<float> first(size);
  CHECK(dit::run_stack(a, stream));
  CHECK(cudaStreamSynchronize(stream));
  CHECK(cudaMemcpy(first.data(), out, size * 4, cudaMemcpyDeviceToHost));
  cudaGraphExec_t exec = captured(a, 1, stream);
  int different = 0;
  for (int i = 0; i < m.o.bits; ++i) {
    std::vector<float> again(size);
    CHECK(cudaMemsetAsync(out, 0xFF, size * 4, stream));
    CHECK(cudaGraphLaunch(exec, stream));
    CHECK(cudaStreamSynchronize(stream));
    CHECK(cudaMemcpy(again.data(), out, size * 4, cudaMemcpyDeviceToHost));
    different += static_cast<int>(std::memcmp(again.data(), first.data(), size * 4) != 0);
  }
  CHECK(cudaGraphExecDestroy(exec));
  const double error = relative_error(first, exact);
  const double allowed = 2 * relative_error(rounded, exact);
  const bool good = error <= allowed && different == 0;
  std::printf(
      "{\"check\":\"dit_stack\",\"tokens\":%d,\"blocks\":%d,\"error\":%.3e,"
      "\"error_of_bf16_chain\":%.3e,\"replays\":%d,\"different\":%d,\"good\":%s}\n",
      m.o.tokens, m.o.blocks, error, allowed / 2, m.o.bits, different, good ? "true" : "false");
  std::fflush(stdout);
  return good;
}

void time_steps(const Model& m, int steps, int in_flight, int pace, float* out,
                cudaStream_t stream) {
  dit::StackArguments a = arguments(m, out);
  a.stages_in_flight = in_flight, a.cycles_per_copy = pace;
  cudaGraphExec_t exec = captured(a, steps, stream);
  cudaEvent_t begin = nullptr;
  cudaEvent_t end = nullptr;
  CHECK(cudaEventCreate(&begin));
  CHECK(cudaEventCreate(&end));
  std::vector<float> times;
  for (int i = -10; i < m.o.replays; ++i) {
    CHECK(cudaEventRecord(begin, stream));
    CHECK(cudaGraphLaunch(exec, stream));
    CHECK(cudaEventRecord(end, stream));
    CHECK(cudaEventSynchronize(end));
    float ms = 0;
    CHECK(cudaEventElapsedTime(&ms, begin, end));
    if (i >= 0) {
      times.push_back(ms);
    }
  }
  std::sort(times.begin(), times.end());
  const double median = times[times.size() / 2];
  double bytes = 0;
  for (int b = 0; b < m.o.blocks; ++b) {
    bytes += static_cast<double>(dit::block_bytes(dit::is_cross(b))) * steps;
  }
  std::printf(
      "{\"time\":\"dit_stack\",\"tokens\":%d,\"blocks\":%d,\"steps\":%d,\"image\":%d,"
      "\"text\":%d,\"in_flight\":%d,\"pace\":%d,\"replays\":%d,\"ms_median\":%.4f,\"ms_p99\":%.4f,"
      "\"ms_per_step\":%.4f,\"weights_TBps\":%.3f}\n",
      m.o.tokens, m.o.blocks, steps, m.o.image, m.o.text, in_flight, pace, m.o.replays, median,
      times[times.size() * 99 / 100], median / steps, bytes / median / 1e9);
  std::fflush(stdout);
  CHECK(cudaGraphExecDestroy(exec));
#ifdef SINEW_DIT_PROFILE
  long long cycles[32];
  sinew::cuda::dit::read_profile(cycles);
  const double runs = (m.o.replays + 10.0) * steps * m.o.blocks;
  std::printf("{\"cycles_per_block\":[");
  for (int i = 0; i < 13; ++i) {
    std::printf("%.0f,", static_cast<double>(cycles[i]) / runs);
  }
  std::printf("0]}\n");
#endif
}

int option(int argc, char** argv, const char* name, int fallback) {
  for (int i = 1; i + 1 < argc; ++i) {
    if (std::strcmp(argv[i], name) == 0) {
      return std::atoi(argv[i + 1]);
    }
  }
  return fallback;
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  const auto read = [&](const char* name, int& value) { value = option(argc, argv, name, value); };
  read("--tokens", o.tokens);
  read("--blocks", o.blocks);
  read("--steps", o.steps);
  read("--image", o.image);
  read("--text", o.text);
  read("--replays", o.replays);
  read("--in-flight", o.in_flight);
  read("--bits", o.bits);
  read("--pace", o.pace);
  cudaDeviceProp device{};
  CHECK(cudaGetDeviceProperties(&device, 0));
  std::printf("{\"device\":\"%s\",\"processors\":%d}\n", device.name, device.multiProcessorCount);
  CHECK(dit::check_device(o.tokens));
  const Model m = made_model(o);
  cudaStream_t stream = nullptr;
  CHECK(cudaStreamCreate(&stream));
  auto* out = device_array<float>(size_t(o.tokens) * dit::kWidth);
  const bool good = o.bits == 0 || check_numbers(m, out, stream);
  if (o.replays > 0) {
    if (o.in_flight > 0) {
      time_steps(m, o.steps, o.in_flight, o.pace, out, stream);
    } else {
      for (int f : {1, 2, 3, 4}) {
        for (int pace : {0, 240, 280, 320, 360, 400, 440}) {
          time_steps(m, o.steps, f, pace, out, stream);
        }
      }
    }
  }
  return good ? 0 : 1;
}
