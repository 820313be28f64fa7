// What the kernels of one program keep from run to run (kernels/cuda/kernel.h): one region, planned
// while they are made against placeholders.
#pragma once

#include "engine/cuda/memory.h"
#include "kernels/cuda/kernel.h"

#include "sinew/result.h"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace sinew::cuda {

class ProgramMemory final : public KeptMemory {
 public:
  Part part(std::string_view name, int64_t key, size_t bytes) override;

  // Of all parts asked for since allocate().
  size_t bytes() const { return bytes_; }

  size_t allocated_bytes() const { return region_.size_bytes(); }

  // Memory for the parts that were asked for; makers then ask again.
  Status allocate();

 private:
  struct Known {
    std::string_view name;
    int64_t key;
    size_t bytes;
    size_t offset;
  };

  std::vector<Known> parts_;
  DeviceBuffer region_;
  size_t bytes_ = 0;
};

}  // namespace sinew::cuda
