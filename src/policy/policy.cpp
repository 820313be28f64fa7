// The public Policy: prepare, run, act.
#include "sinew/policy.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/philox.h"
#include "ops/plan_cost.h"
#include "policy/policy_impl.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace sinew {
namespace {

void set_key(const model::SampleShape& shape, engine::PlanKey& key) {
  key.assign(
      {shape.views, shape.image_height, shape.image_width, shape.tokens, shape.first_position});
}

template <class T>
void copy_input(const engine::Executable& executable, std::string_view name,
                const std::vector<T>& values) {
  const auto dst = executable.input(name).as<T>();
  std::memcpy(dst.data(), values.data(), values.size() * sizeof(T));
}

void note_times(const engine::Executable& executable, Timings& t) {
  t.vision_ms = 0;
  t.language_ms = 0;
  t.action_ms = 0;
  t.step_ms.clear();
  for (const engine::StageTime& stage : executable.stage_times()) {
    if (stage.stage == "vision") {
      t.vision_ms = stage.ms;
    } else if (stage.stage == "language") {
      t.language_ms = stage.ms;
    } else {
      t.action_ms += stage.ms;
      if (stage.stage.starts_with("denoise")) {
        t.step_ms.push_back(stage.ms);
      }
    }
  }
}

}  // namespace

PreparedInputs::PreparedInputs() : impl_(std::make_unique<Impl>()) {}

PreparedInputs::PreparedInputs(PreparedInputs&&) noexcept = default;
PreparedInputs& PreparedInputs::operator=(PreparedInputs&&) noexcept = default;
PreparedInputs::~PreparedInputs() = default;

InputShape PreparedInputs::shape() const {
  if (!impl_->is_ready) {
    return {};
  }
  const model::SampleShape& shape = impl_->shape;
  return {.views = shape.views,
          .image_height = shape.image_height,
          .image_width = shape.image_width,
          .tokens = shape.tokens,
          .image_tokens = static_cast<int64_t>(impl_->image_rows.size())};
}

