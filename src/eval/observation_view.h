// A dataset step (or an observation file, which is read into one) as the public Observation.
#pragma once

#include "dataset/dataset.h"

#include "sinew/observation.h"

#include <span>
#include <vector>

namespace sinew::eval {

// Holds the spans that an Observation points to. Reused from step to step: bind() keeps capacity.
class ObservationView {
 public:
  // `step` must stay alive and unchanged, and this object uncopied, while the result is in use.
  const Observation& bind(const dataset::Step& step, std::span<const float> noise = {});

 private:
  std::vector<std::vector<Frame>> frames_;  // [camera][time]
  std::vector<CameraFrames> cameras_;
  std::vector<StateValues> states_;
  Observation observation_;
};

}  // namespace sinew::eval
