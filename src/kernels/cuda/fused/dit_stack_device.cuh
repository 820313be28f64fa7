// Instructions of the fused diffusion transformer that C++ has no words for.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace sinew::cuda::dit {

constexpr uint32_t kEmpty = ~0U;  // not yet written; no conversion of a number or NaN gives it
constexpr uint32_t kSpinLimit = 1U << 24;  // seconds; then the launch faults instead of hanging

__device__ __forceinline__ uint32_t shared_address(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

// --- barriers in shared memory
__device__ __forceinline__ void barrier_init(uint32_t bar, uint32_t arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(bar), "r"(arrivals) : "memory");
}

__device__ __forceinline__ void barrier_expect(uint32_t bar, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(bar), "r"(bytes)
               : "memory");
}

__device__ __forceinline__ void barrier_arrive(uint32_t bar) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(bar) : "memory");
}

__device__ __forceinline__ void barrier_wait(uint32_t bar, uint32_t parity) {
#pragma unroll 1
  for (uint32_t spins = 0; spins < kSpinLimit; ++spins) {
    uint32_t done = 0;
    asm volatile(
        "{\n.reg .pred p;\n"
        "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
        "selp.u32 %0, 1, 0, p;\n}"
        : "=r"(done)
        : "r"(bar), "r"(parity)
        : "memory");
    if (done != 0) {
      return;
    }
  }
  __trap();
}

// The consumers' barrier; the producer never takes part.
template <int kThreads>
__device__ __forceinline__ void consumers_sync() {
  asm volatile("bar.sync 1, %0;" ::"n"(kThreads) : "memory");
}

__device__ __forceinline__ uint32_t cycles() {
  uint32_t t;
  asm volatile("mov.u32 %0, %clock;" : "=r"(t));
  return t;
}

// --- copies. The policies are the encodings of createpolicy for whole lines.
constexpr uint64_t kReadOnce = 0x12F0000000000000ULL;
constexpr uint64_t kReadAgain = 0x1000000000000000ULL;

__device__ __forceinline__ void copy_bulk(uint32_t to, const void* from, uint32_t bytes,
                                          uint32_t bar, uint64_t policy) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint"
      " [%0], [%1], %2, [%3], %4;" ::"r"(to),
      "l"(from), "r"(bytes), "r"(bar), "l"(policy)
      : "memory");
}

// Ordinary stores to shared memory, made visible to wgmma.
__device__ __forceinline__ void fence_async() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// --- data that is its own flag: loads and stores that meet in L2
__device__ __forceinline__ uint4 load16(const void* p) {
  uint4 v;
  asm volatile("ld.relaxed.gpu.global.v4.u32 {%0,%1,%2,%3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(p)
               : "memory");
  return v;
}

__device__ __forceinline__ uint2 load8(const void* p) {
  uint2 v;
  asm volatile("ld.relaxed.gpu.global.v2.u32 {%0,%1}, [%2];"
               : "=r"(v.x), "=r"(v.y)
               : "l"(p)
               : "memory");
  return v;
}

__device__ __forceinline__ void store8(void* p, uint2 v) {
  asm volatile("st.relaxed.gpu.global.v2.b32 [%0], {%1,%2};" ::"l"(p), "r"(v.x), "r"(v.y)
               : "memory");
}

__device__ __forceinline__ void store4(void* p, uint32_t v) {
  asm volatile("st.relaxed.gpu.global.b32 [%0], %1;" ::"l"(p), "r"(v) : "memory");
}

// What has not been written since it was emptied.
struct Empty {
  __device__ __forceinline__ bool operator()(uint4 v) const {
    return max(max(v.x, v.y), max(v.z, v.w)) == kEmpty;
  }
};

// Partial sums: what is still of the block before, whose tag is the other one.
struct Older {
  uint32_t tag;

  __device__ __forceinline__ bool operator()(uint4 v) const {
    return (((v.x ^ tag) | (v.y ^ tag) | (v.z ^ tag) | (v.w ^ tag)) & 1U) != 0;
  }

  __device__ __forceinline__ bool operator()(uint2 v) const {
    return (((v.x ^ tag) | (v.y ^ tag)) & 1U) != 0;
  }
};

__device__ __forceinline__ void load(uint4& v, const void* p) {
  v = load16(p);
}

__device__ __forceinline__ void load(uint2& v, const void* p) {
  v = load8(p);
}

