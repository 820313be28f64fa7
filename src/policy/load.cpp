// Policy::load: every check that can fail does so here, before the first observation.
#include "base/error.h"
#include "base/log.h"
#include "engine/backend.h"
#include "engine/processors.h"
#include "ops/passes.h"
#include "policy/families.h"
#include "policy/policy_impl.h"
#include "policy/weight_values.h"
#include "preprocess/image/image.h"

#include "sinew/policy.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace sinew {
namespace {

// The frame size assumed until an observation shows the real one (plans and memory of `inspect`).
constexpr int64_t kAssumedFrameHeight = 480;
constexpr int64_t kAssumedFrameWidth = 640;

struct Execution {
  std::string device;
  std::string device_note;  // why it is this one
  ops::Precision precision = ops::Precision::kFp32;
  std::unique_ptr<engine::Backend> gpu;  // nullptr: the CPU
};

// The number of "cuda" or "cuda:N".
std::optional<int> cuda_number(const std::string& device) {
  if (device == "cuda") {
    return 0;
  }
  int number = 0;
  const char* const first = device.data() + std::min<size_t>(5, device.size());
  const char* const last = device.data() + device.size();
  const auto [end, failure] = std::from_chars(first, last, number);
  return device.starts_with("cuda:") && failure == std::errc() && end == last && first != last
             ? std::optional(number)
             : std::nullopt;
}

engine::LoweringChoice lowering_of(const PolicyOptions& options) {
  return options.lowering == "leaf"    ? engine::LoweringChoice::kLeaf
         : options.lowering == "fused" ? engine::LoweringChoice::kFused
                                       : engine::LoweringChoice::kAuto;
}

// --threads; `note` says why it is what it is.
int threads_of(const PolicyOptions& options, std::string& note) {
  return engine::resolve_threads(options.threads, engine::processors(), note);
}

engine::CudaOptions cuda_options(const PolicyOptions& options, int device) {
  std::string note;
  return {.device = device,
          .memory_fraction = options.gpu_mem_fraction,
          .lowering = lowering_of(options),
          .captures = options.cuda_graph == "on",
          .threads = threads_of(options, note)};
}

// --device: what is asked for, or for auto the first GPU that this build runs on, else the CPU.
Status resolve_device(const PolicyOptions& options, Execution& execution) {
  execution.device = "cpu";
  if (options.device == "cpu") {
    return {};
  }
  const std::optional<int> number = cuda_number(options.device);
  if (number) {
    auto made = engine::make_cuda_backend(cuda_options(options, *number));
    if (!made.ok()) {
      return std::move(made).status().with("--device " + options.device);
    }
    execution.gpu = std::move(made).value();
    execution.device = execution.gpu->name();
    return {};
  }
  if (options.device != "auto") {
    return usage_error("--device: expected cpu, cuda or cuda:N, found \"{}\"", options.device);
  }
  const engine::CudaSystem system = engine::cuda_system();
  for (size_t i = 0; i < system.devices.size(); ++i) {
    if (!system.devices[i].has_kernels) {
      execution.device_note = fmt::format(
          "{} is left unused: this build has kernels for {}, not for {}", system.devices[i].name,
          system.architectures, system.devices[i].compute_capability);
      continue;
    }
    auto made = engine::make_cuda_backend(cuda_options(options, static_cast<int>(i)));
    if (made.ok()) {
      execution.gpu = std::move(made).value();
      execution.device = execution.gpu->name();
      execution.device_note = system.devices[i].name;
      return {};
    }
    execution.device_note = made.status().message();
  }
  return {};
}

// --device and --precision; nothing falls back silently.
Result<Execution> resolve_execution(const PolicyOptions& options) {
  Execution execution;
  if (options.lowering != "auto" && options.lowering != "leaf" && options.lowering != "fused") {
    return usage_error("--lowering: expected auto, fused or leaf, found \"{}\"", options.lowering);
  }
  if (options.cuda_graph != "on" && options.cuda_graph != "off") {
    return usage_error("--cuda-graph: expected on or off, found \"{}\"", options.cuda_graph);
  }
  if (!(options.gpu_mem_fraction > 0 && options.gpu_mem_fraction <= 1)) {
    return usage_error("--gpu-mem-fraction: expected more than 0 and at most 1, found {:g}",
                       options.gpu_mem_fraction);
  }
  SINEW_TRY(resolve_device(options, execution));
  if (execution.gpu != nullptr) {
    execution.precision = ops::Precision::kBf16;
  }
  if (options.precision != "auto") {
    const auto precision = ops::precision_from_name(options.precision);
    if (!precision) {
      return usage_error("--precision: expected fp32, bf16, fp16, int8 or fp8, found \"{}\"",
                         options.precision);
    }
    execution.precision = *precision;
  }
  if (execution.precision != ops::Precision::kFp32 &&
      execution.precision != ops::Precision::kBf16) {
    return unsupported("--precision {}: the {} backend runs fp32 and bf16", options.precision,
                       execution.gpu == nullptr ? "CPU" : "CUDA");
  }
  return execution;
}

Result<preprocess::Tokenizer> load_tokenizer(const io::VlmFolder& vlm) {
  preprocess::TokenizerFiles files{
      .vocab = vlm.vocab, .merges = vlm.merges, .added_tokens = {}, .where = vlm.path.string()};
  if (vlm.added_tokens) {
    files.added_tokens = *vlm.added_tokens;
  }
  return preprocess::Tokenizer::load(files);
}

// Contradictions between the processor's files, the tokenizer and the network.
Status check_consistency(const io::Checkpoint& checkpoint,
                         const preprocess::ProcessorConfig& processor,
                         const preprocess::Tokenizer& tokenizer, const model::NetworkFacts& facts) {
  const std::string where = checkpoint.path().string();
  if (processor.max_state_dim != facts.max_state_dim ||
      processor.max_action_dim != facts.max_action_dim) {
    return bad_input(
        "{}: processor_config.json says max_state_dim {} and max_action_dim {}, config.json {} and "
        "{}",
        where, processor.max_state_dim, processor.max_action_dim, facts.max_state_dim,
        facts.max_action_dim);
  }
  if (facts.image_token_id && *facts.image_token_id != tokenizer.image_token_id()) {
    return bad_input(
        "{}: the VLM's config has image_token_index {}, the tokenizer's <IMG_CONTEXT> is {}: the "
        "tokenizer "
        "belongs to another model",
        where, *facts.image_token_id, tokenizer.image_token_id());
  }
  if (tokenizer.image_token_id() >= facts.vocabulary) {
    return bad_input(
        "{}: the tokenizer's <IMG_CONTEXT> is {}, the checkpoint embeds {} tokens: the tokenizer "
        "belongs to "
        "another model",
        where, tokenizer.image_token_id(), facts.vocabulary);
  }
  if (preprocess::kSnapPixels % facts.pixels_per_token != 0) {
    return bad_input(
        "{}: the VLM's config makes an image token of {} x {} pixels (twice its patch_size), and "
        "frames have sides that are multiples of {}: expected a patch_size of 14",
        where, facts.pixels_per_token, facts.pixels_per_token, preprocess::kSnapPixels);
  }
  return {};
}

// Where config.json repeats image or text settings of processor_config.json, the processor's win
// (spec/checkpoint.md section 4); a difference is said.
void note_repeated_settings(const io::Checkpoint& checkpoint, std::vector<std::string>& notices) {
  const io::JsonView processor(checkpoint.processor_config());
  if (!processor.has("processor_kwargs")) {
    return;
  }
  const io::Json& kwargs = processor.json().at("processor_kwargs");
  const io::JsonView model(checkpoint.config());
  const io::Json& config = model.json();
  for (const char* key :
       {"shortest_image_edge", "crop_fraction", "formalize_language", "apply_sincos_state_encoding",
        "use_relative_action", "image_crop_size", "image_target_size"}) {
    const auto theirs = config.find(key);
    const auto ours = kwargs.find(key);
    if (theirs != config.end() && ours != kwargs.end() && *theirs != *ours) {
      notices.push_back(
          fmt::format("{}: config.json says {}, processor_config.json {}: the processor's is used",
                      key, theirs->dump(), ours->dump()));
    }
  }
}

void append_rows(const io::ResolvedConfig& resolved, PolicyInfo& info) {
  for (const io::ResolvedValue& row : resolved.rows) {
    info.config.push_back({row.key, row.value, io::origin_name(row.origin), row.note});
  }
  info.notices.insert(info.notices.end(), resolved.notices.begin(), resolved.notices.end());
  info.warnings.insert(info.warnings.end(), resolved.warnings.begin(), resolved.warnings.end());
}

void describe(const Policy::Impl& impl, std::string_view family, PolicyInfo& info) {
  const preprocess::Modalities& m = impl.processor.modalities;
  const model::NetworkFacts& facts = impl.network->facts();
  info.family = family;
  info.embodiment_tag = impl.processor.embodiment_tag;
  info.cameras = m.video.keys;
  info.video_deltas = m.video.delta_indices;
  info.state_deltas = m.state.delta_indices;
  info.action_deltas = m.action.delta_indices;
  for (const std::string& key : m.state.keys) {
    const auto found = impl.processor.statistics.state.find(key);
    const int64_t dims = found == impl.processor.statistics.state.end() ? 0 : found->second.dims;
    info.state.push_back({key, impl.processor.state_steps(), dims});
  }
  for (const preprocess::ActionKeyLayout& action : impl.action_decoder.layout()) {
    info.action.push_back({action.key, impl.processor.action_steps(), action.output_dims});
  }
  info.language_key = m.language.keys.front();
  info.horizon = facts.horizon;
  info.checkpoint_horizon = facts.checkpoint_horizon;
  info.action_steps = impl.processor.action_steps();
  info.max_action_dim = facts.max_action_dim;
  info.denoising_steps = facts.denoising_steps;
}

// The shapes of an observation with frames of the assumed size and an empty instruction.
Result<model::SampleShape> assumed_shape(const Policy::Impl& impl) {
  SINEW_ASSIGN(const preprocess::TransformSizes sizes,
               preprocess::transform_sizes({kAssumedFrameHeight, kAssumedFrameWidth},
                                           impl.processor.shortest_image_edge,
                                           impl.processor.crop_fraction));
  PreparedInputs::Impl inputs;
  const preprocess::ModalityConfig& video = impl.processor.modalities.video;
  inputs.shape.views = static_cast<int64_t>(video.keys.size() * video.delta_indices.size());
  inputs.shape.image_height = sizes.snapped.height;
  inputs.shape.image_width = sizes.snapped.width;
  SINEW_TRY(impl.preparation.tokenize("", inputs));
  inputs.shape.tokens = static_cast<int64_t>(inputs.token_ids.size());
  return inputs.shape;
}

Status start_session(const PolicyOptions& options, Execution execution, Policy::Impl& impl) {
  std::string thread_note;
  const int threads = threads_of(options, thread_note);
  impl.info.device = execution.device;
  impl.info.precision = ops::precision_name(execution.precision);
  impl.info.config.push_back({"device", impl.info.device,
                              options.device == "auto" ? "default" : "flag",
                              execution.device_note});
  impl.info.config.push_back(
      {"precision", impl.info.precision, options.precision == "auto" ? "default" : "flag", ""});
  impl.info.config.push_back(
      {"threads", std::to_string(threads), options.threads > 0 ? "flag" : "default", thread_note});
  impl.info.config.push_back(
      {"seed", std::to_string(options.seed), options.seed == 42 ? "default" : "flag", ""});
  impl.seed = options.seed;
  const auto record = [network = impl.network.get()](const engine::PlanKey& key) {
    return network->record({.views = key[0],
                            .image_height = key[1],
                            .image_width = key[2],
                            .tokens = key[3],
                            .first_position = key[4]});
  };
  if (execution.gpu == nullptr && !execution.device_note.empty()) {
    impl.info.notices.push_back("the GPU is not used: " + execution.device_note);
  }
  impl.times_stages = execution.gpu == nullptr;
  std::unique_ptr<engine::Backend> backend =
      execution.gpu != nullptr ? std::move(execution.gpu)
                               : engine::make_cpu_backend(threads, lowering_of(options));
  impl.session.emplace(std::move(backend), impl.weights, record,
                       engine::SessionOptions{.precision = execution.precision,
                                              .keep_sites = !options.dump_sites.empty()});
  if (!options.dump_sites.empty()) {
    std::error_code failure;
    std::filesystem::create_directories(options.dump_sites, failure);
    if (failure) {
      return bad_input("--dump-sites {}: cannot create the folder: {}", options.dump_sites,
                       failure.message());
    }
    impl.dump.emplace(options.dump_sites);
  }
  return {};
}

model::NetworkOptions network_options(const PolicyOptions& options,
                                      const preprocess::ProcessorConfig& processor,
                                      const Execution& execution) {
  return {.horizon = options.horizon,
          .denoising_steps = options.denoising_steps,
          .rope_inv_freq = options.rope_inv_freq,
          .is_bf16_run = execution.precision != ops::Precision::kFp32,
          .action_steps = processor.action_steps(),
          .state_steps = processor.state_steps(),
          .embodiment_id = processor.embodiment_id,
          .embodiment_id_note = processor.embodiment_id_note};
}

}  // namespace

