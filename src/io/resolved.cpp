#include "io/resolved.h"

namespace sinew::io {

const char* origin_name(Origin origin) {
  switch (origin) {
    case Origin::kFlag:
      return "flag";
    case Origin::kConfigJson:
      return "config.json";
    case Origin::kProcessorConfig:
      return "processor_config.json";
    case Origin::kStatistics:
      return "statistics.json";
    case Origin::kEmbodimentId:
      return "embodiment_id.json";
    case Origin::kVlmConfig:
      return "vlm config.json";
    case Origin::kTensor:
      return "tensor shape";
    case Origin::kDefault:
      return "default";
  }
  return "?";
}

}  // namespace sinew::io