// Loads again what was not yet there, all of it at a time, until nothing is missing.
template <class T, int kCount, class Pending, class Address>
__device__ __forceinline__ void await(T (&v)[kCount], Pending is_pending, Address address) {
#pragma unroll 1
  for (uint32_t spins = 0; spins < kSpinLimit; ++spins) {
    bool missing = false;
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      missing |= is_pending(v[i]);
    }
    if (!missing) {
      return;
    }
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      if (is_pending(v[i])) {
        load(v[i], address(i));
      }
    }
  }
  __trap();
}

// --- numbers
// Partial sums travel as fp16 of a sixteenth: 11 bits from 1e-3 up, and a range of a million. The
// lowest bit of the first of two is the block's tag.
constexpr float kPartialScale = 0.0625F;

__device__ __forceinline__ uint32_t pack_partial(float a, float b, uint32_t tag) {
  const __half2 h = __floats2half2_rn(a * kPartialScale, b * kPartialScale);
  return (*reinterpret_cast<const uint32_t*>(&h) & ~1U) | tag;
}

__device__ __forceinline__ float2 unpack_half(uint32_t v) {
  return __half22float2(*reinterpret_cast<const __half2*>(&v));
}

__device__ __forceinline__ uint32_t pack_bf16(float a, float b) {
  const __nv_bfloat162 h = __floats2bfloat162_rn(a, b);
  return *reinterpret_cast<const uint32_t*>(&h);
}

__device__ __forceinline__ void add_partial(float4& s, uint2 v) {
  const float2 a = unpack_half(v.x);
  const float2 b = unpack_half(v.y);
  s.x += a.x, s.y += a.y, s.z += b.x, s.w += b.y;
}

__device__ __forceinline__ float gelu_tanh(float x) {
  const float u = 0.7978845608F * (x + 0.044715F * x * x * x);
  return x * (1.F - __fdividef(1.F, __expf(2.F * u) + 1.F));  // exp = inf gives x
}

template <int kFrom>
__device__ __forceinline__ float lane_sum(float v) {
#pragma unroll
  for (int o = kFrom; o > 0; o /= 2) {
    v += __shfl_xor_sync(~0U, v, o);
  }
  return v;
}

// --- matrix units
__device__ __forceinline__ void load_matrices(uint32_t (&r)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}

__device__ __forceinline__ void load_matrices_transposed(uint32_t (&r)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}

__device__ __forceinline__ uint32_t transpose(uint32_t v) {  // an 8x8 matrix over the warp
  uint32_t r;
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(r) : "r"(v));
  return r;
}

__device__ __forceinline__ void mma16816(float (&d)[4], const uint32_t (&a)[4], uint32_t b0,
                                         uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9},"
      " {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Core matrices of 8 rows x 16 bytes, 128 bytes each; their distances along k and along rows.
__device__ __forceinline__ uint64_t matrix_descriptor(uint32_t address, uint32_t along_k,
                                                      uint32_t along_rows) {
  return static_cast<uint64_t>((address & 0x3FFFFU) >> 4) |
         static_cast<uint64_t>(along_k >> 4) << 16 | static_cast<uint64_t>(along_rows >> 4) << 32;
}

__device__ __forceinline__ uint64_t advanced(uint64_t descriptor, uint32_t units_of_16_bytes) {
  const auto low = static_cast<uint32_t>(descriptor) + units_of_16_bytes;  // never carries
  return (descriptor & 0xFFFFFFFF00000000ULL) | low;
}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
__device__ __forceinline__ void product_fence() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

__device__ __forceinline__ void product_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

template <int kPending>
__device__ __forceinline__ void product_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

// d += A B: 64 rows of A, 8 * tiles columns of B, k = 16
__device__ __forceinline__ void product(float (&d)[12], uint64_t a, uint64_t b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n24k16.f32.bf16.bf16 "
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11}, %12, %13, 1, 1, 1, 0, 0;"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]),
        "+f"(d[7]), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11])
      : "l"(a), "l"(b));
}

__device__ __forceinline__ void product(float (&d)[28], uint64_t a, uint64_t b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n56k16.f32.bf16.bf16 "
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,"
      "%25,%26,%27}, %28, %29, 1, 1, 1, 0, 0;"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]),
        "+f"(d[7]), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]),
        "+f"(d[14]), "+f"(d[15]), "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]),
        "+f"(d[21]), "+f"(d[22]), "+f"(d[23]), "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27])
      : "l"(a), "l"(b));
}
#endif

}  // namespace sinew::cuda::dit
