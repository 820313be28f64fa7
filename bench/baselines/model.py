"""GR00T N1.6's forward pass in PyTorch, written from docs/spec/model.md.

One observation at a time, as a robot asks: pixels, token ids, state and noise in, the normalised
action chunk out. `prepare` computes once, for the shapes of the observation, what depends on
weights alone: position embeddings, rotary tables, and all that the denoising steps' times enter.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from blocks import DitBlock, LanguageLayer, VisionLayer
from checkpoint import Config, Tensors, read_config

Observe = Callable[[str, Tensor], None]  # told every stage's output, by its name in the spec


def ignore(name: str, value: Tensor) -> None:
    pass


@dataclass
class Observation:
    """What preprocessing makes of the robot's observation; rows index the prompt's tokens."""

    pixels: Tensor  # [v, 3, H, W], -1 to 1
    token_ids: Tensor  # [t]
    image_rows: Tensor  # [i]
    text_rows: Tensor  # [t - i]
    state: Tensor  # [s, max_state_dim], normalised and padded
    noise: Tensor  # [k, max_action_dim]


def fill(target: nn.Module, name: str, *values: Tensor) -> None:
    """Sets a parameter to the given tensors, one below the other."""
    parameter = getattr(target, name)
    value = torch.cat(values)
    if parameter.shape != value.shape:
        raise ValueError(f"expected shape {tuple(parameter.shape)}, found {tuple(value.shape)}")
    setattr(target, name, nn.Parameter(value, requires_grad=False))


def fill_affine(target: nn.Module, tensors: Tensors, *names: str) -> None:
    fill(target, "weight", *(tensors(f"{n}.weight") for n in names))
    if getattr(target, "bias", None) is not None:
        fill(target, "bias", *(tensors(f"{n}.bias") for n in names))


class Vision(nn.Module):
    """Patches of all views to language tokens (spec 3 and 4)."""

    def __init__(self, config: Config):
        super().__init__()
        v, language_width = config.vision, config.text["hidden_size"]
        width = v["hidden_size"]
        self.patch = v["patch_size"]
        self.embed = nn.Linear(3 * self.patch**2, width)
        self.table = nn.Parameter(torch.empty(v["num_patches"], width), requires_grad=False)
        self.layers = nn.ModuleList(
            VisionLayer(
                width, v["num_attention_heads"], v["intermediate_size"], v["layer_norm_eps"]
            )
            for _ in range(v["num_hidden_layers"])
        )
        self.post_norm = nn.LayerNorm(width, v["layer_norm_eps"])
        self.projector_norm = nn.LayerNorm(4 * width, 1e-5)
        self.projector_up = nn.Linear(4 * width, language_width)
        self.projector_out = nn.Linear(language_width, language_width)
        self.register_buffer("positions", None)

    def load(self, tensors: Tensors) -> None:
        root = "backbone.model.vision_model.vision_model."
        fill_affine(self.embed, tensors, f"{root}embeddings.patch_embedding")
        fill(self, "table", tensors(f"{root}embeddings.position_embedding.weight"))
        for i, layer in enumerate(self.layers):
            at = f"{root}encoder.layers.{i}."
            fill_affine(layer.norm1, tensors, f"{at}layer_norm1")
            fill_affine(layer.qkv, tensors, *(f"{at}self_attn.{n}_proj" for n in "qkv"))
            fill_affine(layer.out, tensors, f"{at}self_attn.out_proj")
            fill_affine(layer.norm2, tensors, f"{at}layer_norm2")
            fill_affine(layer.up, tensors, f"{at}mlp.fc1")
            fill_affine(layer.down, tensors, f"{at}mlp.fc2")
        fill_affine(self.post_norm, tensors, f"{root}post_layernorm")
        fill_affine(self.projector_norm, tensors, "backbone.model.mlp1.0")
        fill_affine(self.projector_up, tensors, "backbone.model.mlp1.1")
        fill_affine(self.projector_out, tensors, "backbone.model.mlp1.3")

    def prepare(self, rows: int, columns: int) -> None:
        side = math.isqrt(self.table.shape[0])
        grid = self.table.float().reshape(1, side, side, -1).permute(0, 3, 1, 2)
        grid = F.interpolate(
            grid, (rows, columns), mode="bilinear", align_corners=False, antialias=True
        )
        self.positions = grid.flatten(2)[0].T.contiguous().to(self.table.dtype)  # [p, d]

    def forward(self, pixels: Tensor, observe: Observe) -> Tensor:  # -> [v*p/4, l]
        v, _, height, width = pixels.shape
        rows, columns = height // self.patch, width // self.patch
        patches = pixels.reshape(v, 3, rows, self.patch, columns, self.patch)
        patches = patches.permute(0, 2, 4, 3, 5, 1).reshape(v, rows * columns, -1)
        x = self.embed(patches) + self.positions  # [v, p, d]
        observe("vis.embed", x)
        for i, layer in enumerate(self.layers):
            x = layer(x)
            observe(f"vis.layer{i}", x)
        x = self.post_norm(x)
        observe("vis.out", x)
        x = x.reshape(v, rows // 2, 2, columns // 2, 2, -1).permute(0, 1, 3, 5, 2, 4)
        x = x.reshape(v * rows * columns // 4, -1)
        observe("vis.pixel_shuffle", x)
        x = F.gelu(self.projector_up(self.projector_norm(x)))
        x = self.projector_out(x)
        observe("vis.mlp1", x)
        return x


class Language(nn.Module):
    """Prompt with the image tokens put in, to the action head's context (spec 5 and 6)."""

    def __init__(self, config: Config):
        super().__init__()
        t = config.text
        width, self.head_dim = t["hidden_size"], t["head_dim"]
        self.theta = t["rope_theta"]
        self.embedding = nn.Parameter(torch.empty(t["vocab_size"], width), requires_grad=False)
        self.layers = nn.ModuleList(
            LanguageLayer(
                width,
                t["num_attention_heads"],
                t["num_key_value_heads"],
                self.head_dim,
                t["intermediate_size"],
                t["rms_norm_eps"],
            )
            for _ in range(config.policy["select_layer"])
        )
        self.norm = nn.RMSNorm(width, t["rms_norm_eps"])
        use_vlln = config.policy.get("use_vlln", True)
        self.vlln = nn.LayerNorm(width, 1e-5) if use_vlln else nn.Identity()
        self.register_buffer("cos", None)
        self.register_buffer("sin", None)

    def load(self, tensors: Tensors) -> None:
        root = "backbone.model.language_model.model."
        fill(self, "embedding", tensors(f"{root}embed_tokens.weight"))
        for i, layer in enumerate(self.layers):
            at = f"{root}layers.{i}."
            fill_affine(layer.input_norm, tensors, f"{at}input_layernorm")
            fill_affine(layer.qkv, tensors, *(f"{at}self_attn.{n}_proj" for n in "qkv"))
            fill_affine(layer.q_norm, tensors, f"{at}self_attn.q_norm")
            fill_affine(layer.k_norm, tensors, f"{at}self_attn.k_norm")
            fill_affine(layer.out, tensors, f"{at}self_attn.o_proj")
            fill_affine(layer.post_norm, tensors, f"{at}post_attention_layernorm")
            fill_affine(layer.gate_up, tensors, f"{at}mlp.gate_proj", f"{at}mlp.up_proj")
            fill_affine(layer.down, tensors, f"{at}mlp.down_proj")
        fill_affine(self.norm, tensors, f"{root}norm")
        if isinstance(self.vlln, nn.LayerNorm):
            fill_affine(self.vlln, tensors, "action_head.vlln")

    def prepare(self, tokens: int, first_position: int, round_frequencies: bool) -> None:
        half = torch.arange(0, self.head_dim, 2, dtype=torch.float32) / self.head_dim
        frequencies = 1.0 / self.theta**half
        if round_frequencies:
            frequencies = frequencies.to(torch.bfloat16).float()
        positions = torch.arange(first_position, first_position + tokens, dtype=torch.float32)
        angles = torch.outer(positions, frequencies)[:, None]  # [t, 1, e/2]
        self.cos = angles.cos().to(self.embedding.dtype)
        self.sin = angles.sin().to(self.embedding.dtype)

    def forward(
        self, token_ids: Tensor, image_rows: Tensor, image_tokens: Tensor, observe: Observe
    ) -> Tensor:  # -> [t, l]
        x = F.embedding(token_ids, self.embedding).index_copy(0, image_rows, image_tokens)
        observe("llm.inputs_embeds", x)
        for i, layer in enumerate(self.layers):
            x = layer(x, self.cos, self.sin)
            observe(f"llm.layer{i}", x)
        x = self.norm(x)
        observe("backbone_features", x)
        x = self.vlln(x)
        observe("vlln", x)
        return x


