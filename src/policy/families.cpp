#include "policy/families.h"

#include "base/error.h"
#include "model/gr00t_n1d6/family.h"

#include <array>
#include <string>

namespace sinew::policy {
namespace {

constexpr std::array<Family, 1> kFamilies = {{
    {model::gr00t_n1d6::kModelType, model::gr00t_n1d6::kFamilyName,
     &model::gr00t_n1d6::load_network},
}};

}  // namespace

std::span<const Family> families() {
  return kFamilies;
}

Result<const Family*> find_family(const io::Checkpoint& checkpoint) {
  SINEW_ASSIGN(const io::JsonView type, checkpoint.config().at("model_type"));
  SINEW_ASSIGN(const std::string name, type.as_string());
  std::string known;
  for (const Family& family : kFamilies) {
    if (family.model_type == name) {
      return &family;
    }
    known += (known.empty() ? "" : ", ") + std::string(family.model_type);
  }
  return type.error_here(
      fmt::format("\"{}\" is not a model family of this build: expected one of {}", name, known));
}

}  // namespace sinew::policy