Result<Policy> Policy::load(const PolicyOptions& options) {
  SINEW_ASSIGN(Execution execution, resolve_execution(options));
  SINEW_ASSIGN(
      io::Checkpoint checkpoint,
      io::Checkpoint::open(options.model_path, {.processor_path = options.processor_path}));
  SINEW_ASSIGN(const policy::Family* const family, policy::find_family(checkpoint));
  SINEW_ASSIGN(
      preprocess::ProcessorConfig processor,
      preprocess::resolve_processor_config(checkpoint, {.embodiment_tag = options.embodiment_tag}));
  SINEW_ASSIGN(const io::VlmFolder vlm, io::open_vlm_folder(options.model_path, options.vlm_path));
  SINEW_ASSIGN(preprocess::Tokenizer tokenizer, load_tokenizer(vlm));
  SINEW_ASSIGN(std::unique_ptr<model::Network> network,
               family->load(checkpoint, vlm, network_options(options, processor, execution)));
  SINEW_TRY(check_consistency(checkpoint, processor, tokenizer, network->facts()));

  auto impl = std::make_unique<Impl>(std::move(checkpoint), std::move(tokenizer),
                                     std::move(processor), std::move(network));
  PolicyInfo& info = impl->info;
  info.notices.assign(impl->checkpoint.notices().begin(), impl->checkpoint.notices().end());
  info.notices.insert(info.notices.end(), vlm.notices.begin(), vlm.notices.end());
  note_repeated_settings(impl->checkpoint, info.notices);
  append_rows(impl->processor.resolved, info);
  append_rows(impl->network->resolved(), info);
  describe(*impl, family->name, info);
  SINEW_ASSIGN(impl->last_shape, assumed_shape(*impl));
  const ops::Plan plan = impl->network->record(impl->last_shape);
  SINEW_TRY(policy::check_weights(plan, *impl->network, impl->checkpoint, info.notices));
  SINEW_TRY(policy::check_weight_values(plan, impl->checkpoint));
  for (std::string& finding : impl->network->inspect_weights(impl->checkpoint)) {
    info.warnings.push_back(std::move(finding));
  }
  SINEW_TRY(start_session(options, std::move(execution), *impl));
  return Policy(std::move(impl));
}

}  // namespace sinew
