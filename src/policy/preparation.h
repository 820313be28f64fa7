// Observation -> network inputs: the host half of a call. Stateless but for what it writes into
// PreparedInputs, so any number of threads may prepare side by side.
#pragma once

#include "base/thread_pool.h"
#include "model/network.h"
#include "policy/observation_watch.h"
#include "policy/prepared_inputs.h"
#include "preprocess/config/processor_config.h"
#include "preprocess/state/state.h"
#include "preprocess/text/tokenizer.h"

#include "sinew/observation.h"
#include "sinew/result.h"

#include <cstdint>
#include <span>

namespace sinew::policy {

class Preparation {
 public:
  // All three must outlive it.
  Preparation(const preprocess::ProcessorConfig& config, const preprocess::Tokenizer& tokenizer,
              const model::NetworkFacts& facts)
      : config_(config),
        tokenizer_(tokenizer),
        facts_(facts),
        state_encoder_(config),
        watch_(config) {}

  // Errors name the caller's key: a camera or state missing (kNotFound), wrong number of frames,
  // views that end at different sizes, non-finite state, text that is not UTF-8 or too
  // long, a prompt without room (kBadInput), noise of another size. What can be run but hardly be
  // right is logged once a key (ObservationWatch). After the first call with the same shapes and
  // text it allocates nothing.
  Status prepare(const Observation& observation, PreparedInputs::Impl& inputs) const;

  // The same without the frames, which make_frames then puts where the network reads them while
  // the observation is still there. is_ready stays false. `threads`: that will be given to it.
  Status prepare_all_but_frames(const Observation& observation, const ThreadPool* threads,
                                PreparedInputs::Impl& inputs) const;

  // Frames to dst [v, H, W, 3]. They are spread over `threads`, which are the caller's for the
  // call; nullptr: the calling thread does it all. The result does not depend on it.
  static void make_frames(PreparedInputs::Impl& inputs, ThreadPool* threads,
                          std::span<uint8_t> dst);

  // Tokenises `language` for these images, as prepare does: fills token_ids, image_rows, text_rows.
  Status tokenize(std::string_view language, PreparedInputs::Impl& inputs) const;

 private:
  Status prepare_frames(const Observation& observation, const ThreadPool* threads,
                        PreparedInputs::Impl& inputs) const;
  Status check_cameras(const Observation& observation, int64_t bands,
                       PreparedInputs::Impl& inputs) const;
  Status check_length(std::span<const int32_t> ids) const;
  Status prepare_state(const Observation& observation, PreparedInputs::Impl& inputs) const;
  Status prepare_noise(const Observation& observation, PreparedInputs::Impl& inputs) const;

  const preprocess::ProcessorConfig& config_;
  const preprocess::Tokenizer& tokenizer_;
  const model::NetworkFacts& facts_;
  preprocess::StateEncoder state_encoder_;
  ObservationWatch watch_;
};

}  // namespace sinew::policy
