// A real tensor in device memory as launches take it: f32 or bf16. Kernels compute in f32 either
// way.
#pragma once

namespace sinew::cuda {

struct RealSource {
  const void* data = nullptr;  // nullptr: an optional operand that is absent
  bool is_bf16 = false;
};

struct RealResult {
  void* data = nullptr;
  bool is_bf16 = false;
};

}  // namespace sinew::cuda
