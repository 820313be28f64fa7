// The safetensors container: an 8-byte length, a JSON header, then the bytes of all tensors
// (format: huggingface/safetensors; rules of use: spec/checkpoint.md section 1).
#pragma once

#include "io/file.h"
#include "tensor/tensor_view.h"

#include "sinew/result.h"

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sinew::io {

struct TensorEntry {
  std::string name;
  ConstTensorView view;  // points into the mapped file; may be unaligned for its dtype
};

// Parses and validates a header before any byte of a tensor is exposed: length within the file and
// 100 MB, valid JSON, known dtypes, rank <= 5, extents >= 0 whose product does not overflow,
// offsets ordered, inside the data, equal to the tensor's size, no overlaps, no gaps, nothing after
// the last. Pure; the fuzz target.
struct SafetensorsHeader {
  std::vector<TensorEntry> tensors;  // sorted by name; views relative to `file`
  std::map<std::string, std::string> metadata;
};

Result<SafetensorsHeader> parse_safetensors(std::span<const std::byte> file,
                                            const std::string& where);

// Binary search in tensors sorted by name; nullptr when absent.
const TensorEntry* find_tensor(std::span<const TensorEntry> sorted, std::string_view name);

// A mapped safetensors file. Move-only; its views live as long as it does.
class SafetensorsFile {
 public:
  static Result<SafetensorsFile> open(const std::filesystem::path& path);

  std::span<const TensorEntry> tensors() const { return header_.tensors; }

  // nullptr when absent.
  const TensorEntry* find(std::string_view name) const;

  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }

  const std::filesystem::path& path() const { return path_; }

  size_t file_bytes() const { return file_.bytes().size(); }

 private:
  std::filesystem::path path_;
  MappedFile file_;
  SafetensorsHeader header_;
};

struct NamedTensor {
  std::string name;
  ConstTensorView view;
};

// Writes tensors (in the given order; the data section begins at a multiple of 64 bytes) and
// metadata; atomic. Fails if a name occurs twice or is not UTF-8.
Status write_safetensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors,
                         const std::map<std::string, std::string>& metadata = {});

// The same without the tensors in memory: of `tensors` only names, types and shapes are read, and
// `produce(i, sink)` hands the bytes of tensor i to the sink, in any number of pieces. kInternal
// when they are not as many as the shape says.
Status stream_safetensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors,
                          const std::map<std::string, std::string>& metadata,
                          const std::function<Status(size_t index, const ByteSink& sink)>& produce);

// Element-wise conversion of any float or integer tensor (possibly unaligned) to f32. f64 and wide
// integers round to nearest. Precondition: dst.size() == src.shape.elements().
void convert_to_f32(const ConstTensorView& src, std::span<float> dst);

}  // namespace sinew::io