class EmbodimentMlp(nn.Module):
    def __init__(self, inputs: int, hidden: int, outputs: int):
        super().__init__()
        self.hidden = nn.Linear(inputs, hidden)
        self.out = nn.Linear(hidden, outputs)

    def load(self, tensors: Tensors, root: str, embodiment: int) -> None:
        fill_embodiment(self.hidden, tensors, f"{root}.layer1", embodiment)
        fill_embodiment(self.out, tensors, f"{root}.layer2", embodiment)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(F.relu(self.hidden(x)))


def fill_embodiment(linear: nn.Linear, tensors: Tensors, name: str, embodiment: int) -> None:
    """Stored [embodiment, in, out]; kept as nn.Linear keeps it."""
    fill(linear, "weight", tensors(f"{name}.W", embodiment).T.contiguous())
    fill(linear, "bias", tensors(f"{name}.b", embodiment))


class ActionHead(nn.Module):
    """State, noise and context to an action chunk: encoders, diffusion transformer, flow matching
    (spec 7 to 9)."""

    def __init__(self, config: Config, steps: int):
        super().__init__()
        p, dit = config.policy, config.dit
        width = dit["num_attention_heads"] * dit["attention_head_dim"]
        context, hidden = config.text["hidden_size"], p["hidden_size"]
        self.width, self.horizon, self.steps = width, p["action_horizon"], steps
        self.buckets = p.get("num_timestep_buckets", 1000)
        self.has_positions = p.get("add_pos_embed", True)
        self.alternates = p.get("use_alternate_vl_dit", True)
        self.text_period = 2 * p.get("attend_text_every_n_blocks", 2)
        self.state_encoder = EmbodimentMlp(p["max_state_dim"], hidden, width)
        self.action_in = nn.Linear(p["max_action_dim"], width)
        self.action_mix = nn.Linear(width, width, bias=False)  # the half of W2 that sees actions
        self.action_out = nn.Linear(width, width)
        self.positions = nn.Parameter(torch.empty(self.horizon, width), requires_grad=False)
        self.blocks = nn.ModuleList(
            DitBlock(
                width,
                dit["num_attention_heads"],
                4 * width,
                context if i % 2 == 0 else None,
                dit.get("norm_eps", 1e-5),
            )
            for i in range(dit["num_layers"])
        )
        self.out = nn.Linear(width, dit["output_dim"])
        self.decoder = EmbodimentMlp(dit["output_dim"], hidden, p["max_action_dim"])
        # By step: everything that depends on weights and time alone.
        self.register_buffer("tau_mix", None)  # [n, d]
        self.register_buffer("modulations", None)  # [n, blocks, 2, d]: 1 + scale, shift
        self.register_buffer("out_modulations", None)  # [n, 2, d]
        self.register_buffer("time_embeddings", None)  # [n, d]

    def load(self, tensors: Tensors, embodiment: int) -> None:
        root = "action_head."
        self.state_encoder.load(tensors, f"{root}state_encoder", embodiment)
        fill_embodiment(self.action_in, tensors, f"{root}action_encoder.W1", embodiment)
        mix = tensors(f"{root}action_encoder.W2.W", embodiment)  # [2d, d]
        fill(self.action_mix, "weight", mix[: self.width].T.contiguous())
        fill_embodiment(self.action_out, tensors, f"{root}action_encoder.W3", embodiment)
        if self.has_positions:
            fill(self, "positions", tensors(f"{root}position_embedding.weight")[: self.horizon])
        for i, block in enumerate(self.blocks):
            at = f"{root}model.transformer_blocks.{i}."
            key_value = (f"{at}attn1.to_k", f"{at}attn1.to_v")
            if block.key_value is not None:
                fill_affine(block.qkv, tensors, f"{at}attn1.to_q")
                fill_affine(block.key_value, tensors, *key_value)
            else:
                fill_affine(block.qkv, tensors, f"{at}attn1.to_q", *key_value)
            fill_affine(block.out, tensors, f"{at}attn1.to_out.0")
            fill_affine(block.up, tensors, f"{at}ff.net.0.proj")
            fill_affine(block.down, tensors, f"{at}ff.net.2")
        fill_affine(self.out, tensors, f"{root}model.proj_out_2")
        self.decoder.load(tensors, f"{root}action_decoder", embodiment)
        self._load_times(
            tensors, mix[self.width :], tensors(f"{root}action_encoder.W2.b", embodiment)
        )

    def _load_times(self, tensors: Tensors, tau_weight: Tensor, tau_bias: Tensor) -> None:
        """The tables over steps; their weights are not needed afterwards."""
        root = "action_head.model."

        def affine(name: str, x: Tensor) -> Tensor:
            return F.linear(x, tensors(f"{root}{name}.weight"), tensors(f"{root}{name}.bias"))

        times = torch.tensor([int(i / self.steps * self.buckets) for i in range(self.steps)])
        times = times.float()[:, None]
        # Each operation in fp32, in the order that the spec gives: at large times another order
        # shows.
        half = self.width // 2
        angles = times * torch.exp(-(torch.arange(half) * (math.log(10000.0) / half)))
        tau = torch.cat((angles.sin(), angles.cos()), dim=-1).to(tensors.dtype)
        self.tau_mix = tau @ tau_weight + tau_bias

        angles = times * torch.exp(torch.arange(128) * -math.log(10000.0) / 127)
        wave = torch.cat((angles.cos(), angles.sin()), dim=-1).to(tensors.dtype)
        embedder = "timestep_encoder.timestep_embedder."
        embedding = affine(f"{embedder}linear_2", F.silu(affine(f"{embedder}linear_1", wave)))
        activated = F.silu(embedding)
        self.time_embeddings = embedding
        tables = []
        for i in range(len(self.blocks)):
            scale, shift = affine(f"transformer_blocks.{i}.norm1.linear", activated).chunk(2, -1)
            tables.append(torch.stack((1 + scale, shift), dim=1))
        self.modulations = torch.stack(tables, dim=1)
        shift, scale = affine("proj_out_1", activated).chunk(2, dim=-1)
        self.out_modulations = torch.stack((1 + scale, shift), dim=1)

    def context_key_values(self, context: Tensor, image_rows: Tensor, text_rows: Tensor) -> list:
        if self.alternates:
            image, text = context[image_rows], context[text_rows]
        else:
            image = text = context
        return [
            block.context_key_value(text if i % self.text_period == 0 else image)
            if block.is_cross
            else None
            for i, block in enumerate(self.blocks)
        ]

    def encode_actions(self, actions: Tensor, step: int) -> Tensor:  # [k, a] -> [k, d]
        mixed = self.action_mix(self.action_in(actions)) + self.tau_mix[step]
        return self.action_out(F.silu(mixed))

    def velocity(
        self, step: int, actions: Tensor, state_features: Tensor, key_values: list, observe: Observe
    ) -> Tensor:  # -> [k, a]
        def at(name: str, value: Tensor) -> None:
            observe(f"step{step}.{name}", value)

        at("actions_in", actions)
        tokens = self.encode_actions(actions, step)
        at("action_encoder", tokens)
        if self.has_positions:
            tokens = tokens + self.positions
        x = torch.cat((state_features, tokens))  # [s + k, d]
        at("dit.in", x)
        at("dit.temb", self.time_embeddings[step])
        for i, block in enumerate(self.blocks):
            scale, shift = self.modulations[step, i]
            x = block(x, scale, shift, key_values[i])
            at(f"dit.block{i}", x)
        scale, shift = self.out_modulations[step]
        x = self.out(F.layer_norm(x, x.shape[-1:], scale, shift, 1e-6))
        at("dit.out", x)
        result = self.decoder(x)[-self.horizon :]
        at("velocity", result)
        return result

    def forward(
        self,
        context: Tensor,
        image_rows: Tensor,
        text_rows: Tensor,
        state: Tensor,
        noise: Tensor,
        observe: Observe,
    ) -> Tensor:
        key_values = self.context_key_values(context, image_rows, text_rows)
        state_features = self.state_encoder(state)
        observe("state_features", state_features)
        actions = noise
        for step in range(self.steps):
            v = self.velocity(step, actions, state_features, key_values, observe)
            actions = actions + v * (1.0 / self.steps)
        observe("action_pred", actions)
        return actions


