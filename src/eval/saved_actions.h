// Predicted actions of an evaluation as a file (--save-actions), for tools of the caller's own.
#pragma once

#include "eval/open_loop.h"

#include "sinew/result.h"

#include <filesystem>
#include <string>

namespace sinew::eval {

// By the path's ending:
//   .npy   f32 [rows, dims], trajectories one after another, keys side by side
//   .npz   traj_ID.predicted.KEY and traj_ID.recorded.KEY, f32 [steps, dims]
//   .csv   trajectory,step, then predicted and recorded columns "KEY[i]" with a header line
//   .json  [{"id", "predicted": {KEY: [[..]]}, "recorded": {KEY: [[..]]}}]
// Atomic. kUsage for another ending.
Status save_actions(const std::filesystem::path& path, const OpenLoopReport& report);

// kUsage unless save_actions knows the ending; asked before the evaluation runs.
Status check_saved_actions_path(const std::filesystem::path& path);

std::string actions_csv(const OpenLoopReport& report);

}  // namespace sinew::eval
