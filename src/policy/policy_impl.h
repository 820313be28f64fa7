// What a loaded Policy holds. Members are in the order in which each needs the ones above it.
#pragma once

#include "engine/session.h"
#include "io/checkpoint.h"
#include "model/network.h"
#include "policy/preparation.h"
#include "policy/site_dump.h"
#include "policy/weight_check.h"
#include "preprocess/action/action.h"
#include "preprocess/config/processor_config.h"
#include "preprocess/text/tokenizer.h"

#include "sinew/policy.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace sinew {

struct Policy::Impl {
  Impl(io::Checkpoint checkpoint_in, preprocess::Tokenizer tokenizer_in,
       preprocess::ProcessorConfig processor_in, std::unique_ptr<model::Network> network_in)
      : checkpoint(std::move(checkpoint_in)),
        tokenizer(std::move(tokenizer_in)),
        processor(std::move(processor_in)),
        network(std::move(network_in)),
        weights(checkpoint),
        preparation(processor, tokenizer, network->facts()),
        action_decoder(processor) {}

  // Runs the network on prepared inputs and decodes; the executable stays valid until the next
  // call.
  Result<engine::Executable*> run_sample(PreparedInputs::Impl& inputs, ActionChunk& chunk);

  // That, and the site dump of a call with one sample.
  Status run_call(PreparedInputs::Impl& inputs, ActionChunk& chunk);

  Status decode(const PreparedInputs::Impl& inputs, std::span<const float> normalized,
                ActionChunk& chunk);

  io::Checkpoint checkpoint;
  preprocess::Tokenizer tokenizer;
  preprocess::ProcessorConfig processor;
  std::unique_ptr<model::Network> network;
  policy::CheckpointWeights weights;
  policy::Preparation preparation;
  preprocess::ActionDecoder action_decoder;
  std::optional<engine::Session> session;
  bool times_stages = true;
  std::optional<policy::SiteDump> dump;
  PolicyInfo info;
  uint64_t seed = 42;
  uint64_t draws = 0;                          // noise tensors drawn so far
  model::SampleShape last_shape;               // of the last call, or a plausible one
  PreparedInputs act_inputs;                   // of act()
  engine::PlanKey key;                         // scratch
  std::vector<preprocess::StateGroup> groups;  // scratch: raw state of the sample being decoded
  std::vector<std::span<float>> action_spans;  // scratch
};

}  // namespace sinew
