"""Trains the small policy with the reference's own model and loss.

    export GR00T_REF=<checkout of Isaac-GR00T, N1.6>
    python make_dataset.py --out ../../build/reach-train --episodes 1000 --seed 1000
    python train.py --dataset ../../build/reach-train --out ../../build/reach-nano --minutes 6

Everything trains, from random weights. The loss is the reference's flow-matching
loss, called through its own forward pass; images, states and actions are
prepared for the whole dataset at once by preprocess.py. What is written is a
checkpoint folder as a fine-tune leaves it, in bfloat16.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import json
import math
import multiprocessing as mp
import time
import types
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import reference
import torch

import make_dataset as data
import policy_spec as spec
import preprocess
from env import CAMERAS

HELD_OUT = 40  # episodes at the end of the dataset on which progress is measured


# -- the checkpoint's side files --------------------------------------------------


def write_side_files(dataset: Path, out: Path) -> None:
    """Everything of a checkpoint folder but the model: eagle/, processor, statistics,
    and (for this program) the token ids of every instruction."""
    spec.build_eagle(out / "eagle")
    reference.use_eagle(out / "eagle")
    processor = reference.processing.Gr00tN1d6Processor(
        modality_configs=spec.modality_configs(),
        statistics={"new_embodiment": preprocess.dataset_statistics(dataset)},
        embodiment_id_mapping=dict(spec.EMBODIMENT_IDS),
        max_state_dim=spec.MAX_DIM,
        max_action_dim=spec.MAX_DIM,
        max_action_horizon=spec.ACTION_HORIZON,
        use_relative_action=True,
        **spec.PROCESSOR,
    )
    processor.save_pretrained(out)
    processor.eval()
    prompts = []
    for text in data.TASKS:
        message = {"content": _blank_observation(text)}
        prompts.append(processor([message])["vlm_content"])
    batch = processor.collator([{"vlm_content": p} for p in prompts])["inputs"]
    (out / "prompts.json").write_text(
        json.dumps({k: batch[k].tolist() for k in ("input_ids", "attention_mask")})
    )


def _blank_observation(text: str):
    from gr00t.data.embodiment_tags import EmbodimentTag
    from gr00t.data.types import VLAStepData

    image = np.zeros((data.sim.IMAGE_HEIGHT, data.sim.IMAGE_WIDTH, 3), np.uint8)
    state = {"single_arm": np.zeros((1, 4), np.float32), "gripper": np.zeros((1, 1), np.float32)}
    return VLAStepData(
        images={c: [image] for c in CAMERAS},
        states=state,
        actions={},
        text=text,
        embodiment=EmbodimentTag.NEW_EMBODIMENT,
    )


# -- data ---------------------------------------------------------------------


def _load_episode(job: tuple[Path, int]) -> dict[str, np.ndarray]:
    dataset, index = job
    settings = spec.PROCESSOR["shortest_image_edge"], spec.PROCESSOR["crop_fraction"]
    table = pq.read_table(
        dataset / data.DATA_PATH.format(episode_chunk=index // 1000, episode_index=index)
    )
    episode = {
        "state": np.stack(table["observation.state"].to_numpy(zero_copy_only=False)),
        "action": np.stack(table["action"].to_numpy(zero_copy_only=False)),
        "task": table["task_index"].to_numpy(),
    }
    views = []
    for camera in CAMERAS:
        path = data.VIDEO_PATH.format(
            episode_chunk=index // 1000,
            video_key=f"observation.images.{camera}",
            episode_index=index,
        )
        frames = preprocess.decode_video(dataset / path)
        views.append(np.stack([preprocess.prepare_image(f, *settings) for f in frames]))
    episode["images"] = np.stack(views, axis=1)  # uint8 [T, V, h, w, 3]
    return episode


def load_dataset(dataset: Path, statistics: dict, limit: int | None) -> tuple[dict, int]:
    """All whole action chunks: images uint8 [N, V, 3, h, w], state [N, 5],
    actions [N, 16, 5], task [N]; and how many of them are for training."""
    count = json.loads((dataset / "meta/info.json").read_text())["total_episodes"]
    count = min(count, limit or count)
    with mp.get_context("fork").Pool() as pool:
        episodes = pool.map(_load_episode, [(dataset, i) for i in range(count)], chunksize=4)
    held_out = min(HELD_OUT, count // 10)
    columns: dict[str, list] = {"images": [], "state": [], "actions": [], "task": []}
    training = 0
    for i, e in enumerate(episodes):
        chunks = len(e["action"]) - spec.ACTION_HORIZON + 1
        steps = np.arange(chunks)[:, None] + np.arange(spec.ACTION_HORIZON)
        columns["images"].append(e["images"][:chunks].transpose(0, 1, 4, 2, 3))
        columns["state"].append(preprocess.normalise_state(e["state"][:chunks], statistics))
        columns["actions"].append(
            preprocess.normalise_actions(e["action"][steps], e["state"][:chunks], statistics)
        )
        columns["task"].append(e["task"][:chunks])
        if i < count - held_out:
            training += chunks
    return {k: torch.from_numpy(np.concatenate(v)) for k, v in columns.items()}, training


def augment(images: torch.Tensor) -> torch.Tensor:
    """float [N, V, 3, h, w] in [0, 1]: brightness, contrast and saturation per view, noise,
    and for half of the samples a shift by up to two pixels."""
    jitter = spec.PROCESSOR["color_jitter_params"]

    def draw(width: float) -> torch.Tensor:
        uniform = torch.rand(*images.shape[:2], 1, 1, 1, device=images.device)
        return 1 + width * (2 * uniform - 1)

    images = images * draw(jitter["brightness"])
    mean = images.mean(dim=(2, 3, 4), keepdim=True)
    images = mean + (images - mean) * draw(jitter["contrast"])
    grey = images.mean(dim=2, keepdim=True)
    images = grey + (images - grey) * draw(jitter["saturation"])
    images = (images + 0.01 * torch.randn_like(images)).clamp_(0, 1)
    n, views, _, height, width = images.shape
    padded = torch.nn.functional.pad(images.flatten(0, 1), (2, 2, 2, 2), mode="replicate")
    shift = torch.randint(0, 5, (n * views, 2), device=images.device)
    still = (torch.rand(n, 1, device=images.device) < 0.5).repeat_interleave(views, 0)
    shift = torch.where(still, 2, shift)
    y = (shift[:, :1] + torch.arange(height, device=images.device))[:, None, :, None]
    x = (shift[:, 1:] + torch.arange(width, device=images.device))[:, None, None, :]
    which = torch.arange(n * views, device=images.device)[:, None, None, None]
    channel = torch.arange(3, device=images.device)[None, :, None, None]
    return padded[which, channel, y, x].view_as(images)


def _negated(values: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """The normalised form of -x for the normalised form `values` of x."""
    physical = (values + 1) / 2 * (high - low) + low
    return (2 * (-physical - low) / (high - low) - 1).clamp(-1, 1)


class Batches:
    """Model inputs on `device`, as the reference's collator would give them.

    For training, half of the samples are mirrored: the arm, the cameras and the
    distribution of scenes are symmetric, so a flipped image with the opposite
    base angle is as good a demonstration.
    """

    def __init__(self, columns: dict, prompts: dict, statistics: dict, device: str) -> None:
        def limits(table: dict) -> list[torch.Tensor]:
            return [torch.tensor(table[k], device=device)[..., 0] for k in ("min", "max")]

        self.yaw_state = limits(statistics["state"]["single_arm"])  # scalars
        self.yaw_action = limits(statistics["relative_action"]["single_arm"])  # [16]
        self.columns = {k: v.to(device) for k, v in columns.items()}
        self.prompts = {k: torch.tensor(v, device=device) for k, v in prompts.items()}
        self.mask = torch.zeros(spec.ACTION_HORIZON, spec.MAX_DIM, device=device)
        self.mask[:, : columns["actions"].shape[-1]] = 1

    def take(self, rows: torch.Tensor, training: bool) -> dict:
        c = {k: v[rows] for k, v in self.columns.items()}
        images, state, actions = c["images"].float() / 255, c["state"], c["actions"]
        if training:
            mirror = torch.rand(len(rows), device=rows.device) < 0.5
            images[mirror] = images[mirror].flip(-1)
            state[mirror, 0] = _negated(state[mirror, 0], *self.yaw_state)
            actions[mirror, :, 0] = _negated(actions[mirror, :, 0], *self.yaw_action)
            images = augment(images)
            state = state + 0.01 * torch.randn_like(state)

        def pad(x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.pad(x, (0, spec.MAX_DIM - x.shape[-1]))

        n = len(rows)
        return {
            **{k: v[c["task"]] for k, v in self.prompts.items()},
            "pixel_values": [images.flatten(0, 1) * 2 - 1],  # one [N*V, 3, h, w] tensor
            "state": pad(state)[:, None],
            "action": pad(actions),
            "action_mask": self.mask.expand(n, -1, -1),
            "embodiment_id": torch.full(
                (n,), spec.EMBODIMENT_IDS["new_embodiment"], device=rows.device, dtype=torch.long
            ),
        }


# -- model --------------------------------------------------------------------


def build_model() -> torch.nn.Module:
    from transformers.modeling_utils import no_init_weights

    with no_init_weights(), contextlib.redirect_stdout(io.StringIO()):
        model = reference.Gr00tN1d6(spec.model_config(reference.Gr00tN1d6Config))
    model.float()
    branches = 2 * (spec.VISION["num_hidden_layers"] + spec.SELECT_LAYER + spec.DIT_LAYERS) / 3
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim == 1 or name.endswith(".b"):
                p.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
                if name.endswith(("mlp1.0.weight", "vlln.weight")):
                    p.fill_(1.0)
                continue
            if name.endswith(".W"):  # [embodiment, in, out]
                std = p.shape[1] ** -0.5
            elif "position_embedding" in name or "probe" in name:
                std = 0.2
            elif "embed_tokens" in name or "lm_head" in name:
                std = 0.5
            else:
                std = p.shape[1] ** -0.5
                if any(
                    k in name
                    for k in ("o_proj", "down_proj", "out_proj", "fc2", "to_out", "ff.net.2")
                ):
                    std /= math.sqrt(branches)
                if "norm1.linear" in name or "proj_out_1" in name:
                    std *= 0.2
            p.normal_(std=std)
    return model


def loss_of(model, inputs: dict, repeats: int) -> torch.Tensor:
    """The reference's loss; each observation is denoised from `repeats` noises and times."""
    backbone_inputs, action_inputs = model.prepare_input(inputs)
    features = model.backbone(backbone_inputs)
    if repeats > 1:
        for batch in (features, action_inputs):
            for k, v in list(batch.items()):
                if torch.is_tensor(v):
                    batch[k] = v.repeat(repeats, *(1,) * (v.ndim - 1))
    return model.action_head(features, action_inputs)["loss"]