class Gr00t(nn.Module):
    def __init__(self, config: Config, steps: int | None = None):
        super().__init__()
        self.config = config
        self.vision = Vision(config)
        self.language = Language(config)
        self.action_head = ActionHead(config, steps or config.denoising_steps)

    @classmethod
    def load(
        cls, folder: Path, embodiment: int, dtype: torch.dtype, steps: int | None = None
    ) -> Gr00t:
        config = read_config(folder)
        with torch.device("meta"):
            model = cls(config, steps)
        tensors = Tensors(folder, dtype)
        model.vision.load(tensors)
        model.language.load(tensors)
        model.action_head.load(tensors, embodiment)
        return model.eval()

    def prepare(
        self, observation: Observation, first_position: int = 0, round_frequencies: bool = False
    ) -> None:
        """Tables for the shapes of this observation."""
        _, _, height, width = observation.pixels.shape
        patch = self.vision.patch
        self.vision.prepare(height // patch, width // patch)
        self.language.prepare(len(observation.token_ids), first_position, round_frequencies)

    def forward(
        self,
        pixels: Tensor,
        token_ids: Tensor,
        image_rows: Tensor,
        text_rows: Tensor,
        state: Tensor,
        noise: Tensor,
        observe: Observe = ignore,
    ) -> Tensor:  # -> [k, max_action_dim]
        image_tokens = self.vision(pixels, observe)
        context = self.language(token_ids, image_rows, image_tokens, observe)
        return self.action_head(context, image_rows, text_rows, state, noise, observe)
