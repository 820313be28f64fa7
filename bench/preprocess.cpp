// Times what makes frames of 480x640 into model input: each step alone on one thread, then whole
// observations of 1, 2 and 4 views on one and on several threads, for every kind of inner loop that
// this processor runs.
//   sinew_bench_preprocess [THREADS [RUNS]]
#include "base/thread_pool.h"
#include "preprocess/image/frame_transform.h"
#include "preprocess/image/image.h"
#include "preprocess/image/resizer.h"
#include "preprocess/image/row_kernels.h"
#include "tensor/buffer.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace sinew::preprocess {
namespace {

constexpr Size kFrame{480, 640};
constexpr int64_t kEdge = 256;
constexpr double kFraction = 0.95;

struct Options {
  int threads = 2;
  int runs = 200;
};

// Median milliseconds of a call; before(), which is not timed, goes ahead of each.
template <class Body, class Before>
double median_ms(int runs, const Body& body, const Before& before) {
  std::vector<double> times;
  for (int i = 0; i < runs; ++i) {
    before();
    const auto start = std::chrono::steady_clock::now();
    body();
    times.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
            .count());
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

template <class Body>
double median_ms(int runs, const Body& body) {
  return median_ms(runs, body, [] {});
}

// As a large network does between two observations.
void empty_caches() {
  static std::vector<uint8_t> other(size_t{128} << 20);
  for (size_t i = 0; i < other.size(); i += 64) {
    ++other[i];
  }
}

std::vector<uint8_t> noise(size_t bytes, uint32_t seed) {
  std::vector<uint8_t> pixels(bytes);
  for (uint8_t& pixel : pixels) {
    seed = seed * 1664525U + 1013904223U;
    pixel = static_cast<uint8_t>(seed >> 24);
  }
  return pixels;
}

int64_t bytes_of(Size size) {
  return size.height * size.width * kChannels;
}

void print_step(std::string_view kernels, std::string_view step, double ms, int64_t bytes) {
  fmt::print("{:7}  {:34}  {:7.3f} ms  {:6.1f} GB/s\n", kernels, step, ms,
             static_cast<double>(bytes) / ms / 1e6);
}

// A resize that makes the rows `rows`.
double time_resize(const Resizer& resizer, const PixelRows& src, Range rows, int64_t row_bytes,
                   int runs) {
  Buffer scratch = Buffer::allocate(resizer.scratch_bytes(rows.count())).value();
  std::vector<uint8_t> dst(static_cast<size_t>(rows.count() * row_bytes));
  return median_ms(runs, [&] {
    resizer.run(src, rows, {dst.data(), row_bytes, rows.begin}, scratch.data());
  });
}

void bench_steps(const RowKernels& kernels, const Options& options) {
  const TransformSizes s = transform_sizes(kFrame, kEdge, kFraction).value();
  const int64_t top = (s.resized.height - s.cropped.height) / 2;
  const int64_t left = (s.resized.width - s.cropped.width) / 2;
  const std::vector<uint8_t> pixels = noise(static_cast<size_t>(bytes_of(kFrame)), 1);
  const auto rows_of_width = [&](int64_t width) {
    return PixelRows{pixels.data(), width * kChannels};
  };
  const auto shrink = make_area_resizer(kFrame, s.resized, {left, left + s.cropped.width}, kernels);
  const auto enlarge =
      make_area_resizer(s.cropped, s.transformed, {0, s.transformed.width}, kernels);
  const auto snap = make_bicubic_resizer(s.transformed, s.snapped, kernels);
  print_step(kernels.name, "shrink and crop",
             time_resize(*shrink, rows_of_width(kFrame.width), {top, top + s.cropped.height},
                         s.cropped.width * kChannels, options.runs),
             bytes_of(kFrame) + bytes_of(s.cropped));
  print_step(kernels.name, "enlarge",
             time_resize(*enlarge, rows_of_width(s.cropped.width), {0, s.transformed.height},
                         s.transformed.width * kChannels, options.runs),
             bytes_of(s.cropped) + bytes_of(s.transformed));
  print_step(kernels.name, "snap",
             time_resize(*snap, rows_of_width(s.transformed.width), {0, s.snapped.height},
                         s.snapped.width * kChannels, options.runs),
             bytes_of(s.transformed) + bytes_of(s.snapped));
}

void bench_views(const RowKernels& kernels, int64_t views, ThreadPool& pool,
                 const Options& options) {
  const int64_t wanted = (pool.threads() + views - 1) / views;
  const FrameTransform transform =
      FrameTransform::create(kFrame, kEdge, kFraction, wanted, kernels).value();
  std::vector<std::vector<uint8_t>> frames;
  for (int64_t view = 0; view < views; ++view) {
    frames.push_back(noise(static_cast<size_t>(bytes_of(kFrame)), static_cast<uint32_t>(view + 1)));
  }
  const size_t scratch_bytes = transform.scratch_bytes();
  Buffer scratch = Buffer::allocate(scratch_bytes * static_cast<size_t>(pool.threads())).value();
  const auto values = static_cast<size_t>(bytes_of(transform.sizes().snapped));
  std::vector<uint8_t> snapped(values * static_cast<size_t>(views));
  const int64_t bands = transform.bands();
  const auto observe = [&] {
    pool.run(views * bands, [&](int64_t item, int64_t thread) {
      const auto view = static_cast<size_t>(item / bands);
      transform.snap({frames[view].data(), kFrame.height, kFrame.width}, item % bands,
                     std::span(snapped).subspan(view * values, values),
                     scratch.data() + static_cast<size_t>(thread) * scratch_bytes);
    });
  };
  const std::string what = fmt::format("{} view{}, {} thread{}", views, views == 1 ? "" : "s",
                                       pool.threads(), pool.threads() == 1 ? "" : "s");
  const int64_t bytes = views * (bytes_of(kFrame) + bytes_of(transform.sizes().snapped));
  print_step(kernels.name, what, median_ms(options.runs, observe), bytes);
  print_step(kernels.name, what + ", caches empty", median_ms(options.runs, observe, empty_caches),
             bytes);
}

// The least that any of it takes: the frames read and the planes written, once.
void bench_copy(const Options& options) {
  const std::vector<uint8_t> frame = noise(static_cast<size_t>(bytes_of(kFrame)), 1);
  std::vector<uint8_t> copy(frame.size());
  const double ms =
      median_ms(options.runs, [&] { std::memcpy(copy.data(), frame.data(), frame.size()); });
  print_step("-", "copy of a frame", ms, 2 * bytes_of(kFrame));
}

bool parse(std::string_view text, int& value) {
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  return failure == std::errc() && end == text.data() + text.size() && value >= 1;
}

int run(const std::vector<std::string_view>& arguments) {
  Options options;
  if (arguments.size() > 2 || (!arguments.empty() && !parse(arguments[0], options.threads)) ||
      (arguments.size() > 1 && !parse(arguments[1], options.runs)) ||
      options.threads > ThreadPool::kMaxThreads) {
    fmt::print(stderr, "usage: sinew_bench_preprocess [THREADS [RUNS]], numbers from 1 on\n");
    return 2;
  }
  ThreadPool one(1);
  ThreadPool several(options.threads);
  bench_copy(options);
  for (const RowKernels* kernels : row_kernels()) {
    bench_steps(*kernels, options);
    for (const int64_t views : {1, 2, 4}) {
      bench_views(*kernels, views, one, options);
      if (options.threads > 1) {
        bench_views(*kernels, views, several, options);
      }
    }
  }
  return 0;
}

}  // namespace
}  // namespace sinew::preprocess

int main(int argc, char** argv) {
  return sinew::preprocess::run({argv + 1, argv + argc});
}
