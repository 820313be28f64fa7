// What a build without cairo says of plots (SINEW_MEDIA=OFF).
#include "base/error.h"
#include "eval/plot.h"

namespace sinew::eval {
namespace {

Status no_plots() {
  return unsupported(
      "--save-plot-path: this build draws no plots (it was configured with SINEW_MEDIA=OFF): use a "
      "build with SINEW_MEDIA=ON");
}

}  // namespace

Result<std::vector<PlotTarget>> plot_targets(const std::filesystem::path& /*path*/, int64_t /*id*/,
                                             bool /*several*/) {
  return no_plots();
}

Status check_plot_size(const std::vector<PlotTarget>& /*targets*/, int64_t /*dims*/) {
  return no_plots();
}

Result<std::string> draw_plot(const TrajectoryResult& /*trajectory*/,
                              const std::vector<ComparedKey>& /*keys*/, int64_t /*action_horizon*/,
                              PlotFormat /*format*/) {
  return no_plots();
}

}  // namespace sinew::eval
