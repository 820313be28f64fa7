// Whatever answers observations with action chunks during an evaluation: a loaded policy, a remote
// server, or a test's stand-in.
#pragma once

#include "sinew/action_chunk.h"
#include "sinew/observation.h"
#include "sinew/policy.h"
#include "sinew/result.h"

namespace sinew::eval {

class ChunkSource {
 public:
  virtual ~ChunkSource() = default;

  // What observations must hold and chunks will hold. Does not change between calls.
  virtual const PolicyInfo& info() const = 0;

  // One observation in, one chunk out; blocks until the actions are in host memory.
  virtual Status act(const Observation& observation, ActionChunk& chunk) = 0;
};

}  // namespace sinew::eval
