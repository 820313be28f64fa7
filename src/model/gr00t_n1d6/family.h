// GR00T N1.6 as a row in the family table.
#pragma once

#include "model/network.h"

namespace sinew::model::gr00t_n1d6 {

inline constexpr const char* kModelType = "Gr00tN1d6";  // config.json model_type
inline constexpr const char* kFamilyName = "gr00t_n1d6";

// Resolves the configuration; the weights are checked by the caller against a recording.
Result<std::unique_ptr<Network>> load_network(const io::Checkpoint& checkpoint,
                                              const io::VlmFolder& vlm,
                                              const NetworkOptions& options);

}  // namespace sinew::model::gr00t_n1d6
