// What the resizing algorithms share, and the resize that changes nothing (spec/preprocessing.md: a
// step whose size stays is skipped), which still gathers a window of a larger image.
#include "preprocess/image/resizer.h"

#include "tensor/buffer.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace sinew::preprocess {
namespace {

class Copy final : public Resizer {
 public:
  explicit Copy(Range columns) : columns_(columns) {}

  Range source_rows(Range rows) const override { return rows; }

  size_t scratch_bytes(int64_t /*rows*/) const override { return 0; }

  void run(const PixelRows& src, Range rows, const PixelSink& dst,
           std::byte* /*scratch*/) const override {
    const int64_t row_bytes = columns_.count() * kChannels;
    for (int64_t y = rows.begin; y < rows.end; ++y) {
      std::memcpy(dst.row(y), src.row(y) + columns_.begin * kChannels,
                  static_cast<size_t>(row_bytes));
    }
  }

 private:
  Range columns_;
};

template <class Weight>
ColumnPass<Weight> with_kernels(WindowTable<Weight> table, LaneBlocks&& blocks,
                                const RowKernels& kernels) {
  const RowKernels* chosen = &kernels;
  if (kernels.uses_blocks && blocks.empty()) {
    const auto all = row_kernels();
    chosen = *std::find_if(all.begin(), all.end(),
                           [](const RowKernels* other) { return !other->uses_blocks; });
  }
  ColumnPass<Weight> pass{Columns<Weight>(std::move(table)), chosen};
  pass.columns.blocks = std::move(blocks);
  return pass;
}

}  // namespace

std::unique_ptr<Resizer> make_copy(Range columns) {
  return std::make_unique<Copy>(columns);
}

ColumnPass<float> make_pass(WindowTable<float> table, int64_t source_width,
                            const RowKernels& kernels) {
  LaneBlocks blocks = kernels.uses_blocks ? make_blocks(table, source_width) : LaneBlocks();
  return with_kernels(std::move(table), std::move(blocks), kernels);
}

ColumnPass<int32_t> make_pass(WindowTable<int32_t> table, int64_t source_width, StepKind kind,
                              const RowKernels& kernels) {
  LaneBlocks blocks = kernels.uses_blocks ? make_blocks(table, source_width, kind) : LaneBlocks();
  return with_kernels(std::move(table), std::move(blocks), kernels);
}

Image resize(const ImageRef& src, Size to, const Resizer& resizer) {
  const int64_t row_bytes = to.width * kChannels;
  Image out{to.height, to.width, std::vector<uint8_t>(static_cast<size_t>(to.height * row_bytes))};
  auto scratch = Buffer::allocate_for_overwrite(resizer.scratch_bytes(to.height));
  if (!scratch.ok()) {
    throw std::bad_alloc();
  }
  resizer.run({src.pixels, src.width * kChannels}, {0, to.height}, {out.pixels.data(), row_bytes},
              scratch.value().data());
  return out;
}

}  // namespace sinew::preprocess