@torch.no_grad()
def held_out_error(model, batches: Batches, rows: torch.Tensor, steps: int = 4) -> float:
    """Mean squared error of normalised actions, first eight of each chunk."""
    head = model.action_head
    head.num_inference_timesteps = steps
    errors = []
    for part in rows.split(512):
        inputs = batches.take(part, training=False)
        truth = inputs["action"]
        pred = model.get_action(inputs)["action_pred"]
        errors.append(((pred - truth)[:, :8, :5] ** 2).mean(dim=(1, 2)).float())
    return torch.cat(errors).mean().item()


# -- training -----------------------------------------------------------------


def faster_in_bfloat16(model, inputs: dict, args: argparse.Namespace) -> bool:
    if args.device == "cpu":
        return False
    seconds = {}
    for enabled in (False, True):
        for step in range(13):
            if step == 3:
                torch.cuda.synchronize()
                begin = time.time()
            with torch.autocast("cuda", torch.bfloat16, enabled=enabled):
                loss = loss_of(model, dict(inputs), args.repeats)
            loss.backward()
        torch.cuda.synchronize()
        seconds[enabled] = (time.time() - begin) / 10
    model.zero_grad(set_to_none=True)
    print(
        f"forward and backward: float32 {seconds[False] * 1e3:.0f} ms, "
        f"bfloat16 {seconds[True] * 1e3:.0f} ms, "
        f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB",
        flush=True,
    )
    return seconds[True] < seconds[False]


