// The common face of the resizing algorithms: all tables are made once for a pair of sizes, so that
// resizing the frames of a running robot allocates nothing; rows of the result can be made apart,
// by several threads. Private to this folder.
#pragma once

#include "preprocess/image/image.h"
#include "preprocess/image/row_kernels.h"
#include "preprocess/image/row_tables.h"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace sinew::preprocess {

// Rows or columns [begin, end).
struct Range {
  int64_t begin = 0;
  int64_t end = 0;

  int64_t count() const { return end - begin; }
};

// Rows of u8 RGB pixels, `row_bytes` apart: a whole image or a window of one, from row `first` on.
template <class Byte>
struct RowsOf {
  Byte* pixels = nullptr;
  int64_t row_bytes = 0;
  int64_t first = 0;

  Byte* row(int64_t y) const { return pixels + (y - first) * row_bytes; }
};

using PixelRows = RowsOf<const uint8_t>;
using PixelSink = RowsOf<uint8_t>;

class Resizer {
 public:
  Resizer() = default;
  Resizer(const Resizer&) = delete;
  Resizer& operator=(const Resizer&) = delete;
  virtual ~Resizer() = default;

  // Rows of the source that these rows of the result are made of.
  virtual Range source_rows(Range rows) const = 0;

  // What `run` needs besides for up to `rows` rows.
  virtual size_t scratch_bytes(int64_t rows) const = 0;

  // Makes the rows `rows` of the result, for which src has source_rows(rows). Scratch is aligned to
  // kLineBytes. Threads may run at a time, each with its own scratch.
  virtual void run(const PixelRows& src, Range rows, const PixelSink& dst,
                   std::byte* scratch) const = 0;
};

// Sides must be 1 to 2^24. Equal sizes give a plain copy. May throw std::bad_alloc.
// Of the result only these columns are made; dst begins with the first of them.
std::unique_ptr<Resizer> make_area_resizer(Size from, Size to, Range columns,
                                           const RowKernels& kernels);  // section 1.1 and 1.2
std::unique_ptr<Resizer> make_bicubic_resizer(Size from, Size to,
                                              const RowKernels& kernels);  // section 2.1

// The copy that both fall back to.
std::unique_ptr<Resizer> make_copy(Range columns);

// The whole result of a resizer whose columns are all there. May throw std::bad_alloc.
Image resize(const ImageRef& src, Size to, const Resizer& resizer);

// Scratch is handed out in pieces of whole lines.
inline size_t whole_lines(size_t bytes) {
  return (bytes + kLineBytes - 1) / kLineBytes * kLineBytes;
}

// Hands out aligned pieces of memory.
class ScratchPieces {
 public:
  explicit ScratchPieces(std::byte* memory) : next_(memory) {}

  template <class T>
  T* take(int64_t count) {
    auto* piece = reinterpret_cast<T*>(next_);
    next_ += whole_lines(static_cast<size_t>(count) * sizeof(T));
    return piece;
  }

  std::byte* rest() const { return next_; }

 private:
  std::byte* next_;
};

// The horizontal half of a resize: columns as `kernels` reads them, or where blocks do not fit as
// others do.
template <class Weight>
struct ColumnPass {
  Columns<Weight> columns;
  const RowKernels* kernels = nullptr;

  // Bytes of scratch that one row takes.
  size_t scratch_bytes() const { return RowKernels::scratch_bytes(columns); }

  int64_t values() const { return columns.values(); }
};

ColumnPass<float> make_pass(WindowTable<float> table, int64_t source_width,
                            const RowKernels& kernels);
ColumnPass<int32_t> make_pass(WindowTable<int32_t> table, int64_t source_width, StepKind kind,
                              const RowKernels& kernels);

// Source rows of destination rows, by the windows of the vertical axis.
template <class Weight>
Range source_range(const WindowTable<Weight>& rows, Range range) {
  return {rows.windows[static_cast<size_t>(range.begin)].first,
          rows.windows[static_cast<size_t>(range.end - 1)].end()};
}

}  // namespace sinew::preprocess
