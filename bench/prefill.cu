// The fused products, attention and whole blocks of vision and language on a CUDA device: their
// errors against float64 (check), the fastest tile of every product (tune), and the time of all
// layers from graph replays over distinct weights (blocks). Prints tables; see docs/performance.md.
// Size: one program, so that one build answers all three questions about the same operands.
#include "kernels/cuda/fused/lm_block.h"
#include "kernels/cuda/fused/norm_fold.h"
#include "kernels/cuda/fused/vit_block.h"
#include "kernels_cuda/reference.cuh"

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <string>

namespace {

using namespace sinew;
using cuda::GemmEpilogue;
using cuda::GemmTile;
using reference::Array;
using reference::Bf16;

int failures = 0;

void must(Status status) {
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.message().c_str());
    std::exit(2);
  }
}

template <class T>
T must(Result<T> result) {
  if (!result.ok()) {
    std::fprintf(stderr, "%s\n", result.status().message().c_str());
    std::exit(2);
  }
  return std::move(result).value();
}

ops::DeviceCaps device_caps() {
  cudaDeviceProp p{};
  SINEW_CUDA(cudaGetDeviceProperties(&p, 0));
  std::printf("%s, %d multiprocessors\n", p.name, p.multiProcessorCount);
  return {.compute_capability = p.major * 10 + p.minor,
          .multiprocessors = p.multiProcessorCount,
          .block_shared_bytes = p.sharedMemPerBlockOptin,
          .l2_bytes = static_cast<size_t>(p.l2CacheSize),
          .is_integrated = p.integrated != 0,
          .has_own_code = true};
}