def fit(args: argparse.Namespace, out: Path) -> None:
    torch.manual_seed(args.seed)
    torch.set_float32_matmul_precision("high")
    started = time.time()
    statistics = json.loads((out / "statistics.json").read_text())["new_embodiment"]
    columns, training = load_dataset(args.dataset, statistics, args.limit)
    total = len(columns["task"])
    print(
        f"{training} chunks to train on, {total - training} held out, "
        f"{time.time() - started:.0f} s",
        flush=True,
    )

    reference.use_eagle(out / "eagle")
    reference.processing.build_processor = lambda *_: types.SimpleNamespace(
        tokenizer=types.SimpleNamespace(padding_side="left")
    )  # the batches are tokenised already
    model = build_model()
    if args.init:
        from safetensors.torch import load_file

        model.load_state_dict(
            {k: v.float() for k, v in load_file(args.init / "model.safetensors").items()},
            strict=False,
        )
    model.to(args.device)
    count = sum(p.numel() for p in model.parameters())
    print(
        f"{count / 1e6:.2f} M parameters: "
        + ", ".join(
            f"{n} {sum(p.numel() for p in m.parameters()) / 1e6:.2f}"
            for n, m in (
                ("vision", model.backbone.model.vision_model),
                ("language", model.backbone.model.language_model),
                ("connector", model.backbone.model.mlp1),
                ("action head", model.action_head),
            )
        ),
        flush=True,
    )
    batches = Batches(
        columns, json.loads((out / "prompts.json").read_text()), statistics, args.device
    )
    average = copy.deepcopy(model).eval().requires_grad_(False)

    decay = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [
            {"params": decay, "weight_decay": args.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ],
        lr=args.lr,
        betas=(0.9, 0.98),
        fused=args.device != "cpu",
    )
    weights, averages = list(model.parameters()), list(average.parameters())
    held_out = torch.arange(training, total, device=args.device)[
        :: max(1, (total - training) // 1024)
    ]
    autocast = args.autocast == "on"
    if args.autocast == "auto":
        autocast = faster_in_bfloat16(
            model, batches.take(held_out[:1].repeat(args.batch), True), args
        )
    begin, limit = time.time(), args.minutes * 60
    step, log = 0, []
    model.train()
    while True:
        elapsed = time.time() - begin
        progress = min(1.0, max(elapsed / limit, step / args.max_steps if args.max_steps else 0.0))
        if progress >= 1:
            break
        rate = (
            args.lr * min(1.0, (step + 1) / 300) * (0.5 * (1 + math.cos(math.pi * progress)) + 0.01)
        )
        for group in optimiser.param_groups:
            group["lr"] = rate
        rows = torch.randint(training, (args.batch,), device=args.device)
        inputs = batches.take(rows, training=True)
        with torch.autocast(args.device.split(":")[0], torch.bfloat16, enabled=autocast):
            loss = loss_of(model, inputs, args.repeats)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for p in weights:  # the pooling head of the vision tower takes no part in the forward pass
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        norm = torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        step += 1
        torch._foreach_lerp_(averages, weights, 1 - min(args.ema, step / (step + 50)))
        if step % args.log_every == 0 or step in (10, 100):
            line = {
                "step": step,
                "minutes": round((time.time() - begin) / 60, 3),
                "loss": loss.item(),
                "gradient": norm.item(),
                "held_out_mse": held_out_error(average, batches, held_out),
            }
            log.append(line)
            print(json.dumps(line), flush=True)
    line = {
        "step": step,
        "minutes": round((time.time() - begin) / 60, 3),
        "batch": args.batch,
        "repeats": args.repeats,
        "parameters": count,
        "held_out_mse": held_out_error(average, batches, held_out),
    }
    log.append(line)
    print(json.dumps(line), flush=True)

    average.action_head.num_inference_timesteps = 4
    average.to(torch.bfloat16)
    average.config.torch_dtype = "bfloat16"
    average.save_pretrained(out)
    (out / "trainer_state.json").write_text(
        json.dumps({"global_step": step, "log_history": log}, indent=1)
    )
    (out / "prompts.json").unlink()  # was for this program only


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--side-files",
        choices=("write", "reuse"),
        default="write",
        help="reuse: --out has them already (a machine that lacks the processor's needs)",
    )
    parser.add_argument("--only-side-files", action="store_true")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--max-steps", type=int, default=0)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=4, help="noises per observation")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--weight-decay", type=float, default=0.02)
    parser.add_argument("--ema", type=float, default=0.999)
    parser.add_argument("--limit", type=int, help="use only this many episodes")
    parser.add_argument("--log-every", type=int, default=250)
    parser.add_argument(
        "--autocast",
        choices=("auto", "on", "off"),
        default="auto",
        help="bfloat16 arithmetic; auto: whichever is faster here",
    )
    parser.add_argument("--init", type=Path, help="checkpoint folder to start from")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.side_files == "write":
        write_side_files(args.dataset, args.out)
    if not args.only_side_files:
        fit(args, args.out)


if __name__ == "__main__":
    main()
