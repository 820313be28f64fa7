"""Records what the reference computes on a few steps of the evaluation episodes.

    GR00T_REF=<checkout of Isaac-GR00T> python make_golden.py \\
        --checkpoint checkpoints/reach-nano --dataset datasets/reach-eval --out golden

For each step a safetensors file holds the observation, the initial noise, what
the processor and the backbone make of the observation, and for 1, 2, 4 and 8
denoising steps the normalised and the decoded actions; golden.json holds the
words. All in float32 arithmetic on the checkpoint's bfloat16 weights.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import reference
import torch
from safetensors.torch import save_file

import evaluate
import make_dataset as data
import policy_spec as spec
from preprocess import decode_video

STEPS = [(0, 0), (1, 16), (2, 8), (3, 24), (4, 40)]  # episode, frame
DENOISING_STEPS = (1, 2, 4, 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=json.loads, default=STEPS, help="[[episode, frame], ...]")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    policy = reference.load_policy(args.checkpoint)
    processed: dict[str, torch.Tensor] = {}

    def keep_inputs(module, positional, keywords):
        inputs = keywords["vl_input"] if "vl_input" in keywords else positional[0]
        processed["input_ids"] = inputs["input_ids"].to(torch.int32)
        for camera, pixels in zip(data.sim.CAMERAS, inputs["pixel_values"], strict=True):
            # exact: pixel_values = image / 127.5 - 1
            image = ((pixels + 1) * 127.5).round().to(torch.uint8)
            processed[f"image.{camera}"] = image
        processed["state"] = inputs["state"].float()

    def keep_features(module, positional, output):
        processed["backbone_features"] = output["backbone_features"].float()

    policy.model.backbone.register_forward_pre_hook(keep_inputs, with_kwargs=True)
    policy.model.backbone.register_forward_hook(keep_features)
    head, last = policy.model.action_head, {}
    get_action = head.get_action

    def keep_actions(*positional, **keywords):
        last["normalised"] = get_action(*positional, **keywords)
        return last["normalised"]

    head.get_action = keep_actions

    generator = torch.Generator().manual_seed(args.seed)
    rows = []
    for number, (episode, frame) in enumerate(args.steps):
        where = {"episode_chunk": 0, "episode_index": episode}
        table = pq.read_table(args.dataset / data.DATA_PATH.format(**where)).to_pandas()
        images = {
            c: decode_video(
                args.dataset / data.VIDEO_PATH.format(video_key=f"observation.images.{c}", **where)
            )[frame]
            for c in data.sim.CAMERAS
        }
        text = data.TASKS[int(table["task_index"][frame])]
        obs = evaluate.observation([table["observation.state"][frame]], [images], [text])
        noise = torch.randn(1, spec.ACTION_HORIZON, spec.MAX_DIM, generator=generator)
        tensors = {
            f"observation.video.{c}": torch.from_numpy(obs["video"][c]) for c in data.sim.CAMERAS
        }
        tensors |= {
            f"observation.state.{k}": torch.from_numpy(v.copy()) for k, v in obs["state"].items()
        }
        tensors["noise"] = noise
        for steps in DENOISING_STEPS:
            head.num_inference_timesteps = steps
            with reference.initial_noise(noise):
                action, _ = policy.get_action(obs)
            tensors[f"normalised.{steps}"] = last["normalised"]["action_pred"].float()
            for group, values in action.items():
                tensors[f"action.{steps}.{group}"] = torch.from_numpy(np.ascontiguousarray(values))
        tensors |= {f"processed.{k}": v for k, v in processed.items()}
        name = f"step_{number}.safetensors"
        save_file({k: v.contiguous() for k, v in tensors.items()}, args.out / name)
        rows.append({"file": name, "episode": episode, "frame": frame, "instruction": text})
    (args.out / "golden.json").write_text(
        json.dumps(
            {"dtype": "float32", "denoising_steps": DENOISING_STEPS, "steps": rows}, indent=2
        )
        + "\n"
    )
    print(f"{len(rows)} steps in {args.out}")


if __name__ == "__main__":
    main()
