#include "policy/site_dump.h"

#include "io/safetensors.h"
#include "tensor/convert.h"

#include <fmt/format.h>

#include <algorithm>

namespace sinew::policy {
namespace {

// Sites whose rows are prompt tokens, and so are padded to the longest prompt of the batch.
bool has_prompt_rows(std::string_view site) {
  return site.starts_with("llm.") || site == "backbone_features" || site == "vlln";
}

// Sites whose rows are images or patches of images: concatenated, without a batch axis.
bool has_image_rows(std::string_view site) {
  return site.starts_with("vis.") || site == "pixel_values";
}

struct OwnedTensor {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  std::vector<float> reals;
  std::vector<int64_t> integers;
};

Shape with_axis0(const Shape& shape, int64_t extent) {
  std::vector<int64_t> extents(shape.extents().begin(), shape.extents().end());
  extents[0] = extent;
  return Shape(extents);
}

Shape with_batch(const Shape& shape, int64_t batch) {
  std::vector<int64_t> extents{batch};
  extents.insert(extents.end(), shape.extents().begin(), shape.extents().end());
  return Shape(extents);
}

// Equal but for the number of rows.
bool have_equal_rows(const Shape& a, const Shape& b) {
  return a.rank() > 0 && a.rank() == b.rank() && with_axis0(a, 0) == with_axis0(b, 0);
}

// All samples' values of one site as one tensor.
OwnedTensor join(const std::vector<SiteSample>& samples, const std::string& site,
                 int64_t longest_prompt) {
  OwnedTensor out{.name = site, .shape = {}, .reals = {}, .integers = {}};
  const Shape first = samples.front().shapes.at(site);
  int64_t rows = 0;
  for (const SiteSample& sample : samples) {
    const Shape shape = sample.shapes.at(site);
    const auto& values = sample.values.at(site);
    if (has_prompt_rows(site)) {
      out.reals.insert(out.reals.end(), static_cast<size_t>((longest_prompt - shape[0]) * shape[1]),
                       0.0F);
    }
    out.reals.insert(out.reals.end(), values.begin(), values.end());
    rows += shape[0];
  }
  const Shape sample_shape = has_prompt_rows(site) ? with_axis0(first, longest_prompt) : first;
  out.shape = has_image_rows(site) ? with_axis0(first, rows)
                                   : with_batch(sample_shape, static_cast<int64_t>(samples.size()));
  return out;
}

// input_ids and attention_mask, left-padded.
std::vector<OwnedTensor> prompt_tensors(const std::vector<SiteSample>& samples, size_t longest,
                                        int32_t pad_token_id) {
  const Shape shape{static_cast<int64_t>(samples.size()), static_cast<int64_t>(longest)};
  OwnedTensor ids{
      .name = "input_ids", .dtype = DType::kI64, .shape = shape, .reals = {}, .integers = {}};
  OwnedTensor mask{
      .name = "attention_mask", .dtype = DType::kI64, .shape = shape, .reals = {}, .integers = {}};
  for (const SiteSample& sample : samples) {
    const size_t pads = longest - sample.token_ids.size();
    ids.integers.insert(ids.integers.end(), pads, pad_token_id);
    ids.integers.insert(ids.integers.end(), sample.token_ids.begin(), sample.token_ids.end());
    mask.integers.insert(mask.integers.end(), pads, 0);
    mask.integers.insert(mask.integers.end(), sample.token_ids.size(), 1);
  }
  return {std::move(ids), std::move(mask)};
}

}  // namespace

Status SiteDump::add_sample(engine::Executable& executable, const PreparedInputs::Impl& inputs,
                            const ActionChunk& chunk) {
  SiteSample sample;
  const auto& sites = executable.plan().sites;
  for (size_t i = 0; i < sites.size(); ++i) {
    SINEW_ASSIGN(const ConstTensorView view,
                 executable.site(i));  // bf16 where only products read it
    auto& values = sample.values[sites[i].name];
    values.resize(static_cast<size_t>(view.shape.elements()));
    convert_to_f32(view, values);
    sample.shapes[sites[i].name] = view.shape;
  }
  for (const ActionValues& action : chunk.actions) {
    sample.values["action." + action.key] = action.values;
    sample.shapes["action." + action.key] = {action.steps, action.dims};
  }
  sample.token_ids = inputs.token_ids;
  samples_.push_back(std::move(sample));
  return {};
}

Status SiteDump::write_call(int32_t pad_token_id) {
  if (samples_.empty()) {
    return {};
  }
  size_t longest = 0;
  for (const SiteSample& sample : samples_) {
    longest = std::max(longest, sample.token_ids.size());
  }
  std::vector<OwnedTensor> tensors = prompt_tensors(samples_, longest, pad_token_id);
  for (const auto& [site, shape] : samples_.front().shapes) {
    // Samples whose frames have other sizes cannot share one pixel tensor; every other site can be
    // joined.
    const bool can_join =
        std::all_of(samples_.begin(), samples_.end(), [&, &name = site](const SiteSample& sample) {
          return have_equal_rows(sample.shapes.at(name), samples_.front().shapes.at(name));
        });
    if (can_join) {
      tensors.push_back(join(samples_, site, static_cast<int64_t>(longest)));
    }
  }
  std::vector<io::NamedTensor> named;
  named.reserve(tensors.size());
  for (const OwnedTensor& t : tensors) {
    const void* data =
        t.dtype == DType::kF32 ? static_cast<const void*>(t.reals.data()) : t.integers.data();
    named.push_back({t.name, {data, t.dtype, t.shape}});
  }
  samples_.clear();
  return io::write_safetensors(folder_ / fmt::format("call_{:06}.safetensors", calls_++), named);
}

}  // namespace sinew::policy
