#include "eval/observation_view.h"

namespace sinew::eval {

const Observation& ObservationView::bind(const dataset::Step& step, std::span<const float> noise) {
  frames_.resize(step.video.size());
  cameras_.clear();
  for (size_t i = 0; i < step.video.size(); ++i) {
    frames_[i].clear();
    for (const preprocess::Image& image : step.video[i].frames) {
      frames_[i].push_back({image.pixels.data(), image.height, image.width});
    }
    cameras_.push_back({step.video[i].key, frames_[i]});
  }
  states_.clear();
  for (const dataset::Step::Values& group : step.state) {
    states_.push_back({group.key, group.values, group.steps, group.dims});
  }
  observation_ = {cameras_, states_, step.language, noise};
  return observation_;
}

}  // namespace sinew::eval
