// meta/stats.json and meta/relative_stats.json, with a NUL between them, compared with the
// statistics of a checkpoint: refused, or one difference for each statistic that the checkpoint
// has.
#include "base/check.h"
#include "byte_reader.h"
#include "cli/statistics_comparison.h"
#include "io/json.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace {

using namespace sinew;  // NOLINT(google-build-using-namespace): one file, one purpose

preprocess::Statistics statistics(int64_t steps, int64_t dims) {
  const std::vector<double> values(static_cast<size_t>(steps * dims), 0.5);
  preprocess::Statistics out;
  out.steps = steps;
  out.dims = dims;
  out.min = out.max = out.mean = out.std = out.q01 = out.q99 = values;
  out.std.front() = 0;
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  test::ByteReader bytes(data, size);
  const auto stats = io::parse_json(bytes.until('\0'), "stats.json");
  const auto relative = io::parse_json(bytes.rest(), "relative_stats.json");
  if (!stats.ok()) {
    return 0;
  }
  preprocess::EmbodimentStatistics checkpoint;
  checkpoint.state["arm"] = statistics(1, 2);
  checkpoint.action["arm"] = statistics(1, 2);
  dataset::DatasetInfo info;
  info.state["arm"] = {"state", 1, 3, {}};
  info.action["arm"] = {"action", 0, 2, {}};
  size_t expected = 12;
  if (relative.ok()) {
    checkpoint.relative_action["arm"] = statistics(2, 2);
    expected += 6;
  }
  const io::Json none;
  const auto differences =
      cli::compare_statistics(checkpoint, info, {stats.value(), "stats.json"},
                              {relative.ok() ? relative.value() : none, "relative_stats.json"});
  if (differences.ok()) {
    SINEW_CHECK(differences.value().size() == expected);
    for (const cli::StatisticsDifference& difference : differences.value()) {
      SINEW_CHECK(difference.dim >= 0 && difference.dim < 4);
    }
  } else {
    SINEW_CHECK(!differences.status().message().empty());
  }
  return 0;
}
