// Owners of CUDA's events and graphs.
#pragma once

#include "sinew/result.h"

#include <memory>

struct CUevent_st;
struct CUgraphExec_st;

namespace sinew::cuda {

struct DestroyEvent {
  void operator()(CUevent_st* event) const;
};

struct DestroyGraph {
  void operator()(CUgraphExec_st* graph) const;
};

using Event = std::unique_ptr<CUevent_st, DestroyEvent>;
using Graph = std::unique_ptr<CUgraphExec_st, DestroyGraph>;

Result<Event> make_event(bool has_time);

}  // namespace sinew::cuda
