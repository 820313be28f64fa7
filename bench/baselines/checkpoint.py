"""A checkpoint folder as sizes and tensors (docs/spec/checkpoint.md)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

# What the published checkpoints do not say themselves (docs/spec/checkpoint.md, 5).
PUBLISHED_VLM = {
    "image_token_index": 151669,
    "vision_config": {
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_hidden_layers": 27,
        "num_attention_heads": 16,
        "patch_size": 14,
        "num_patches": 256,
        "layer_norm_eps": 1e-6,
    },
    "text_config": {
        "hidden_size": 2048,
        "intermediate_size": 6144,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1e6,
        "vocab_size": 151680,
    },
}


@dataclass
class Config:
    """The policy's config.json and the vision-language model's, as they stand."""

    policy: dict
    vlm: dict
    embodiments: dict = field(default_factory=dict)

    @property
    def vision(self) -> dict:
        return self.vlm["vision_config"]

    @property
    def text(self) -> dict:
        return self.vlm["text_config"]

    @property
    def dit(self) -> dict:
        return self.policy["diffusion_model_cfg"]

    @property
    def image_token(self) -> int:
        return self.vlm["image_token_index"]

    @property
    def denoising_steps(self) -> int:
        return self.policy.get("num_inference_timesteps", 4)


def read_config(folder: Path) -> Config:
    def read(path: Path) -> dict | None:
        return json.loads(path.read_text()) if path.is_file() else None

    policy = read(folder / "config.json")
    if policy is None:
        raise FileNotFoundError(f"{folder}: no config.json; give the folder of a checkpoint")
    vlm = read(folder / "eagle/config.json") or read(folder.parent / "eagle/config.json")
    return Config(
        policy=policy,
        vlm=vlm or PUBLISHED_VLM,
        embodiments=read(folder / "embodiment_id.json") or {},
    )


class Tensors:
    """The tensors of a folder by name, read when asked for."""

    def __init__(self, folder: Path, dtype: torch.dtype):
        self.dtype = dtype
        self.shards = [safe_open(p, "pt") for p in sorted(folder.glob("*.safetensors"))]
        self.shard_of = {name: shard for shard in self.shards for name in shard.keys()}  # noqa: SIM118

    def __contains__(self, name: str) -> bool:
        return name in self.shard_of

    def __call__(self, name: str, index: int | None = None) -> Tensor:
        """The tensor, or one entry of its first axis; parameters are bf16 whatever the file."""
        if name not in self.shard_of:
            raise KeyError(f"the checkpoint has no tensor {name}")
        stored = self.shard_of[name].get_slice(name)
        value = stored[index] if index is not None else stored[:]
        return value.to(torch.bfloat16).to(self.dtype)
