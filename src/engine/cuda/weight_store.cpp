#include "engine/cuda/weight_store.h"

#include "base/check.h"
#include "kernels/cuda/leaf/launch.h"
#include "kernels/cuda/status.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstring>

namespace sinew::cuda {
namespace {

constexpr size_t kAlignment = 256;
// Where missing forms pretend to lie: no device has memory there.
constexpr uintptr_t kPlaceholder = uintptr_t{1} << 52;

size_t aligned(size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// Copies on all threads of the pool: pages of the mapped file are faulted in on the way.
void copy_parallel(ThreadPool& pool, const std::byte* from, size_t bytes, std::byte* to) {
  constexpr size_t kPiece = size_t{1} << 20;
  const auto pieces = static_cast<int64_t>((bytes + kPiece - 1) / kPiece);
  pool.run(pieces, [&](int64_t piece, int) {
    const size_t first = static_cast<size_t>(piece) * kPiece;
    std::memcpy(to + first, from + first, std::min(kPiece, bytes - first));
  });
}

}  // namespace

Uploader::~Uploader() {
  if (stream_ != nullptr && pinned_.data() != nullptr) {
    cudaStreamSynchronize(stream_);  // copies still read the slots
  }
}

Result<Uploader> Uploader::make(ThreadPool& pool, Stream stream) {
  Uploader uploader;
  uploader.pool_ = &pool;
  SINEW_ASSIGN(uploader.pinned_, PinnedBuffer::allocate(2 * kSlotBytes, false, "upload slots"));
  SINEW_ASSIGN(uploader.raw_, DeviceBuffer::allocate(kDeviceBytes, "upload slots"));
  for (Event& event : uploader.is_free_) {
    SINEW_ASSIGN(event, make_event(/*has_time=*/false));
  }
  uploader.stream_ = stream;
  return uploader;
}

Status Uploader::upload(const ConstTensorView& weight, DType dtype, void* to) {
  const size_t element_bytes = dtype_bytes(weight.dtype);
  const auto* from = static_cast<const std::byte*>(weight.data);
  const int64_t elements = weight.shape.elements();
  const auto slot_elements = static_cast<int64_t>(kSlotBytes / element_bytes);
  const bool is_as_stored = weight.dtype == DType::kBf16 && dtype == DType::kBf16;
  for (int64_t first = 0; first < elements; first += slot_elements) {
    const int64_t n = std::min(slot_elements, elements - first);
    const size_t bytes = static_cast<size_t>(n) * element_bytes;
    const size_t slot = next_++ % 2;
    std::byte* const pinned = pinned_.data() + slot * kSlotBytes;
    SINEW_TRY(call_status(cudaEventSynchronize(is_free_[slot].get()), "uploading parameters"));
    copy_parallel(*pool_, from + static_cast<size_t>(first) * element_bytes, bytes, pinned);
    std::byte* const result =
        static_cast<std::byte*>(to) + static_cast<size_t>(first) * dtype_bytes(dtype);
    std::byte* const raw = is_as_stored ? result : raw_.data() + slot * kSlotBytes;
    SINEW_TRY(call_status(cudaMemcpyAsync(raw, pinned, bytes, cudaMemcpyHostToDevice, stream_),
                          "uploading parameters"));
    if (!is_as_stored) {
      const RealResult converted{.data = result, .is_bf16 = dtype == DType::kBf16};
      SINEW_TRY(launch_convert_parameter(raw, weight.dtype, converted, n, stream_));
    }
    SINEW_TRY(call_status(cudaEventRecord(is_free_[slot].get(), stream_), "uploading parameters"));
  }
  return {};
}

const void* DeviceWeightStore::find_or_add(Key key, std::span<const ConstTensorView> sources,
                                           const Packing& packing) {
  auto found = forms_.find(key);
  if (found == forms_.end()) {
    Form form{.sources = {sources.begin(), sources.end()}, .packing = packing};
    form.offset = missing_bytes_;
    missing_bytes_ += aligned(packing.bytes);
    if (packing.pack != nullptr) {
      size_t unpacked = 0;
      for (const ConstTensorView& source : sources) {
        unpacked +=
            aligned(static_cast<size_t>(source.shape.elements()) * dtype_bytes(packing.source));
      }
      unpacked_bytes_ = std::max(unpacked_bytes_, unpacked);
    }
    found = forms_.emplace(std::move(key), std::move(form)).first;
  }
  const Form& form = found->second;
  // A placeholder is never read (kernels/cuda/weights.h).
  return form.address != nullptr ? form.address
                                 : reinterpret_cast<const void*>(kPlaceholder + form.offset);
}

Result<const void*> DeviceWeightStore::plain(const ConstTensorView& weight, DType dtype) {
  SINEW_CHECK(dtype == DType::kF32 || dtype == DType::kBf16);
  Packing packing;
  packing.bytes = static_cast<size_t>(weight.shape.elements()) * dtype_bytes(dtype);
  packing.source = dtype;
  Key key;
  key.sources = {{weight.data, weight.shape.elements()}};
  key.dtype = dtype;
  return find_or_add(std::move(key), std::span(&weight, 1), packing);
}

Result<const void*> DeviceWeightStore::packed(std::span<const ConstTensorView> weights,
                                              const Packing& packing) {
  SINEW_CHECK(packing.pack != nullptr && !packing.name.empty());
  Key key;
  for (const ConstTensorView& weight : weights) {
    key.sources.emplace_back(weight.data, weight.shape.elements());
  }
  key.dtype = packing.source;
  key.form = packing.name;
  key.numbers = packing.numbers;
  return find_or_add(std::move(key), weights, packing);
}

Status DeviceWeightStore::fill_packed(const Form& form, std::byte* to, std::byte* unpacked,
                                      Uploader& uploader) {
  std::vector<ConstTensorView> sources;
  for (const ConstTensorView& source : form.sources) {
    SINEW_TRY(uploader.upload(source, form.packing.source, unpacked));
    sources.emplace_back(unpacked, form.packing.source, source.shape);
    unpacked += aligned(sources.back().bytes());
  }
  return form.packing.pack(
      {.srcs = sources, .numbers = form.packing.numbers, .dst = to, .stream = uploader.stream()});
}

Status DeviceWeightStore::fill(Uploader& uploader) {
  if (missing_bytes_ == 0) {
    return {};
  }
  SINEW_ASSIGN(DeviceBuffer region, DeviceBuffer::allocate(missing_bytes_, "parameters"));
  SINEW_ASSIGN(const DeviceBuffer unpacked,
               DeviceBuffer::allocate(unpacked_bytes_, "parameters being packed"));
  // In the order of the file, which the disk and the page cache like best.
  std::vector<Form*> missing;
  for (auto& [key, form] : forms_) {
    if (form.address == nullptr) {
      missing.push_back(&form);
    }
  }
  for (Form* form : missing) {
    std::byte* const to = region.data() + form->offset;
    if (form->packing.pack == nullptr) {
      SINEW_TRY(uploader.upload(form->sources.front(), form->packing.source, to));
    } else {
      SINEW_TRY(fill_packed(*form, to, unpacked.data(), uploader));
    }
  }
  // The memory for unpacked sources goes when this returns.
  SINEW_TRY(call_status(cudaStreamSynchronize(uploader.stream()), "uploading parameters"));
  for (Form* form : missing) {
    form->address = region.data() + form->offset;
  }
  regions_.push_back(std::move(region));
  bytes_ += missing_bytes_;
  missing_bytes_ = 0;
  unpacked_bytes_ = 0;
  return {};
}

void DeviceWeightStore::drop_missing() {
  std::erase_if(forms_, [](const auto& item) { return item.second.address == nullptr; });
  missing_bytes_ = 0;
  unpacked_bytes_ = 0;
}

}  // namespace sinew::cuda
