#include "policy/weight_check.h"

#include "base/check.h"
#include "base/error.h"
#include "policy/name_list.h"

#include <set>
#include <string_view>

namespace sinew::policy {
namespace {

bool is_float(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kBf16 || dtype == DType::kF16;
}

}  // namespace

void CheckpointWeights::release(const ConstTensorView& view) const {
  io::MappedFile::release({static_cast<const std::byte*>(view.data), view.bytes()});
}

ConstTensorView CheckpointWeights::weight(std::string_view name) const {
  const io::TensorEntry* tensor = checkpoint_.find(name);
  SINEW_CHECK(tensor != nullptr);  // check_weights saw it
  return tensor->view;
}

Status check_weights(const ops::Plan& plan, const model::Network& network,
                     const io::Checkpoint& checkpoint, std::vector<std::string>& notices) {
  std::vector<std::string> missing;
  std::vector<std::string> wrong;
  std::set<std::string_view> read;
  for (const ops::ValueInfo& info : plan.values) {
    if (info.kind != ops::ValueKind::kWeight) {
      continue;
    }
    read.insert(info.name);
    const io::TensorEntry* tensor = checkpoint.find(info.name);
    if (tensor == nullptr) {
      missing.push_back(fmt::format("{} {}", info.name, info.shape.text()));
    } else if (!(tensor->view.shape == info.shape)) {
      wrong.push_back(fmt::format("{}: the configuration implies {}, the file has {}", info.name,
                                  info.shape.text(), tensor->view.shape.text()));
    } else if (!is_float(tensor->view.dtype)) {
      wrong.push_back(fmt::format("{}: expected F32, F16 or BF16, the file has {}", info.name,
                                  dtype_name(tensor->view.dtype)));
    }
  }
  std::string text;
  if (!missing.empty()) {
    text += fmt::format("{} tensors are missing:{}", missing.size(), list_of(missing));
  }
  if (!wrong.empty()) {
    text += fmt::format("{}{} tensors do not fit the configuration:{}", text.empty() ? "" : "\n",
                        wrong.size(), list_of(wrong));
  }
  if (!text.empty()) {
    return bad_input(
        "{}: {}\nIs the checkpoint complete, and is this its config? `sinew inspect {} --tensors` "
        "lists what is there",
        checkpoint.path().string(), text, checkpoint.path().string());
  }
  std::vector<std::string> unknown;
  for (const io::TensorEntry& tensor : checkpoint.tensors()) {
    if (!read.contains(tensor.name) && !network.is_known_unused(tensor.name)) {
      unknown.push_back(tensor.name);
    }
  }
  if (!unknown.empty()) {
    notices.push_back(fmt::format("{} tensors are not part of the network and are ignored:{}",
                                  unknown.size(), list_of(unknown)));
  }
  return {};
}

}  // namespace sinew::policy
