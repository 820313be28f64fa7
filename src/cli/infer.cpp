// `sinew infer`: one observation file in, one action chunk (or a batch of them) out.
#include "base/ascii.h"
#include "base/error.h"
#include "base/log.h"
#include "cli/action_file.h"
#include "cli/json_text.h"
#include "cli/observation_file.h"
#include "cli/policy_run.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "eval/noise_sequence.h"
#include "eval/observation_view.h"
#include "io/file.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace sinew::cli {
namespace {

// The flag wins; the file's tag is used without one; two different ones are a mistake.
Result<std::string> settle_tag(const std::string& flag, const std::string& file,
                               const std::string& where) {
  const std::string lower = ascii_lower(flag);
  if (!lower.empty() && !file.empty() && lower != file) {
    return bad_input("{}: embodiment_tag is \"{}\", --embodiment-tag says \"{}\"; drop one of them",
                     where, file, flag);
  }
  return lower.empty() ? file : lower;
}

// A misspelt optional key would otherwise go unnoticed: the policy takes what it knows by name.
void warn_about_unused_inputs(const ObservationFile& file, const PolicyInfo& info) {
  std::vector<std::string> states;
  for (const GroupShape& group : info.state) {
    states.push_back(group.key);
  }
  std::set<std::string> unused;
  const auto note = [&unused](const char* modality, const auto& given,
                              const std::vector<std::string>& known) {
    for (const auto& group : given) {
      if (std::find(known.begin(), known.end(), group.key) == known.end()) {
        unused.insert(fmt::format("{}.{} (the policy reads {})", modality, group.key,
                                  fmt::join(known, ", ")));
      }
    }
  };
  for (const dataset::Step& step : file.steps) {
    note("video", step.video, info.cameras);
    note("state", step.state, states);
  }
  for (const std::string& text : unused) {
    log_warning("observation: not used: {}", text);
  }
}

// What was written, for a person.
std::string summary(std::span<const ActionChunk> chunks, const std::string& path) {
  Table table({"action", "rows", "dims", "smallest", "largest"}, {false, true, true, true, true});
  for (const ActionValues& action : chunks.front().actions) {
    const auto [low, high] = std::minmax_element(action.values.begin(), action.values.end());
    const bool has_values = low != action.values.end();
    table.add({action.key, std::to_string(action.steps), std::to_string(action.dims),
               has_values ? fmt::format("{:.6g}", *low) : "",
               has_values ? fmt::format("{:.6g}", *high) : ""});
  }
  std::string batch = chunks.size() == 1 ? "" : fmt::format(" (first of {})", chunks.size());
  return fmt::format("{}\nwritten to {}{}\n", table.text(has_colour(stdout)), path, batch);
}

}  // namespace

Status run_infer(const InferOptions& options, const FlagList& flags) {
  SINEW_TRY(check_original(options.original, flags));
  if (options.observation.empty()) {
    return usage_error("--observation is missing: name a .json, .npz or .safetensors file");
  }
  if (!options.output_path.empty()) {
    SINEW_TRY(check_action_path(options.output_path));
    SINEW_TRY(check_not_input("output", options.output_path, "observation", options.observation));
    SINEW_TRY(io::check_writable(options.output_path));
  }
  SINEW_TRY(check_dump_folder(options.model));
  SINEW_ASSIGN(const ObservationFile file, read_observation_file(options.observation));
  eval::NoiseSequence noise;
  if (!options.model.noise.empty()) {
    SINEW_ASSIGN(noise, eval::NoiseSequence::read(options.model.noise));
  }
  note_unused_seed(flags);
  ModelOptions model = options.model;
  SINEW_ASSIGN(model.policy.embodiment_tag,
               settle_tag(model.policy.embodiment_tag, file.embodiment_tag, options.observation));

  SINEW_ASSIGN(LoadedPolicy loaded, load_policy(model));
  const PolicyInfo& info = loaded.policy.info();
  warn_about_unused_inputs(file, info);
  SINEW_TRY(noise.check(info.horizon, info.max_action_dim));
  std::vector<eval::ObservationView> views(file.steps.size());
  std::vector<Observation> observations;
  for (size_t i = 0; i < views.size(); ++i) {
    observations.push_back(views[i].bind(file.steps[i], noise.next()));
  }
  std::vector<ActionChunk> chunks(observations.size());
  Status status = chunks.size() == 1 ? loaded.policy.act(observations.front(), chunks.front())
                                     : loaded.policy.act_batch(observations, chunks);
  if (!status.ok()) {
    return std::move(status).with(options.observation);
  }

  if (!options.output_path.empty()) {
    SINEW_TRY(write_actions(options.output_path, chunks, info));
  }
  std::string result;
  if (options.output.json || options.output_path.empty()) {
    result = json_text(chunks_json(chunks, info), options.output.json ? -1 : 1);
  } else {
    result = summary(chunks, options.output_path);
  }
  if (options.model.profile) {
    const std::string table = profile_table(chunks.front().timings, "component");
    if (options.output.json || options.output_path.empty()) {
      log_info("{}", table);  // stdout holds one JSON document; its timings_ms say the same
    } else {
      result += "\n" + table;
    }
  }
  return print_result(result);
}

}  // namespace sinew::cli
