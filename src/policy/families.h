// The table of model families that this build knows: a row a family.
#pragma once

#include "model/network.h"

#include <span>
#include <string_view>

namespace sinew::policy {

struct Family {
  std::string_view model_type;  // config.json model_type
  std::string_view name;
  Result<std::unique_ptr<model::Network>> (*load)(const io::Checkpoint& checkpoint,
                                                  const io::VlmFolder& vlm,
                                                  const model::NetworkOptions& options) = nullptr;
};

std::span<const Family> families();

// By the checkpoint's model_type; kUnsupported lists the known ones.
Result<const Family*> find_family(const io::Checkpoint& checkpoint);

}  // namespace sinew::policy
