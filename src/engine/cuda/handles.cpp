#include "engine/cuda/handles.h"

#include "kernels/cuda/status.h"

#include <cuda_runtime_api.h>

namespace sinew::cuda {

void DestroyEvent::operator()(CUevent_st* event) const {
  cudaEventDestroy(event);
}

void DestroyGraph::operator()(CUgraphExec_st* graph) const {
  cudaGraphExecDestroy(graph);
}

Result<Event> make_event(bool has_time) {
  cudaEvent_t event = nullptr;
  const unsigned int flags = has_time ? cudaEventDefault : cudaEventDisableTiming;
  SINEW_TRY(call_status(cudaEventCreateWithFlags(&event, flags), "creating an event"));
  return Event(event);
}

}  // namespace sinew::cuda
