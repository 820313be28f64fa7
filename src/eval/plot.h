// Pictures of an evaluation: one image a trajectory, one panel an action dimension, as PNG or SVG
// from the same drawing (spec/dataset.md section 6). The only file that sees cairo.
#pragma once

#include "eval/open_loop.h"

#include "sinew/result.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sinew::eval {

inline constexpr int kPlotWidth = 800;        // pixels
inline constexpr int kPlotPanelHeight = 400;  // pixels an action dimension

enum class PlotFormat { kPng, kSvg };

struct PlotTarget {
  std::filesystem::path path;
  PlotFormat format = PlotFormat::kPng;
};

// Where the plot of trajectory `id` goes. A path that ends in .png or .svg names the file, with
// "_traj_ID" put in front of the ending when there are several trajectories; one without an ending
// is a folder, which gets traj_ID.png and traj_ID.svg. Any other ending is kUsage.
Result<std::vector<PlotTarget>> plot_targets(const std::filesystem::path& path, int64_t id,
                                             bool several);

// Fails (kUsage) when a picture of so many dimensions is more than the format can hold.
Status check_plot_size(const std::vector<PlotTarget>& targets, int64_t dims);

// The bytes of the file. `keys` give the panels their titles.
Result<std::string> draw_plot(const TrajectoryResult& trajectory,
                              const std::vector<ComparedKey>& keys, int64_t action_horizon,
                              PlotFormat format);

// About `count` round positions (1, 2 or 5 times a power of ten apart) within [low, high].
// Precondition: low < high, both finite.
std::vector<double> axis_ticks(double low, double high, int count);

}  // namespace sinew::eval
