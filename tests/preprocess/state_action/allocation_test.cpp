// After construction neither the state encoder nor the action decoder touches the heap.
#include "preprocess/action/action.h"
#include "preprocess/state/state.h"
#include "preprocess/state_action/fixture.h"
#include "support/allocation_count.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace sinew::preprocess {
namespace {

TEST(SteadyState, AllocatesNothing) {
  testing::Files files = testing::example_files();
  files.kwargs()["apply_sincos_state_encoding"] = true;
  io::Json& modalities = files.kwargs()["modality_configs"]["new_embodiment"];
  modalities["state"]["sin_cos_embedding_keys"] = {"grip"};
  modalities["state"]["mean_std_embedding_keys"] = {"arm"};
  const ProcessorConfig config = testing::resolve_or_fail(files);
  const StateEncoder encoder(config);
  const ActionDecoder decoder(config);

  testing::States states;
  states.add("eef", {0.1F, 0.2F, 0.3F, 1, 0, 0, 0, 1, 0});  // not in the configuration's order
  states.add("arm", {1, 2, 3});
  states.add("grip", {0.5F});
  const std::vector<StateGroup> groups = states.groups();
  std::vector<float> state(static_cast<size_t>(config.max_state_dim));
  std::vector<float> normalized(static_cast<size_t>(4 * config.max_action_dim));
  for (size_t i = 0; i < normalized.size(); ++i) {
    normalized[i] = 0.01F * static_cast<float>(i % 100) - 0.5F;
  }
  std::array<float, 6> arm{};
  std::array<float, 2> grip{};
  std::array<float, 18> eef{};
  const std::array<std::span<float>, 3> dst = {arm, grip, eef};

  const int64_t before = test::allocation_count();
  bool ok = true;
  for (int call = 0; call < 100; ++call) {
    ok = encoder.encode(groups, state).ok() && ok;
    ok = decoder.decode(normalized, 4, groups, dst).ok() && ok;
  }
  EXPECT_EQ(test::allocation_count(), before);
  EXPECT_TRUE(ok);
  EXPECT_EQ(before > 0, test::counts_allocations());  // the counter is alive
}

}  // namespace
}  // namespace sinew::preprocess
