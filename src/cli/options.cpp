#include "cli/options.h"

#include "synth/profile.h"

namespace sinew::cli {
namespace {

void declare_checkpoint(FlagList& flags, ModelOptions& model) {
  flags.positional("model-path", &model.policy.model_path, "checkpoint folder")
      .value_name("CHECKPOINT");
}

void declare_model(FlagList& flags, ModelOptions& model) {
  PolicyOptions& policy = model.policy;
  flags.group("Policy");
  flags.add("device", &policy.device, "cpu or cuda[:i]; auto takes the best that this build runs");
  flags.add("precision", &policy.precision, "what the network computes in; auto: the device's own")
      .choices({"auto", "fp32", "bf16", "fp16", "int8", "fp8"});
  flags
      .add("embodiment-tag", &policy.embodiment_tag,
           "robot of the checkpoint, any case; needed when several have statistics")
      .value_name("TAG");
  flags
      .add("vlm-path", &policy.vlm_path,
           "folder with the vision-language model's config.json and tokenizer; default: the "
           "checkpoint, its eagle/, or eagle/ beside it")
      .value_name("DIR");
  flags
      .add("processor-path", &policy.processor_path,
           "folder with the processor files when they are not in the checkpoint")
      .alias("processor")
      .value_name("DIR");
  flags.add("recipe", &model.recipe, "quantisation recipe")
      .value_name("FILE")
      .refused("quantised runs are not part of this version");
  flags
      .add("denoising-steps", &policy.denoising_steps,
           "Euler steps of the action head; default: the checkpoint's")
      .at_least(1);
  flags.add("horizon", &policy.horizon,
            "action tokens: checkpoint (config.json), modality (length of delta_indices) or a "
            "number");
  flags
      .add("rope-inv-freq", &policy.rope_inv_freq,
           "precision of the language model's rotary frequencies; auto: exact in fp32 runs, "
           "rounded in bf16 runs")
      .choices({"auto", "fp32", "bf16"});
  flags.add("threads", &policy.threads, "CPU threads; 0: physical cores").at_least(0);
  flags
      .add("lowering", &policy.lowering,
           "fused (auto): kernels that run whole blocks where the device has them; leaf: op by op, "
           "slower")
      .choices({"auto", "fused", "leaf"});
  flags.add("gpu-mem-fraction", &policy.gpu_mem_fraction,
            "of the GPU's free memory, how much may be taken: more than 0, at most 1");
  flags
      .add("cuda-graph", &policy.cuda_graph,
           "on: a run is one graph launch; off: every kernel is launched, waited for and checked, "
           "and a fault names its kernel")
      .choices({"on", "off"});
}

void declare_noise(FlagList& flags, ModelOptions& model) {
  flags.group("Noise");
  flags.add("seed", &model.policy.seed, "of the generator of initial action noise");
  flags
      .add("noise", &model.noise,
           "f32 [n, horizon, max_action_dim], used in order instead of the generator, then from "
           "the start again")
      .value_name("FILE.npy");
}

void declare_diagnosis(FlagList& flags, ModelOptions& model) {
  flags.group("Diagnosis");
  flags.add("profile", &model.profile, "print how long each component took");
  flags
      .add("dump-sites", &model.policy.dump_sites,
           "write every named intermediate tensor, one safetensors file a call")
      .value_name("DIR");
}

void declare_output(FlagList& flags, OutputOptions& output) {
  flags.group("Output");
  flags.add("json", &output.json, "one JSON document on stdout");
  flags.add("verbose", &output.verbose, "more log lines on stderr").alias("v");
  flags.add("quiet", &output.quiet, "only warnings and errors on stderr").alias("q");
}

void declare_original(FlagList& flags, OriginalBackendOptions& original) {
  flags.group("Flags of Isaac-GR00T");
  const std::string one_engine = "sinew runs the checkpoint with its own engine";
  // Not marked as ignored: "tensorrt" stops the run (see check_original).
  flags.add("inference-mode", &original.inference_mode, "pytorch, or tensorrt, which is refused")
      .choices({"pytorch", "tensorrt"});
  flags.add("trt-engine-path", &original.trt_engine_path, "TensorRT engine of the action head")
      .value_name("FILE")
      .ignored(one_engine);
  flags
      .add("backbone-trt-engine-path", &original.backbone_trt_engine_path,
           "TensorRT engine of the backbone")
      .value_name("FILE")
      .ignored(one_engine);
  flags.add("attn-implementation", &original.attn_implementation, "attention code of the original")
      .choices({"flash_attention_2", "sdpa", "eager"})
      .ignored("sinew has one attention, exact for every precision and block-diagonal over images");
  flags.add("trt-use-fp16", &original.trt_use_fp16, "deprecated in the original")
      .ignored("it has no effect in the original either; see --precision");
}

// What every verb has that runs a policy on observations of the user's.
void declare_run(FlagList& flags, ModelOptions& model, OriginalBackendOptions& original,
                 OutputOptions& output) {
  declare_model(flags, model);
  declare_noise(flags, model);
  declare_diagnosis(flags, model);
  declare_output(flags, output);
  declare_original(flags, original);
}

// Of made-up checkpoints.
std::vector<std::string> profile_names() {
  const auto names = synth::profile_names();
  return {names.begin(), names.end()};
}

}  // namespace

void declare_flags(FlagList& flags, InferOptions& options) {
  flags.group("Input and output");
  declare_checkpoint(flags, options.model);
  flags
      .add("observation", &options.observation,
           "what the robot sees: .json (a list is a batch), .npz or .safetensors")
      .value_name("FILE");
  flags
      .add("output", &options.output_path,
           "write the actions: .json, .npz or .safetensors; default: JSON on stdout")
      .value_name("FILE");
  declare_run(flags, options.model, options.original, options.output);
}

void declare_flags(FlagList& flags, EvalOptions& options) {
  flags.group("Evaluation");
  declare_checkpoint(flags, options.model);
  flags.add("dataset-path", &options.dataset_path, "LeRobot data set (v2.0, v2.1, v3.0)")
      .alias("dataset")
      .value_name("DIR");
  flags.add("traj-ids", &options.traj_ids, "trajectories, by position in the data set").at_least(0);
  flags.add("steps", &options.steps, "at most so many rows of each trajectory").at_least(1);
  flags
      .add("action-horizon", &options.action_horizon,
           "rows used of every prediction, and the distance of predictions; default: 16, or what "
           "the policy predicts if that is less")
      .at_least(1);
  flags
      .add("modality-keys", &options.modality_keys,
           "action keys to compare, in this order; default: all")
      .value_name("KEY");
  flags
      .add("index-mode", &options.index_mode,
           "rows outside the episode: clamp to its ends, or wrap as python's negative indices do")
      .choices({"clamp", "python"});
  flags
      .add("skip-timing-steps", &options.skip_timing_steps,
           "first calls of each trajectory left out of the timing")
      .at_least(0);
  flags.add("get-performance-stats", &options.get_performance_stats,
            "metrics, timing and memory; without it the run only predicts");
  flags.add("compare-horizons", &options.compare_horizons,
            "where config.json and delta_indices disagree on the horizon, evaluate the other one "
            "too, which takes as long again");
  flags
      .add("save-plot-path", &options.save_plot_path,
           "predicted against recorded actions: .png, .svg, or a folder for both")
      .value_name("PATH");
  flags.add("save-actions", &options.save_actions, "predicted actions: .npy, .npz, .csv or .json")
      .value_name("FILE");
  declare_run(flags, options.model, options.original, options.output);
  flags.add("video-backend", &options.video_backend, "video decoder of the original")
      .choices({"torchcodec", "decord", "torchvision_av", "pyav", "opencv", "ffmpeg"})
      .ignored("sinew has one decoder, exact by frame index for every file");
  // Without a checkpoint they would choose a server, which check_options refuses.
  const std::string local_policy = "a checkpoint is given, so no server is asked";
  flags.add("host", &options.host, "policy server of the original's client mode")
      .ignored(local_policy);
  flags.add("port", &options.port, "its port").at_least(1).ignored(local_policy);
}

void declare_flags(FlagList& flags, InspectOptions& options) {
  flags.group("What to show");
  flags
      .positional("model-path", &options.model.policy.model_path,
                  "checkpoint folder or LeRobot data set")
      .value_name("CHECKPOINT|DATASET");
  flags.add("dataset-path", &options.dataset_path, "take joint names from this data set")
      .alias("dataset")
      .value_name("DIR");
  flags.add("tensors", &options.tensors, "list every tensor with type and shape");
  flags.add("plan", &options.plan, "print the recorded network");
  flags
      .add("stage", &options.stage,
           "of --plan: 0 recorded, 1 folded, 2 precision, 3 selected, 4 placed")
      .at_least(0);
  flags.add("memory", &options.memory, "load the weights and print bytes held");
  declare_model(flags, options.model);
  declare_output(flags, options.output);
}

void declare_flags(FlagList& flags, StatsOptions& options) {
  flags.group("Statistics");
  flags.positional("dataset-path", &options.dataset_path, "LeRobot data set")
      .alias("dataset")
      .value_name("DATASET");
  flags
      .add("compare", &options.compare,
           "write nothing; show how the statistics of this checkpoint differ")
      .value_name("CHECKPOINT");
  flags
      .add("max-difference", &options.max_difference,
           "of --compare: exit 5 when a statistic differs by more standard deviations than this")
      .at_least(0);
  flags
      .add("embodiment-tag", &options.embodiment_tag,
           "entry of the modality configuration or of the checkpoint's statistics, any case")
      .value_name("TAG");
  flags
      .add("modality-config-path", &options.modality_config_path,
           "JSON file with the modality configuration; names the relative action keys")
      .value_name("FILE");
  flags.add("refresh", &options.refresh, "compute again what is already there");
  declare_output(flags, options.output);
}

void declare_flags(FlagList& flags, DoctorOptions& options) {
  declare_output(flags, options.output);
}

void declare_flags(FlagList& flags, BenchOptions& options) {
  flags.group("What to measure");
  declare_checkpoint(flags, options.model);
  flags
      .add("synthetic", &options.synthetic,
           "in place of CHECKPOINT: made-up weights at these sizes, in a temporary folder")
      .choices(profile_names());
  flags
      .add("views", &options.views,
           "frames a call, over all cameras and times; default: the checkpoint's")
      .at_least(1);
  flags.add("image-size", &options.image_size, "of every frame").value_name("HxW");
  flags
      .add("text-tokens", &options.text_tokens,
           "tokens of the prompt besides those of the images; default: a short instruction")
      .at_least(1);
  flags.add("batch", &options.batch, "observations a call").at_least(1);
  flags.add("iterations", &options.iterations, "timed calls").at_least(1);
  flags.add("warmup", &options.warmup, "calls before them").at_least(0);
  flags.add("seed", &options.model.policy.seed,
            "of frames, states and noise, and of --synthetic's weights");
  declare_model(flags, options.model);
  declare_output(flags, options.output);
}

void declare_flags(FlagList& flags, SynthOptions& options) {
  flags.group("Checkpoint");
  flags.positional("profile", &options.profile, "whose sizes: GR00T N1.6 or a small test network")
      .choices(profile_names())
      .value_name("n1.6-3b|nano");
  flags.add("output", &options.output_path, "folder to write; it may not exist, or be empty")
      .value_name("DIR");
  flags.add("seed", &options.seed, "of the weights; equal seeds give equal bytes on any machine");
  declare_output(flags, options.output);
}

}  // namespace sinew::cli