// Median time of a graph of what `enqueue` puts on the stream, microseconds.
double graph_us(const std::function<void(cudaStream_t)>& enqueue, int replays) {
  static cudaStream_t stream = [] {
    cudaStream_t s = nullptr;
    SINEW_CUDA(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    return s;
  }();
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  SINEW_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  enqueue(stream);
  SINEW_CUDA(cudaStreamEndCapture(stream, &graph));
  SINEW_CUDA(cudaGraphInstantiate(&executable, graph, 0));
  std::vector<cudaEvent_t> events(static_cast<size_t>(replays) + 1);
  for (auto& event : events) {
    SINEW_CUDA(cudaEventCreate(&event));
  }
  SINEW_CUDA(cudaGraphLaunch(executable, stream));
  SINEW_CUDA(cudaGraphLaunch(executable, stream));
  for (int i = 0; i <= replays; ++i) {
    SINEW_CUDA(cudaEventRecord(events[static_cast<size_t>(i)], stream));
    if (i < replays) {
      SINEW_CUDA(cudaGraphLaunch(executable, stream));
    }
  }
  SINEW_CUDA(cudaStreamSynchronize(stream));
  std::vector<float> times;
  for (size_t i = 0; i + 1 < events.size(); ++i) {
    float ms = 0;
    SINEW_CUDA(cudaEventElapsedTime(&ms, events[i], events[i + 1]));
    times.push_back(ms);
  }
  for (auto& event : events) {
    SINEW_CUDA(cudaEventDestroy(event));
  }
  SINEW_CUDA(cudaGraphExecDestroy(executable));
  SINEW_CUDA(cudaGraphDestroy(graph));
  std::nth_element(times.begin(), times.begin() + replays / 2, times.end());
  return 1e3 * static_cast<double>(times[static_cast<size_t>(replays) / 2]);
}

const char* name_of(GemmEpilogue e) {
  switch (e) {
    case GemmEpilogue::kBias:
      return "bias";
    case GemmEpilogue::kGeluTanh:
      return "gelu_tanh";
    case GemmEpilogue::kGeluErf:
      return "gelu_erf";
    case GemmEpilogue::kResidual:
      return "residual";
    case GemmEpilogue::kSwiGlu:
      return "swiglu";
    case GemmEpilogue::kHeadRope:
      return "head_rope";
  }
  return "?";
}

std::string text_of(const GemmTile& t) {
  return std::to_string(t.columns) + " m" + std::to_string(t.cluster_m) + " n" +
         std::to_string(t.cluster_n) + " k" + std::to_string(t.split_k) + " s" +
         std::to_string(t.stages);
}

// Operands of one product, with `sets` weight matrices.
struct Product {
  GemmEpilogue epilogue;
  int64_t m, n, k;
  Array<Bf16> a;
  std::vector<Array<Bf16>> w;
  Array<float> bias, residual, q_norm, k_norm, cos, sin;
  Array<float> out_f32;
  Array<Bf16> out_bf16;

  Product(GemmEpilogue e, int64_t m_, int64_t n_, int64_t k_, int sets)
      : epilogue(e),
        m(m_),
        n(n_),
        k(k_),
        a(reference::random<Bf16>(static_cast<size_t>(m * k), 1, 1)),
        bias(reference::random<float>(static_cast<size_t>(n), 2, 0.3F)),
        residual(reference::random<float>(static_cast<size_t>(m * n), 3, 1)),
        q_norm(reference::random<float>(128, 4, 0.2F, 1)),
        k_norm(reference::random<float>(128, 5, 0.2F, 1)),
        cos(reference::random<float>(static_cast<size_t>(m * 64), 6, 0.5F)),
        sin(reference::random<float>(static_cast<size_t>(m * 64), 7, 0.5F)),
        out_f32(static_cast<size_t>(m * n)),
        out_bf16(static_cast<size_t>(m * n)) {
    for (int i = 0; i < sets; ++i) {
      w.push_back(reference::random<Bf16>(static_cast<size_t>(n * k), 10 + static_cast<uint64_t>(i),
                                          1 / std::sqrt(static_cast<float>(k))));
    }
  }

  int64_t q_heads() const { return n / 128 / 2; }

  int64_t k_heads() const { return (n / 128 - q_heads()) / 2; }

  cuda::GemmArgs args(size_t set) const {
    const bool is_f32 = epilogue == GemmEpilogue::kResidual;
    const bool has_bias = epilogue != GemmEpilogue::kSwiGlu && epilogue != GemmEpilogue::kHeadRope;
    return {.epilogue = epilogue,
            .m = m,
            .n = n,
            .k = k,
            .a = a.get(),
            .w = w[set % w.size()].get(),
            .bias = has_bias ? bias.get() : nullptr,
            .residual = is_f32 ? residual.get() : nullptr,
            .out = is_f32 ? static_cast<void*>(out_f32.get()) : static_cast<void*>(out_bf16.get()),
            .head_rope = {.q_norm = q_norm.get(),
                          .k_norm = k_norm.get(),
                          .cos = cos.get(),
                          .sin = sin.get(),
                          .q_heads = q_heads(),
                          .k_heads = k_heads(),
                          .epsilon = 1e-6F}};
  }

  std::vector<float> expected() const;
};

std::vector<float> columns_of(const std::vector<float>& x, int64_t rows, int64_t width,
                              int64_t first, int64_t count) {
  std::vector<float> y;
  for (int64_t r = 0; r < rows; ++r) {
    y.insert(y.end(), x.begin() + r * width + first, x.begin() + r * width + first + count);
  }
  return y;
}

std::vector<float> Product::expected() const {
  const auto elements = static_cast<size_t>(m * n);
  const cuda::GemmArgs operands = args(0);
  Array<float> y(elements);
  reference::linear(y.get(), a.get(), w[0].get(), operands.bias, m, n, k);
  using reference::Map;
  switch (epilogue) {
    case GemmEpilogue::kGeluTanh:
      reference::map(y.get(), y.get(), nullptr, elements, Map::kGeluTanh);
      break;
    case GemmEpilogue::kGeluErf:
      reference::map(y.get(), y.get(), nullptr, elements, Map::kGeluErf);
      break;
    case GemmEpilogue::kResidual:
      reference::map(y.get(), y.get(), residual.get(), elements, Map::kAdd);
      break;
    case GemmEpilogue::kSwiGlu: {
      const std::vector<float> both = y.host();
      std::vector<float> gated;
      for (int64_t r = 0; r < m; ++r) {
        for (int64_t c = 0; c < n / 2; ++c) {
          const double g = both[static_cast<size_t>(r * n + c)];
          gated.push_back(static_cast<float>(g / (1 + std::exp(-g)) *
                                             both[static_cast<size_t>(r * n + n / 2 + c)]));
        }
      }
      return gated;
    }
    case GemmEpilogue::kHeadRope: {
      const std::vector<float> all = y.host();
      std::vector<float> rotated = all;
      const auto rotate = [&](int64_t first, int64_t heads, const float* weight) {
        const std::vector<float> part = columns_of(all, m, n, first * 128, heads * 128);
        Array<float> x(part.size());
        SINEW_CUDA(cudaMemcpy(x.get(), part.data(), part.size() * 4, cudaMemcpyHostToDevice));
        reference::norm(x.get(), x.get(), weight, nullptr, m * heads, 128, 1e-6);
        reference::rope(x.get(), cos.get(), sin.get(), m, heads);
        const std::vector<float> done = x.host();
        for (int64_t r = 0; r < m; ++r) {
          std::copy_n(done.begin() + r * heads * 128, heads * 128,
                      rotated.begin() + r * n + first * 128);
        }
      };
      rotate(0, q_heads(), q_norm.get());
      rotate(q_heads(), k_heads(), k_norm.get());
      return rotated;
    }
    case GemmEpilogue::kBias:
      break;
  }
  return y.host();
}

std::vector<GemmTile> candidates(GemmEpilogue e, int64_t m, int64_t n, bool all) {
  std::vector<GemmTile> tiles;
  for (const int columns : cuda::gemm_tile_columns(e)) {
    for (const int cm : {1, 2, 4}) {
      for (const int cn : {1, 2, 4}) {
        for (const int sk : {1, 2, 4}) {
          GemmTile t{.columns = columns, .cluster_m = cm, .cluster_n = cn, .split_k = sk};
          if (!cuda::gemm_tile_fits(e, t) || (!all && cm > (m + 127) / 128)) {
            continue;
          }
          const int64_t blocks = (m + 127) / 128 * ((n + columns - 1) / columns) * sk;
          if (!all && (blocks < 60 || (sk > 1 && blocks > 300))) {
            continue;
          }
          t.stages = cuda::gemm_most_stages(t, columns <= 96 ? 2 : 1);
          tiles.push_back(t);
          if (!all && columns <= 96 && blocks <= 132) {  // a multiprocessor each: deeper rings
            t.stages = cuda::gemm_most_stages(t, 1);
            tiles.push_back(t);
          }
        }
      }
    }
  }
  return tiles;
}

void check_product(GemmEpilogue e, int64_t m, int64_t n, int64_t k, const ops::DeviceCaps& device) {
  Product p(e, m, n, k, 1);
  const std::vector<float> expected = p.expected();
  double worst = 0;
  int count = 0;
  const bool has_tiles = cuda::gemm_body(device) == cuda::GemmBody::kSm90;
  for (const GemmTile& tile :
       has_tiles ? candidates(e, m, n, true) : std::vector<GemmTile>{GemmTile{}}) {
    must(cuda::prepare_gemm(e, tile, device));
    double error[2];
    std::vector<float> first;
    for (int run = 0; run < 2; ++run) {
      p.out_bf16.poison();
      p.out_f32.poison();
      must(cuda::enqueue_gemm(p.args(0), tile, device, nullptr));
      SINEW_CUDA(cudaDeviceSynchronize());
      std::vector<float> got;
      if (e == GemmEpilogue::kResidual) {
        got = p.out_f32.host();
      } else {
        for (const Bf16 v : p.out_bf16.host()) {
          got.push_back(static_cast<float>(v));
        }
      }
      got.resize(expected.size());
      error[run] = reference::distance(got, expected);
      if (run == 1 && std::memcmp(got.data(), first.data(), got.size() * 4) != 0) {
        error[run] = std::nan("");
      }
      first = got;
    }
    const double bound = e == GemmEpilogue::kResidual ? 1e-5 : 3e-3;
    if (!(error[0] < bound && error[1] < bound)) {
      std::printf("FAILED %s [%lld, %lld, %lld] tile %s: error %.2e %.2e\n", name_of(e),
                  static_cast<long long>(m), static_cast<long long>(n), static_cast<long long>(k),
                  text_of(tile).c_str(), error[0], error[1]);
      ++failures;
    } else {
      worst = std::max(worst, error[0]);
    }
    ++count;
  }
  std::printf("product %-9s [%lld, %lld, %lld]: %d tiles, largest error %.2e\n", name_of(e),
              static_cast<long long>(m), static_cast<long long>(n), static_cast<long long>(k),
              count, worst);
}

// A product with residual, and one behind it that applies a layer norm of its rows.
struct NormedPair {
  Product before, behind;
  Array<float> weight, shift, gain, offset, statistics, centres;
  Array<Bf16> rows;

  NormedPair(GemmEpilogue e, int64_t m, int64_t n, int64_t k)
      : before(GemmEpilogue::kResidual, m, k, n, 1),
        behind(e, m, n, k, 1),
        weight(reference::random<float>(static_cast<size_t>(k), 31, 0.2F, 1)),
        shift(reference::random<float>(static_cast<size_t>(k), 32, 0.1F)),
        gain(static_cast<size_t>(n)),
        offset(static_cast<size_t>(n)),
        statistics(static_cast<size_t>(cuda::row_statistics_stride(m) * cuda::kMostRowParts * 2)),
        centres(static_cast<size_t>(m)),
        rows(static_cast<size_t>(m * k)) {
    // Parameters are of bf16: these are the same values.
    const auto bias = reference::random<Bf16>(static_cast<size_t>(n), 2, 0.3F);
    const auto norm_weight = reference::random<Bf16>(static_cast<size_t>(k), 31, 0.2F, 1);
    const auto norm_shift = reference::random<Bf16>(static_cast<size_t>(k), 32, 0.1F);
    must(cuda::enqueue_norm_fold({.n = n,
                                  .k = k,
                                  .w = behind.w[0].get(),
                                  .bias = bias.get(),
                                  .weight = norm_weight.get(),
                                  .shift = norm_shift.get(),
                                  .gain = gain.get(),
                                  .offset = offset.get()},
                                 nullptr));
    SINEW_CUDA(cudaDeviceSynchronize());
  }

  std::vector<float> expected() const {
    const std::vector<float> y = before.expected();
    Array<float> normed(y.size());
    SINEW_CUDA(cudaMemcpy(normed.get(), y.data(), y.size() * 4, cudaMemcpyHostToDevice));
    reference::norm(normed.get(), normed.get(), weight.get(), shift.get(), behind.m, behind.k,
                    1e-6);
    Array<float> out(static_cast<size_t>(behind.m * behind.n));
    reference::linear(out.get(), normed.get(), behind.w[0].get(), behind.bias.get(), behind.m,
                      behind.n, behind.k);
    if (behind.epilogue != GemmEpilogue::kBias) {
      reference::map(out.get(), out.get(), nullptr, out.size(),
                     behind.epilogue == GemmEpilogue::kGeluTanh ? reference::Map::kGeluTanh
                                                                : reference::Map::kGeluErf);
    }
    return out.host();
  }

  std::vector<float> run(const GemmTile& first, const GemmTile& second,
                         const ops::DeviceCaps& device) {
    // Any centre is right; one that is near costs no accuracy.
    const std::vector<float> near(static_cast<size_t>(behind.m), 0.125F);
    SINEW_CUDA(cudaMemcpy(centres.get(), near.data(), near.size() * 4, cudaMemcpyHostToDevice));
    statistics.poison();
    rows.poison();
    behind.out_bf16.poison();
    cuda::GemmArgs a = before.args(0);
    a.ahead = {.rows = rows.get(),
               .weight = weight.get(),
               .centres = centres.get(),
               .statistics = statistics.get()};
    cuda::GemmArgs b = behind.args(0);
    b.a = rows.get();
    b.bias = offset.get();
    b.behind = {.statistics = statistics.get(),
                .parts = cuda::gemm_row_parts(first, behind.k),
                .gain = gain.get(),
                .centres = centres.get(),
                .epsilon = 1e-6F};
    must(cuda::prepare_gemm(a.epilogue, first, device));
    must(cuda::prepare_gemm(b.epilogue, second, device));
    must(cuda::enqueue_gemm(a, first, device, nullptr));
    must(cuda::enqueue_gemm(b, second, device, nullptr));
    SINEW_CUDA(cudaDeviceSynchronize());
    std::vector<float> got;
    for (const Bf16 v : behind.out_bf16.host()) {
      got.push_back(static_cast<float>(v));
    }
    return got;
  }

  // The largest distance of a centre, moved on, from its row's mean.
  double centre_error(const std::vector<float>& rows_before) const {
    const std::vector<float> moved = centres.host();
    const auto k = static_cast<size_t>(behind.k);
    double worst = 0;
    for (size_t r = 0; r < moved.size(); ++r) {
      double sum = 0;
      for (size_t c = 0; c < k; ++c) {
        sum += static_cast<double>(rows_before[r * k + c]);
      }
      worst =
          std::max(worst, std::abs(sum / static_cast<double>(k) - static_cast<double>(moved[r])));
    }
    return worst;
  }
};

// Every tile before one that is behind, and every tile behind one that is before.
void check_norm_behind(GemmEpilogue e, int64_t m, int64_t n, int64_t k,
                       const ops::DeviceCaps& device) {
  NormedPair pair(e, m, n, k);
  const std::vector<float> rows = pair.before.expected();
  const std::vector<float> expected = pair.expected();
  const auto before = candidates(GemmEpilogue::kResidual, m, k, true);
  const auto behind = candidates(e, m, n, true);
  double worst = 0;
  double worst_centre = 0;
  int count = 0;
  for (size_t i = 0; i < std::max(before.size(), behind.size()); ++i) {
    const GemmTile& first = before[i % before.size()];
    const GemmTile& second = behind[i % behind.size()];
    if (cuda::gemm_row_parts(first, k) > cuda::kMostRowParts) {
      continue;
    }
    const std::vector<float> got = pair.run(first, second, device);
    const double error = reference::distance(got, expected);
    const double centre = pair.centre_error(rows);
    const bool is_equal = pair.run(first, second, device) == got;
    if (!(error < 3e-3 && centre < 1e-5 && is_equal)) {
      std::printf("FAILED norm between tiles %s and %s: error %.2e, centres %.2e, replays %s\n",
                  text_of(first).c_str(), text_of(second).c_str(), error, centre,
                  is_equal ? "equal" : "DIFFER");
      ++failures;
    }
    worst = std::max(worst, error);
    worst_centre = std::max(worst_centre, centre);
    ++count;
  }
  std::printf(
      "norm behind %-9s [%lld, %lld, %lld]: %d pairs, largest error %.2e, of centres %.2e\n",
      name_of(e), static_cast<long long>(m), static_cast<long long>(n), static_cast<long long>(k),
      count, worst, worst_centre);
}

void check_attention(reference::AttentionShape s) {
  const int64_t width = int64_t{s.heads} * s.head_dim;
  const int64_t kv_width = int64_t{s.kv_heads} * s.head_dim;
  const auto q = reference::random<Bf16>(static_cast<size_t>(s.segments * s.queries * width), 1, 2);
  const auto k = reference::random<Bf16>(static_cast<size_t>(s.segments * s.keys * kv_width), 2, 2);
  const auto v = reference::random<Bf16>(static_cast<size_t>(s.segments * s.keys * kv_width), 3, 1);
  Array<float> exact(q.size());
  Array<float> plain(q.size());
  reference::attention(exact.get(), q.get(), k.get(), v.get(), s);
  reference::attention(plain.get(), q.get(), k.get(), v.get(), s, true);
  const std::vector<float> expected = exact.host();
  const double yardstick = reference::distance(plain.host(), expected);
  double worst = 0;
  for (const auto& [row_warps, key_parts] : {std::pair{1, 1},
                                             {1, 2},
                                             {1, 4},
                                             {2, 1},
                                             {2, 2},
                                             {3, 1},
                                             {3, 2},
                                             {4, 1},
                                             {4, 2},
                                             {6, 1},
                                             {6, 2}}) {
    if (s.head_dim == 128 && key_parts > 2) {
      continue;
    }
    const cuda::AttentionTile tile{row_warps, key_parts};
    Array<Bf16> out(q.size());
    const cuda::AttentionArgs args{.segments = s.segments,
                                   .queries = s.queries,
                                   .keys = s.keys,
                                   .heads = s.heads,
                                   .kv_heads = s.kv_heads,
                                   .head_dim = s.head_dim,
                                   .scale = 1 / std::sqrt(static_cast<float>(s.head_dim)),
                                   .is_causal = s.is_causal,
                                   .q = q.get(),
                                   .k = k.get(),
                                   .v = v.get(),
                                   .out = out.get(),
                                   .q_stride = width,
                                   .k_stride = kv_width,
                                   .v_stride = kv_width,
                                   .out_stride = width,
                                   .is_dependent = true};
    must(cuda::prepare_attention(args, tile));
    must(cuda::enqueue_attention(args, tile, nullptr));
    SINEW_CUDA(cudaDeviceSynchronize());
    const double error = reference::distance(out.host(), expected);
    if (!(error <= 2 * yardstick)) {
      std::printf("FAILED attention tile %d %d: error %.2e, plain bf16 %.2e\n", row_warps,
                  key_parts, error, yardstick);
      ++failures;
    }
    worst = std::max(worst, error);
  }
  std::printf(
      "attention %d x %d queries, %d keys, %d/%d heads of %d%s: largest error %.2e, plain "
      "bf16 %.2e\n",
      s.segments, s.queries, s.keys, s.heads, s.kv_heads, s.head_dim, s.is_causal ? ", causal" : "",
      worst, yardstick);
}

// ---- whole blocks ----

struct VitWeights {
  Array<float> norm1_w, norm1_b, qkv_b, out_b, norm2_w, norm2_b, up_b, down_b;
  Array<float> qkv_gain, qkv_offset, up_gain, up_offset;
  Array<Bf16> qkv_w, out_w, up_w, down_w;

  VitWeights(int64_t d, int64_t f, uint64_t seed) {
    const auto n = [](int64_t count) { return static_cast<size_t>(count); };
    const float dd = 1 / std::sqrt(static_cast<float>(d));
    norm1_w = reference::random<float>(n(d), seed + 1, 0.2F, 1);
    norm1_b = reference::random<float>(n(d), seed + 2, 0.1F);
    qkv_w = reference::random<Bf16>(n(3 * d * d), seed + 3, dd);
    qkv_b = reference::random<float>(n(3 * d), seed + 4, 0.1F);
    out_w = reference::random<Bf16>(n(d * d), seed + 5, dd);
    out_b = reference::random<float>(n(d), seed + 6, 0.1F);
    norm2_w = reference::random<float>(n(d), seed + 7, 0.2F, 1);
    norm2_b = reference::random<float>(n(d), seed + 8, 0.1F);
    up_w = reference::random<Bf16>(n(f * d), seed + 9, dd);
    up_b = reference::random<float>(n(f), seed + 10, 0.1F);
    down_w = reference::random<Bf16>(n(d * f), seed + 11, 1 / std::sqrt(static_cast<float>(f)));
    down_b = reference::random<float>(n(d), seed + 12, 0.1F);
    // Parameters are of bf16: these are the same values.
    const auto fold = [&](const Array<Bf16>& w, int64_t rows, uint64_t norm, uint64_t bias,
                          Array<float>& gain, Array<float>& offset) {
      const auto b = reference::random<Bf16>(n(rows), seed + bias, 0.1F);
      const auto norm_w = reference::random<Bf16>(n(d), seed + norm, 0.2F, 1);
      const auto norm_b = reference::random<Bf16>(n(d), seed + norm + 1, 0.1F);
      gain = Array<float>(n(rows));
      offset = Array<float>(n(rows));
      must(cuda::enqueue_norm_fold({.n = rows,
                                    .k = d,
                                    .w = w.get(),
                                    .bias = b.get(),
                                    .weight = norm_w.get(),
                                    .shift = norm_b.get(),
                                    .gain = gain.get(),
                                    .offset = offset.get()},
                                   nullptr));
      SINEW_CUDA(cudaDeviceSynchronize());
    };
    fold(qkv_w, 3 * d, 1, 4, qkv_gain, qkv_offset);
    fold(up_w, f, 7, 10, up_gain, up_offset);
  }

  cuda::VitBlockParameters parameters(const cuda::VitBlockPlan& plan) const {
    return {.norm1_w = norm1_w.get(),
            .norm1_b = norm1_b.get(),
            .qkv_w = qkv_w.get(),
            .qkv_b = plan.norms_behind ? qkv_offset.get() : qkv_b.get(),
            .qkv_gain = qkv_gain.get(),
            .out_w = out_w.get(),
            .out_b = out_b.get(),
            .norm2_w = norm2_w.get(),
            .norm2_b = norm2_b.get(),
            .up_w = up_w.get(),
            .up_b = plan.norms_behind ? up_offset.get() : up_b.get(),
            .up_gain = up_gain.get(),
            .down_w = down_w.get(),
            .down_b = down_b.get()};
  }
};

struct LmWeights {
  Array<float> input_norm, q_norm, k_norm, post_norm;
  Array<Bf16> qkv_w, out_w, gate_up_w, down_w;

  LmWeights(const cuda::LmBlockShape& s, uint64_t seed) {
    const auto n = [](int64_t count) { return static_cast<size_t>(count); };
    const float dd = 1 / std::sqrt(static_cast<float>(s.width));
    input_norm = reference::random<float>(n(s.width), seed + 1, 0.2F, 1);
    q_norm = reference::random<float>(128, seed + 2, 0.2F, 1);
    k_norm = reference::random<float>(128, seed + 3, 0.2F, 1);
    post_norm = reference::random<float>(n(s.width), seed + 4, 0.2F, 1);
    qkv_w = reference::random<Bf16>(n((s.heads + 2 * s.kv_heads) * 128 * s.width), seed + 5, dd);
    out_w = reference::random<Bf16>(n(s.width * s.heads * 128), seed + 6, dd);
    gate_up_w = reference::random<Bf16>(n(2 * s.ffn * s.width), seed + 7, dd);
    down_w = reference::random<Bf16>(n(s.width * s.ffn), seed + 8,
                                     1 / std::sqrt(static_cast<float>(s.ffn)));
  }

  cuda::LmBlockParameters parameters() const {
    return {.input_norm = input_norm.get(),
            .qkv_w = qkv_w.get(),
            .q_norm = q_norm.get(),
            .k_norm = k_norm.get(),
            .out_w = out_w.get(),
            .post_norm = post_norm.get(),
            .gate_up_w = gate_up_w.get(),
            .down_w = down_w.get()};
  }
};

// The definition of a vit_block, in f32 from float64 sums or rounded to bf16 everywhere.
std::vector<float> vit_reference(const cuda::VitBlockShape& s, const VitWeights& w,
                                 const Array<float>& x, bool r) {
  using reference::Map;
  const int64_t m = s.images * s.patches;
  const int64_t d = s.width;
  const auto count = static_cast<size_t>(m * d);
  Array<float> n(count), q(count), k(count), v(count), o(count), y(count), z(count);
  Array<float> up(static_cast<size_t>(m * s.ffn));
  reference::norm(n.get(), x.get(), w.norm1_w.get(), w.norm1_b.get(), m, d, s.epsilon, r);
  const Bf16* qkv = w.qkv_w.get();
  reference::linear(q.get(), n.get(), qkv, w.qkv_b.get(), m, d, d, r);
  reference::linear(k.get(), n.get(), qkv + d * d, w.qkv_b.get() + d, m, d, d, r);
  reference::linear(v.get(), n.get(), qkv + 2 * d * d, w.qkv_b.get() + 2 * d, m, d, d, r);
  const int heads = static_cast<int>(s.heads);
  reference::attention(o.get(), q.get(), k.get(), v.get(),
                       {static_cast<int>(s.images), static_cast<int>(s.patches),
                        static_cast<int>(s.patches), heads, heads, static_cast<int>(d / s.heads)},
                       r);
  reference::linear(z.get(), o.get(), w.out_w.get(), w.out_b.get(), m, d, d, r);
  reference::map(y.get(), z.get(), x.get(), count, Map::kAdd, r);
  reference::norm(n.get(), y.get(), w.norm2_w.get(), w.norm2_b.get(), m, d, s.epsilon, r);
  reference::linear(up.get(), n.get(), w.up_w.get(), w.up_b.get(), m, s.ffn, d, r);
  reference::map(up.get(), up.get(), nullptr, up.size(), Map::kGeluTanh, r);
  reference::linear(z.get(), up.get(), w.down_w.get(), w.down_b.get(), m, d, s.ffn, r);
  reference::map(z.get(), z.get(), y.get(), count, Map::kAdd, r);
  return z.host();
}

std::vector<float> lm_reference(const cuda::LmBlockShape& s, const LmWeights& w,
                                const Array<float>& x, const Array<float>& cos,
                                const Array<float>& sin, bool r) {
  using reference::Map;
  const int64_t t = s.tokens;
  const int64_t d = s.width;
  const auto count = static_cast<size_t>(t * d);
  const int64_t qw = s.heads * 128;
  const int64_t kw = s.kv_heads * 128;
  Array<float> n(count), q(static_cast<size_t>(t * qw)), k(static_cast<size_t>(t * kw)),
      v(static_cast<size_t>(t * kw)), o(static_cast<size_t>(t * qw)), y(count), z(count),
      gate(static_cast<size_t>(t * s.ffn)), up(static_cast<size_t>(t * s.ffn));
  reference::norm(n.get(), x.get(), w.input_norm.get(), nullptr, t, d, s.epsilon, r);
  const Bf16* qkv = w.qkv_w.get();
  reference::linear(q.get(), n.get(), qkv, nullptr, t, qw, d, r);
  reference::linear(k.get(), n.get(), qkv + qw * d, nullptr, t, kw, d, r);
  reference::linear(v.get(), n.get(), qkv + (qw + kw) * d, nullptr, t, kw, d, r);
  reference::norm(q.get(), q.get(), w.q_norm.get(), nullptr, t * s.heads, 128, s.epsilon, r);
  reference::norm(k.get(), k.get(), w.k_norm.get(), nullptr, t * s.kv_heads, 128, s.epsilon, r);
  reference::rope(q.get(), cos.get(), sin.get(), t, s.heads, r);
  reference::rope(k.get(), cos.get(), sin.get(), t, s.kv_heads, r);
  reference::attention(o.get(), q.get(), k.get(), v.get(),
                       {1, static_cast<int>(t), static_cast<int>(t), static_cast<int>(s.heads),
                        static_cast<int>(s.kv_heads), 128, true},
                       r);
  reference::linear(z.get(), o.get(), w.out_w.get(), nullptr, t, d, qw, r);
  reference::map(y.get(), z.get(), x.get(), count, Map::kAdd, r);
  reference::norm(n.get(), y.get(), w.post_norm.get(), nullptr, t, d, s.epsilon, r);
  reference::linear(gate.get(), n.get(), w.gate_up_w.get(), nullptr, t, s.ffn, d, r);
  reference::linear(up.get(), n.get(), w.gate_up_w.get() + s.ffn * d, nullptr, t, s.ffn, d, r);
  reference::map(gate.get(), gate.get(), nullptr, gate.size(), Map::kSilu, r);
  reference::map(gate.get(), gate.get(), up.get(), gate.size(), Map::kMultiply, r);
  reference::linear(z.get(), gate.get(), w.down_w.get(), nullptr, t, d, s.ffn, r);
  reference::map(z.get(), z.get(), y.get(), count, Map::kAdd, r);
  return z.host();
}

// What a chain of blocks is compared with. Errors are relative to what the blocks add to x: a large
// x would hide them.
struct ExpectedBlocks {
  std::vector<float> x, exact, plain;

  double error(const std::vector<float>& got) const {
    std::vector<float> moved(got.size());
    std::vector<float> added(got.size());
    for (size_t i = 0; i < got.size(); ++i) {
      moved[i] = got[i] - x[i];
      added[i] = exact[i] - x[i];
    }
    return reference::distance(moved, added);
  }
};

using RunBlocks = std::function<void(float*)>;

std::vector<float> result_of(const RunBlocks& run, size_t count) {
  const Array<float> out(count);
  run(out.get());
  SINEW_CUDA(cudaDeviceSynchronize());
  return out.host();
}

// `with_kernels` runs norms as kernels of their own; rows of which a chain in bf16 keeps nothing
// are held to that.
void report_block(const std::string& name, const RunBlocks& run, const RunBlocks& with_kernels,
                  const ExpectedBlocks& expected) {
  const size_t count = expected.x.size();
  const std::vector<float> first = result_of(run, count);
  const std::vector<float> second = result_of(run, count);
  const double error = expected.error(first);
  const double yardstick = expected.error(expected.plain);
  const double kernels = expected.error(result_of(with_kernels, count));
  const bool is_equal = std::memcmp(first.data(), second.data(), count * 4) == 0;
  const bool is_good = error < 2 * yardstick && error < 1.15 * kernels && is_equal;
  failures += is_good ? 0 : 1;
  std::printf(
      "%s %s: error %.2e of out, %.2e of what is added, %.2e with norm kernels, plain bf16 %.2e, "
      "replays %s\n",
      is_good ? "ok" : "FAILED", name.c_str(), reference::distance(first, expected.exact), error,
      kernels, yardstick, is_equal ? "equal" : "DIFFER");
}

const cuda::VitBlockShape kVit{
    .images = 2, .patches = 360, .width = 1152, .heads = 16, .ffn = 4304, .epsilon = 1e-6F};
const cuda::LmBlockShape kLm{
    .tokens = 222, .width = 2048, .heads = 16, .kv_heads = 8, .ffn = 6144, .epsilon = 1e-6F};

// What the residual stream may look like: `offset` is every row's mean in standard deviations, and
// every 97th channel is an outlier of `outlier` of them.
struct RowKind {
  const char* name;
  float offset;
  float outlier;
};

constexpr RowKind kRowKinds[] = {{"", 0, 1}, {", mean 30", 30, 1}, {", outliers", 3, 100}};

Array<float> rows_of(const RowKind& kind, int64_t rows, int64_t width) {
  const auto count = static_cast<size_t>(rows * width);
  std::vector<float> x = reference::random<float>(count, 9, 1, 0).host();
  for (size_t i = 0; i < count; ++i) {
    const size_t channel = i % static_cast<size_t>(width);
    x[i] = kind.offset + x[i] * (channel % 97 == 5 ? kind.outlier : 1.0F);
  }
  Array<float> made(count);
  SINEW_CUDA(cudaMemcpy(made.get(), x.data(), count * 4, cudaMemcpyHostToDevice));
  return made;
}

// The output of `blocks`, one after the other, that of each the reference's input of the next.
void check_vit(const cuda::VitBlockShape& s, const ops::DeviceCaps& device, const RowKind& kind,
               int blocks) {
  const auto count = static_cast<size_t>(s.images * s.patches * s.width);
  auto plan = must(cuda::plan_vit_block(s, device));
  must(cuda::prepare_vit_block(plan));
  const Array<std::byte> workspace(plan.workspace_bytes);
  const auto x = rows_of(kind, s.images * s.patches, s.width);
  std::vector<VitWeights> weights;
  ExpectedBlocks expected{x.host(), x.host(), x.host()};
  const auto advance = [&](std::vector<float>& rows, bool r) {
    Array<float> from(count);
    SINEW_CUDA(cudaMemcpy(from.get(), rows.data(), count * 4, cudaMemcpyHostToDevice));
    rows = vit_reference(s, weights.back(), from, r);
  };
  for (int i = 0; i < blocks; ++i) {
    weights.emplace_back(s.width, s.ffn, 100 + 20 * static_cast<uint64_t>(i));
    advance(expected.exact, false);
    advance(expected.plain, true);
  }
  const auto run = [&](float* out) {
    std::vector<cuda::VitBlockParameters> parameters;
    for (const VitWeights& w : weights) {
      parameters.push_back(w.parameters(plan));
    }
    must(cuda::enqueue_vit_blocks(plan, parameters, x.get(), out, workspace.get(), nullptr));
  };
  const bool norms_behind = plan.norms_behind;
  report_block(
      "vit_block " + std::to_string(s.images) + " x " + std::to_string(s.patches) + " (" +
          std::to_string(blocks) + ")" + kind.name,
      [&](float* out) {
        plan.norms_behind = norms_behind;
        run(out);
      },
      [&](float* out) {
        plan.norms_behind = false;
        run(out);
      },
      expected);
}

void check_lm(const cuda::LmBlockShape& s, const ops::DeviceCaps& device, const RowKind& kind) {
  const auto plan = must(cuda::plan_lm_block(s, device));
  must(cuda::prepare_lm_block(plan));
  const Array<std::byte> workspace(plan.workspace_bytes);
  const auto x = rows_of(kind, s.tokens, s.width);
  const auto cos = reference::random<float>(static_cast<size_t>(s.tokens * 64), 10, 0.6F);
  const auto sin = reference::random<float>(static_cast<size_t>(s.tokens * 64), 11, 0.6F);
  const LmWeights w(s, 200);
  const auto run = [&](float* out) {
    must(cuda::enqueue_lm_block(plan, w.parameters(), {x.get(), cos.get(), sin.get(), out},
                                workspace.get(), nullptr));
  };
  report_block("lm_block " + std::to_string(s.tokens) + kind.name, run, run,
               {.x = x.host(),
                .exact = lm_reference(s, w, x, cos, sin, false),
                .plain = lm_reference(s, w, x, cos, sin, true)});
}

void check_blocks(const ops::DeviceCaps& device, bool is_small) {
  for (const auto& [images, patches] : {std::pair{1, 324}, {2, 360}, {4, 360}}) {
    cuda::VitBlockShape s = kVit;
    s.images = images;
    s.patches = patches;
    if (is_small) {
      s.patches /= 4;
      s.width = 288;
      s.heads = 4;
      s.ffn = 528;
    }
    for (const RowKind& kind : kRowKinds) {
      check_vit(s, device, kind, 1);
      check_vit(s, device, kind, 2);
    }
  }
  for (const int tokens : {116, 222, 411}) {
    cuda::LmBlockShape s = kLm;
    s.tokens = tokens;
    if (is_small) {
      s.tokens /= 2;
      s.width = 256;
      s.heads = 4;
      s.kv_heads = 2;
      s.ffn = 544;
    }
    for (const RowKind& kind : kRowKinds) {
      check_lm(s, device, kind);
    }
  }
}

void check_products(const ops::DeviceCaps& device, bool is_small) {
  const std::vector<std::array<int64_t, 3>> shapes =
      is_small
          ? std::vector<std::array<int64_t, 3>>{{150, 272, 200}}
          : std::vector<std::array<int64_t, 3>>{{150, 272, 200}, {300, 1152, 1000}, {17, 64, 8}};
  for (const auto& [m, n, k] : shapes) {
    for (const auto e : {GemmEpilogue::kBias, GemmEpilogue::kGeluTanh, GemmEpilogue::kGeluErf,
                         GemmEpilogue::kResidual}) {
      check_product(e, m, n, k, device);
    }
    check_product(GemmEpilogue::kSwiGlu, m, n / 32 * 32, k, device);
    check_product(GemmEpilogue::kHeadRope, m, n / 128 * 128 + 512, k, device);
  }
}

void check(const ops::DeviceCaps& device, bool is_small) {
  check_products(device, is_small);
  if (cuda::gemm_body(device) == cuda::GemmBody::kSm90) {
    for (const auto e : {GemmEpilogue::kBias, GemmEpilogue::kGeluTanh, GemmEpilogue::kGeluErf}) {
      check_norm_behind(e, 150, 272, 208, device);
      check_norm_behind(e, 300, 1152, 1008, device);
    }
  }
  ops::DeviceCaps older = device;
  older.compute_capability = 89;
  std::printf("as on an older device:\n");
  check_products(older, is_small);
  check_attention({2, 50, 70, 4, 4, 48, false});
  check_attention({1, 1, 1, 2, 2, 48, false});
  check_attention({1, 130, 130, 4, 2, 128, true});
  check_attention({3, 81, 81, 2, 2, 72, false});
  if (!is_small) {
    check_attention({1, 17, 17, 32, 32, 48, false});
    check_attention({1, 51, 360, 32, 32, 48, false});
    check_attention({4, 360, 360, 16, 16, 72, false});
    check_attention({1, 411, 411, 16, 8, 128, true});
  }
  check_blocks(device, is_small);
}

struct Shape {
  const char* name;
  GemmEpilogue epilogue;
  int64_t m, n, k;
};

std::vector<Shape> product_shapes() {
  std::vector<Shape> shapes;
  for (const int64_t m : {324, 720, 1440}) {
    shapes.push_back({"vit qkv", GemmEpilogue::kBias, m, 3456, 1152});
    shapes.push_back({"vit out", GemmEpilogue::kResidual, m, 1152, 1152});
    shapes.push_back({"vit up", GemmEpilogue::kGeluTanh, m, 4304, 1152});
    shapes.push_back({"vit down", GemmEpilogue::kResidual, m, 1152, 4304});
    shapes.push_back({"projector up", GemmEpilogue::kGeluErf, m / 4, 2048, 4608});
    shapes.push_back({"projector out", GemmEpilogue::kResidual, m / 4, 2048, 2048});
    shapes.push_back({"cross kv image", GemmEpilogue::kBias, m / 4, 24576, 2048});
  }
  for (const int64_t t : {116, 222, 411}) {
    shapes.push_back({"lm qkv", GemmEpilogue::kHeadRope, t, 4096, 2048});
    shapes.push_back({"lm out", GemmEpilogue::kResidual, t, 2048, 2048});
    shapes.push_back({"lm gate up", GemmEpilogue::kSwiGlu, t, 12288, 2048});
    shapes.push_back({"lm down", GemmEpilogue::kResidual, t, 2048, 6144});
  }
  shapes.push_back({"cross kv text", GemmEpilogue::kBias, 42, 24576, 2048});
  return shapes;
}

// Time of one call in a graph of calls over distinct weights, microseconds.
double product_us(const Product& p, const GemmTile& tile, const ops::DeviceCaps& device) {
  must(cuda::prepare_gemm(p.epilogue, tile, device));
  const size_t calls = std::max<size_t>(p.w.size(), 8);
  return graph_us(
             [&](cudaStream_t stream) {
               for (size_t i = 0; i < calls; ++i) {
                 must(cuda::enqueue_gemm(p.args(i), tile, device, stream));
               }
             },
             5) /
         static_cast<double>(calls);
}

int weight_sets(int64_t n, int64_t k) {
  return static_cast<int>(std::max<int64_t>(2, 160'000'000 / (n * k * 2)));
}

void tune(const ops::DeviceCaps& device) {
  for (const Shape& s : product_shapes()) {
    const Product p(s.epilogue, s.m, s.n, s.k, weight_sets(s.n, s.k));
    std::vector<std::pair<double, GemmTile>> times;
    const GemmTile chosen = cuda::choose_gemm_tile(s.epilogue, s.m, s.n, s.k, device);
    double chosen_us = 0;
    for (const GemmTile& tile : candidates(s.epilogue, s.m, s.n, false)) {
      const double us = product_us(p, tile, device);
      times.emplace_back(us, tile);
      if (tile == chosen) {
        chosen_us = us;
      }
    }
    std::sort(times.begin(), times.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    std::printf("%-15s m %4lld n %5lld k %4lld: chosen %5.1f us [%s], best", s.name,
                static_cast<long long>(s.m), static_cast<long long>(s.n),
                static_cast<long long>(s.k), chosen_us, text_of(chosen).c_str());
    for (size_t i = 0; i < 4 && i < times.size(); ++i) {
      std::printf(" %5.1f [%s]", times[i].first, text_of(times[i].second).c_str());
    }
    const double flops = 2e-6 * static_cast<double>(s.m * s.n * s.k);
    std::printf("  %.0f TF %.2f TB/s\n", flops / times[0].first,
                2e-6 * static_cast<double>(s.n * s.k) / times[0].first);
  }
}

void time_attention(const ops::DeviceCaps& device) {
  const auto run = [&device](reference::AttentionShape s) {
    const int64_t width = int64_t{s.heads + 2 * s.kv_heads} * s.head_dim;
    const auto qkv =
        reference::random<Bf16>(static_cast<size_t>(s.segments * s.queries * width), 1, 1);
    Array<Bf16> out(static_cast<size_t>(s.segments * s.queries * s.heads * s.head_dim));
    cuda::AttentionArgs args{.segments = s.segments,
                             .queries = s.queries,
                             .keys = s.keys,
                             .heads = s.heads,
                             .kv_heads = s.kv_heads,
                             .head_dim = s.head_dim,
                             .scale = 1 / std::sqrt(static_cast<float>(s.head_dim)),
                             .is_causal = s.is_causal,
                             .q = qkv.get(),
                             .k = qkv.get() + s.heads * s.head_dim,
                             .v = qkv.get() + (s.heads + s.kv_heads) * s.head_dim,
                             .out = out.get(),
                             .q_stride = width,
                             .k_stride = width,
                             .v_stride = width,
                             .out_stride = int64_t{s.heads} * s.head_dim,
                             .is_dependent = true};
    std::printf("attention %d x %d, %d/%d heads of %d:", s.segments, s.queries, s.heads, s.kv_heads,
                s.head_dim);
    for (const auto& [row_warps, key_parts] : {std::pair{1, 1},
                                               {1, 2},
                                               {1, 4},
                                               {2, 1},
                                               {2, 2},
                                               {3, 1},
                                               {3, 2},
                                               {4, 1},
                                               {4, 2},
                                               {6, 1},
                                               {6, 2}}) {
      if (s.head_dim == 128 && key_parts > 2) {
        continue;
      }
      const cuda::AttentionTile tile{row_warps, key_parts};
      must(cuda::prepare_attention(args, tile));
      const double us = graph_us(
                            [&](cudaStream_t stream) {
                              for (int i = 0; i < 20; ++i) {
                                must(cuda::enqueue_attention(args, tile, stream));
                              }
                            },
                            5) /
                        20;
      std::printf(" %dx%d %.1f", row_warps, key_parts, us);
    }
    const auto chosen = cuda::choose_attention_tile(args, device);
    std::printf(" us, chosen %dx%d\n", chosen.row_warps, chosen.key_parts);
  };
  run({1, 324, 324, 16, 16, 72, false});
  run({2, 360, 360, 16, 16, 72, false});
  run({4, 360, 360, 16, 16, 72, false});
  for (const int t : {116, 222, 411}) {
    run({1, t, t, 16, 8, 128, true});
  }
}

// A chain of layers with distinct weights on fixed memory: what a component of the network is.
struct VitChain {
  std::vector<VitWeights> layers;

  explicit VitChain(int count) {
    for (int i = 0; i < count; ++i) {
      layers.emplace_back(kVit.width, kVit.ffn, 1000 + 20 * static_cast<uint64_t>(i));
    }
  }

  double layer_us(const cuda::VitBlockPlan& plan, int replays) const {
    const cuda::VitBlockShape& s = plan.shape;
    must(cuda::prepare_vit_block(plan));
    const Array<std::byte> workspace(plan.workspace_bytes);
    const auto count = static_cast<size_t>(s.images * s.patches * s.width);
    const auto in = reference::random<float>(count, 9, 1);
    const Array<float> out(count);
    std::vector<cuda::VitBlockParameters> blocks;
    for (const VitWeights& layer : layers) {
      blocks.push_back(layer.parameters(plan));
    }
    return graph_us(
               [&](cudaStream_t stream) {
                 must(cuda::enqueue_vit_blocks(plan, blocks, in.get(), out.get(), workspace.get(),
                                               stream));
               },
               replays) /
           static_cast<double>(layers.size());
  }
};

struct LmChain {
  std::vector<LmWeights> layers;

  explicit LmChain(int count) {
    for (int i = 0; i < count; ++i) {
      layers.emplace_back(kLm, 3000 + 20 * static_cast<uint64_t>(i));
    }
  }

  double layer_us(const cuda::LmBlockPlan& plan, int replays) const {
    const cuda::LmBlockShape& s = plan.shape;
    must(cuda::prepare_lm_block(plan));
    const Array<std::byte> workspace(plan.workspace_bytes);
    const auto count = static_cast<size_t>(s.tokens * s.width);
    const auto in = reference::random<float>(count, 9, 1);
    const auto cos = reference::random<float>(static_cast<size_t>(s.tokens * 64), 10, 0.6F);
    const auto sin = reference::random<float>(static_cast<size_t>(s.tokens * 64), 11, 0.6F);
    const Array<float> out(count);
    const Array<float> other(count);
    return graph_us(
               [&](cudaStream_t stream) {
                 const float* x = in.get();
                 for (size_t i = 0; i < layers.size(); ++i) {
                   float* const y = i % 2 == 0 ? out.get() : other.get();
                   must(cuda::enqueue_lm_block(plan, layers[i].parameters(),
                                               {x, cos.get(), sin.get(), y}, workspace.get(),
                                               stream));
                   x = y;
                 }
               },
               replays) /
           static_cast<double>(layers.size());
  }
};

cuda::VitBlockShape vit_shape(int images, int patches) {
  cuda::VitBlockShape s = kVit;
  s.images = images;
  s.patches = patches;
  return s;
}

cuda::LmBlockShape lm_shape(int tokens) {
  cuda::LmBlockShape s = kLm;
  s.tokens = tokens;
  return s;
}

constexpr std::pair<int, int> kImages[] = {{1, 324}, {2, 360}, {4, 360}};
constexpr int kTokens[] = {116, 222, 411};

// Median time of a layer. Where norms come behind products, also with norm kernels, in turns: power
// and heat drift.
double time_norms(cuda::VitBlockPlan plan, const VitChain& chain, int replays) {
  if (!plan.norms_behind) {
    return chain.layer_us(plan, replays);
  }
  std::array<std::array<double, 5>, 2> times{};
  for (size_t round = 0; round < times[0].size(); ++round) {
    for (size_t behind = 0; behind < 2; ++behind) {
      plan.norms_behind = behind != 0;
      times[behind][round] = chain.layer_us(plan, replays);
    }
  }
  for (auto& of : times) {
    std::sort(of.begin(), of.end());
  }
  std::printf("with norm kernels %.1f (%.1f to %.1f) us a layer, behind products %.1f to %.1f; ",
              times[0][2], times[0][0], times[0][4], times[1][0], times[1][4]);
  return times[1][2];
}

void time_blocks(const ops::DeviceCaps& device) {
  constexpr int kReplays = 30;
  {
    const VitChain chain(27);
    for (const auto& [images, patches] : kImages) {
      auto plan = must(cuda::plan_vit_block(vit_shape(images, patches), device));
      const double us = time_norms(plan, chain, kReplays);
      std::printf(
          "vision %d x %d: %.3f ms (27 layers), %.1f us a layer; qkv %s, out %s, up %s, "
          "down %s, attention %dx%d\n",
          images, patches, us * 27e-3, us, text_of(plan.qkv).c_str(), text_of(plan.out).c_str(),
          text_of(plan.up).c_str(), text_of(plan.down).c_str(), plan.attention.row_warps,
          plan.attention.key_parts);
    }
  }
  const LmChain chain(16);
  for (const int tokens : kTokens) {
    const auto plan = must(cuda::plan_lm_block(lm_shape(tokens), device));
    const double us = chain.layer_us(plan, kReplays);
    std::printf(
        "language %d: %.3f ms (16 layers), %.1f us a layer; qkv %s, out %s, gate up %s, "
        "down %s, attention %dx%d\n",
        tokens, us * 16e-3, us, text_of(plan.qkv).c_str(), text_of(plan.out).c_str(),
        text_of(plan.gate_up).c_str(), text_of(plan.down).c_str(), plan.attention.row_warps,
        plan.attention.key_parts);
  }
}

// Tries every tile of one product of a block inside the chain, and keeps the fastest.
template <class Plan, class Chain>
void tune_product(const char* name, Plan& plan, GemmTile Plan::*tile, const Chain& chain,
                  GemmEpilogue e, int64_t m, int64_t n, int64_t k) {
  std::vector<std::pair<double, GemmTile>> times;
  for (const GemmTile& candidate : candidates(e, m, n, false)) {
    if constexpr (requires { plan.norms_behind; }) {
      if (e == GemmEpilogue::kResidual && plan.norms_behind &&
          cuda::gemm_row_parts(candidate, n) > cuda::kMostRowParts) {
        continue;
      }
    }
    plan.*tile = candidate;
    times.emplace_back(chain.layer_us(plan, 5), candidate);
  }
  std::sort(times.begin(), times.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  plan.*tile = times[0].second;
  const GemmTile& best = times[0].second;
  std::printf(
      "    {GemmEpilogue::k%s, %lld, %lld, %lld, {%d, %d, %d, %d, %d}},  // %s: layer %.1f "
      "us; next %.1f [%s] %.1f [%s]\n",
      e == GemmEpilogue::kBias       ? "Bias"
      : e == GemmEpilogue::kGeluTanh ? "GeluTanh"
      : e == GemmEpilogue::kResidual ? "Residual"
      : e == GemmEpilogue::kSwiGlu   ? "SwiGlu"
                                     : "HeadRope",
      static_cast<long long>(m), static_cast<long long>(n), static_cast<long long>(k), best.columns,
      best.cluster_m, best.cluster_n, best.split_k, best.stages, name, times[0].first,
      times[1].first, text_of(times[1].second).c_str(), times[2].first,
      text_of(times[2].second).c_str());
}

template <class Plan, class Chain>
void tune_attention(Plan& plan, const Chain& chain, bool is_wide) {
  std::printf("    attention:");
  double least = 1e9;
  cuda::AttentionTile best;
  for (const auto& [row_warps, key_parts] : {std::pair{1, 1},
                                             {1, 2},
                                             {1, 4},
                                             {2, 1},
                                             {2, 2},
                                             {3, 1},
                                             {3, 2},
                                             {4, 1},
                                             {4, 2},
                                             {6, 1},
                                             {6, 2}}) {
    if (is_wide && key_parts > 2) {
      continue;
    }
    plan.attention = {row_warps, key_parts};
    const double us = chain.layer_us(plan, 5);
    std::printf(" %dx%d %.1f", row_warps, key_parts, us);
    if (us < least) {
      least = us;
      best = plan.attention;
    }
  }
  plan.attention = best;
  std::printf("\n");
}

void tune_blocks(const ops::DeviceCaps& device) {
  {
    const VitChain chain(6);
    for (const auto& [images, patches] : kImages) {
      auto plan = must(cuda::plan_vit_block(vit_shape(images, patches), device));
      using Plan = cuda::VitBlockPlan;
      const int64_t m = images * patches;
      tune_attention(plan, chain, false);
      tune_product("up", plan, &Plan::up, chain, GemmEpilogue::kGeluTanh, m, 4304, 1152);
      tune_product("down", plan, &Plan::down, chain, GemmEpilogue::kResidual, m, 1152, 4304);
      tune_product("qkv", plan, &Plan::qkv, chain, GemmEpilogue::kBias, m, 3456, 1152);
      tune_product("out", plan, &Plan::out, chain, GemmEpilogue::kResidual, m, 1152, 1152);
    }
  }
  const LmChain chain(3);
  for (const int tokens : kTokens) {
    auto plan = must(cuda::plan_lm_block(lm_shape(tokens), device));
    using Plan = cuda::LmBlockPlan;
    tune_attention(plan, chain, true);
    tune_product("gate up", plan, &Plan::gate_up, chain, GemmEpilogue::kSwiGlu, tokens, 12288,
                 2048);
    tune_product("down", plan, &Plan::down, chain, GemmEpilogue::kResidual, tokens, 2048, 6144);
    tune_product("qkv", plan, &Plan::qkv, chain, GemmEpilogue::kHeadRope, tokens, 4096, 2048);
    tune_product("out", plan, &Plan::out, chain, GemmEpilogue::kResidual, tokens, 2048, 2048);
  }
}

}  // namespace

int main(int argc, char** argv) {
  constexpr int kSkipped = 77;  // what ctest is told to take for "skipped"
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::printf("skipped: no CUDA device\n");
    return kSkipped;
  }
  const ops::DeviceCaps device = device_caps();
  for (int i = 1; i < argc; ++i) {
    const std::string what = argv[i];
    if (what == "check") {
      check(device, false);
    } else if (what == "check-small") {
      check(device, true);
    } else if (what == "tune") {
      tune(device);
    } else if (what == "one" && i + 8 < argc) {
      const auto number = [&](int at) { return std::atoi(argv[i + at]); };
      const auto epilogue = static_cast<GemmEpilogue>(number(1));
      GemmTile tile{.columns = number(5),
                    .cluster_m = number(6),
                    .cluster_n = number(7),
                    .split_k = number(8)};
      tile.stages = cuda::gemm_most_stages(tile, tile.columns <= 96 ? 2 : 1);
      const Product p(epilogue, number(2), number(3), number(4), weight_sets(number(3), number(4)));
      std::printf("%s [%d, %d, %d] tile %s: %.1f us\n", name_of(epilogue), number(2), number(3),
                  number(4), text_of(tile).c_str(), product_us(p, tile, device));
      i += 8;
    } else if (what == "attention") {
      time_attention(device);
    } else if (what == "blocks") {
      time_blocks(device);
    } else if (what == "tune-blocks") {
      tune_blocks(device);
    } else {
      std::fprintf(stderr, "usage: %s (check | check-small | tune | attention | blocks)...\n",
                   argv[0]);
      return 2;
    }
  }
  std::printf("%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