Policy::Policy(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Policy::Policy(Policy&&) noexcept = default;
Policy& Policy::operator=(Policy&&) noexcept = default;
Policy::~Policy() = default;

const PolicyInfo& Policy::info() const {
  return impl_->info;
}

Policy::Memory Policy::memory() const {
  const engine::MemoryUse use = impl_->session->memory();
  return {.weight_bytes = use.weight_bytes + use.constant_bytes,
          .arena_bytes = use.arena_bytes,
          .workspace_bytes = use.workspace_bytes,
          .staging_bytes = use.staging_bytes};
}

Status Policy::Impl::decode(const PreparedInputs::Impl& inputs, std::span<const float> normalized,
                            ActionChunk& chunk) {
  const model::NetworkFacts& facts = network->facts();
  if (!std::all_of(normalized.begin(), normalized.end(),
                   [](float x) { return std::isfinite(x); })) {
    return internal_error("the network returned a non-finite action: no action is given");
  }
  chunk.horizon = facts.horizon;
  chunk.max_action_dim = facts.max_action_dim;
  chunk.normalized.assign(normalized.begin(), normalized.end());
  groups.clear();
  for (const auto& raw : inputs.raw_state) {
    groups.push_back({.key = raw.key, .values = raw.values, .steps = raw.steps, .dims = raw.dims});
  }
  const auto layout = action_decoder.layout();
  chunk.actions.resize(layout.size());
  action_spans.clear();
  for (size_t i = 0; i < layout.size(); ++i) {
    ActionValues& action = chunk.actions[i];
    action.key = layout[i].key;
    action.steps = processor.action_steps();
    action.dims = layout[i].output_dims;
    action.values.resize(static_cast<size_t>(action.steps * action.dims));
    action_spans.emplace_back(action.values);
  }
  SINEW_TRY(action_decoder.decode(normalized, facts.horizon, groups, action_spans));
  for (const ActionValues& action : chunk.actions) {
    if (!std::all_of(action.values.begin(), action.values.end(),
                     [](float x) { return std::isfinite(x); })) {
      return internal_error("action \"{}\" is not finite after decoding: no action is given",
                            action.key);
    }
  }
  return {};
}

Result<engine::Executable*> Policy::Impl::run_sample(PreparedInputs::Impl& inputs,
                                                     ActionChunk& chunk) {
  const double prepared_ms = inputs.preprocess_ms + inputs.tokenize_ms;
  const auto start = Clock::now();
  set_key(inputs.shape, key);
  SINEW_ASSIGN(engine::Executable* const executable, session->prepare(key));
  last_shape = inputs.shape;
  if (!inputs.has_frames) {  // made where the network reads them: a copy costs half as much again
    policy::Preparation::make_frames(inputs, &session->threads(),
                                     executable->input("frames").as<uint8_t>());
  }
  const auto network_start = Clock::now();
  if (inputs.has_frames) {
    copy_input(*executable, "frames", inputs.frames);
  }
  copy_input(*executable, "token_ids", inputs.token_ids);
  copy_input(*executable, "image_rows", inputs.image_rows);
  copy_input(*executable, "text_rows", inputs.text_rows);
  copy_input(*executable, "state", inputs.state);
  if (inputs.noise.empty()) {
    normal_noise(seed, draws++, executable->input("noise").as<float>());
  } else {
    copy_input(*executable, "noise", inputs.noise);
  }
  SINEW_TRY(executable->run(times_stages));
  chunk.timings.network_ms = milliseconds_since(network_start);
  const auto decode_start = Clock::now();
  SINEW_TRY(decode(inputs, executable->output(0).as<float>(), chunk));
  Timings& t = chunk.timings;
  note_times(*executable, t);
  t.preprocess_ms = inputs.preprocess_ms;
  t.tokenize_ms = inputs.tokenize_ms;
  t.decode_ms = milliseconds_since(decode_start);
  t.end_to_end_ms = prepared_ms + milliseconds_since(start);
  return executable;
}

Status Policy::Impl::run_call(PreparedInputs::Impl& inputs, ActionChunk& chunk) {
  SINEW_ASSIGN(engine::Executable* const executable, run_sample(inputs, chunk));
  if (dump) {
    SINEW_TRY(dump->add_sample(*executable, inputs, chunk));
    SINEW_TRY(dump->write_call(tokenizer.pad_token_id()));
  }
  return {};
}

void Policy::set_stage_timing(bool is_timed) {
  impl_->times_stages = is_timed;
}

Status Policy::warm_up() {
  set_key(impl_->last_shape, impl_->key);
  auto executable = impl_->session->prepare(impl_->key);
  return executable.ok() ? Status() : std::move(executable).status();
}

Status Policy::prepare(const Observation& observation, PreparedInputs& inputs) const {
  return impl_->preparation.prepare(observation, *inputs.impl_);
}

Status Policy::run(PreparedInputs& inputs, ActionChunk& chunk) {
  if (!inputs.impl_->is_ready) {
    return usage_error("run: these inputs were not prepared, or their preparation failed");
  }
  return impl_->run_call(*inputs.impl_, chunk);
}

Status Policy::act(const Observation& observation, ActionChunk& chunk) {
  PreparedInputs::Impl& inputs = *impl_->act_inputs.impl_;
  SINEW_TRY(
      impl_->preparation.prepare_all_but_frames(observation, &impl_->session->threads(), inputs));
  return impl_->run_call(inputs, chunk);
}

Status Policy::act_batch(std::span<const Observation> observations, std::span<ActionChunk> chunks) {
  if (observations.size() != chunks.size()) {
    return usage_error("act_batch: {} observations and {} chunks", observations.size(),
                       chunks.size());
  }
  std::vector<PreparedInputs> inputs(observations.size());
  int64_t longest = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    Status status = impl_->preparation.prepare_all_but_frames(
        observations[i], &impl_->session->threads(), *inputs[i].impl_);
    if (!status.ok()) {
      return std::move(status).with(fmt::format("sample {}", i));
    }
    longest = std::max(longest, inputs[i].impl_->shape.tokens);
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    PreparedInputs::Impl& sample = *inputs[i].impl_;
    sample.shape.first_position =
        longest - sample.shape.tokens;  // positions count the pads (spec/model.md 5.3)
    SINEW_ASSIGN(engine::Executable* const executable, impl_->run_sample(sample, chunks[i]));
    if (impl_->dump) {
      SINEW_TRY(impl_->dump->add_sample(*executable, sample, chunks[i]));
    }
  }
  return impl_->dump ? impl_->dump->write_call(impl_->tokenizer.pad_token_id()) : Status();
}

std::vector<Policy::StageCost> Policy::stage_costs() const {
  const auto precision = ops::precision_from_name(impl_->info.precision);
  SINEW_CHECK(precision.has_value());
  std::vector<StageCost> costs;
  for (const ops::StageCost& cost :
       ops::stage_costs(impl_->network->record(impl_->last_shape), *precision)) {
    costs.push_back({cost.stage, cost.flop, cost.weight_bytes});
  }
  return costs;
}

Result<std::string> Policy::plan_text(int stage) {
  if (stage < 0 || stage > 4) {
    return usage_error(
        "--stage: expected 0 to 4 (recorded, folded, precision, selected, placed), found {}",
        stage);
  }
  set_key(impl_->last_shape, impl_->key);
  return impl_->session->plan_text(impl_->key, stage);
}

}  // namespace sinew
