// The store of parameters on a device (kernels/cuda/weights.h): forms are asked for against
// placeholder addresses first, which says how large one region for all of them is; then the region
// is allocated and filled.
#pragma once

#include "base/thread_pool.h"
#include "engine/cuda/handles.h"
#include "engine/cuda/memory.h"
#include "kernels/cuda/weights.h"

#include "sinew/result.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sinew::cuda {

// Moves stored parameters to the device through two page-locked slots, which it holds as long as it
// lives.
class Uploader {
 public:
  static constexpr size_t kSlotBytes = size_t{32} << 20;
  // Device memory that it takes, beside that of packed forms (DeviceWeightStore::unpacked_bytes).
  static constexpr size_t kDeviceBytes = 2 * kSlotBytes;

  // `pool` copies from the mapped file; one thread of it alone is as slow as the disk.
  static Result<Uploader> make(ThreadPool& pool, Stream stream);

  Uploader(Uploader&&) noexcept = default;
  Uploader& operator=(Uploader&&) noexcept = default;
  ~Uploader();

  // Enqueues: `weight`, rounded to bf16, as `dtype` at `to`.
  Status upload(const ConstTensorView& weight, DType dtype, void* to);

  Stream stream() const { return stream_; }

 private:
  Uploader() = default;

  ThreadPool* pool_ = nullptr;
  Stream stream_ = nullptr;
  PinnedBuffer pinned_;
  DeviceBuffer raw_;              // stored bytes, before they are converted
  std::array<Event, 2> is_free_;  // a slot may be written again
  size_t next_ = 0;
};

class DeviceWeightStore final : public WeightStore {
 public:
  Result<const void*> plain(const ConstTensorView& weight, DType dtype) override;
  Result<const void*> packed(std::span<const ConstTensorView> weights,
                             const Packing& packing) override;

  // Bytes of the forms that were asked for and are not there yet.
  size_t missing_bytes() const { return missing_bytes_; }

  // Device memory needed, while they are filled in, for the sources of the largest packed form.
  size_t unpacked_bytes() const { return unpacked_bytes_; }

  // Allocates one region for the missing forms and fills it; their addresses are real afterwards.
  // Leaves the work enqueued on the uploader's stream.
  Status fill(Uploader& uploader);

  // Bytes held.
  size_t bytes() const { return bytes_; }

  // Forgets forms that were asked for and not filled in.
  void drop_missing();

 private:
  // Data, elements and type of every source; name and numbers of the packing.
  struct Key {
    std::vector<std::pair<const void*, int64_t>> sources;
    DType dtype = DType::kF32;
    std::string_view form;
    std::array<int64_t, 4> numbers{};

    friend auto operator<=>(const Key&, const Key&) = default;
  };

  struct Form {
    std::vector<ConstTensorView> sources;
    Packing packing;  // pack == nullptr: plain
    size_t offset = 0;
    std::byte* address = nullptr;  // nullptr: missing
  };

  const void* find_or_add(Key key, std::span<const ConstTensorView> sources,
                          const Packing& packing);
  Status fill_packed(const Form& form, std::byte* to, std::byte* unpacked, Uploader& uploader);

  std::map<Key, Form> forms_;
  std::vector<DeviceBuffer> regions_;
  size_t missing_bytes_ = 0;
  size_t unpacked_bytes_ = 0;
  size_t bytes_ = 0;
};

}  // namespace sinew::cuda
