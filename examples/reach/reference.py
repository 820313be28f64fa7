"""Runs NVIDIA's reference implementation (package `gr00t`) on a small model.

The package is imported from the folder that the environment variable GR00T_REF
names (a checkout of Isaac-GR00T, N1.6); none of it is copied. Four things are
adapted at run time:

* The vision-language model's configuration and tokenizer come from a folder of
  ours (`<checkpoint>/eagle`) in place of the package's own full-size one.
* The flash-attention entry points, which need one GPU library, are answered by
  PyTorch's scaled_dot_product_attention with the same meaning, so that it all
  runs on a CPU as well.
* Per-image Python loops of the vision tower get a batched equivalent for images
  of one size (test_reference.py compares the two).
* Initial noise can be given, and the dtype of inference chosen.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import json
import os
import shutil
import sys
import tempfile
import types
from pathlib import Path
from typing import ClassVar

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
_SCRATCH = Path(tempfile.mkdtemp(prefix="reach_reference_"))
atexit.register(shutil.rmtree, _SCRATCH, True)
os.environ["HF_MODULES_CACHE"] = str(_SCRATCH / "modules")

if "GR00T_REF" not in os.environ:
    sys.exit("GR00T_REF is not set: name a checkout of Isaac-GR00T (N1.6) with it")
ROOT = Path(os.environ["GR00T_REF"]).resolve()
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from transformers import AutoConfig, AutoModel, AutoProcessor  # noqa: E402
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, PreTrainedModel  # noqa: E402


class _Anything(type):
    """A class whose attributes, items and instances are such classes again."""

    def __call__(cls, *args, **kwargs):
        return cls

    def __getattr__(cls, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return type.__new__(_Anything, name, (), {})

    def __getitem__(cls, key):
        return cls


class _Absent(types.ModuleType):
    """Stands for a package that is not installed and that the model itself does not need."""

    __path__: ClassVar[list[str]] = []

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return type.__new__(_Anything, name, (), {})


absent_modules: list[str] = []
for _name in ("albumentations", "av", "lmdb", "mujoco", "termcolor", "tyro"):
    if importlib.util.find_spec(_name) is None:
        absent_modules.append(_name)
        sys.modules[_name] = _Absent(_name)
while True:
    try:
        import gr00t.model.gr00t_n1d6.processing_gr00t_n1d6 as processing
        import gr00t.model.modules.eagle_backbone as eagle_backbone
        import gr00t.policy.gr00t_policy as policy_module
        from gr00t.configs.model.gr00t_n1d6 import Gr00tN1d6Config  # noqa: F401
        from gr00t.model.gr00t_n1d6.gr00t_n1d6 import Gr00tN1d6  # noqa: F401

        break
    except ModuleNotFoundError as error:
        if error.name.split(".")[0] in ("gr00t", "torch", "transformers", "diffusers"):
            raise
        absent_modules.append(error.name)
        sys.modules[error.name] = _Absent(error.name)
        for name, module in list(
            sys.modules.items()
        ):  # folders without __init__ whose parent is gone
            if name.startswith("gr00t.") and getattr(module, "__file__", None) is None:
                del sys.modules[name]

EAGLE_SOURCE = ROOT / "gr00t/model/modules/nvidia/Eagle-Block2A-2B-v2"
_eagle = {"folder": EAGLE_SOURCE}


def use_eagle(folder: str | Path) -> None:
    """Takes the vision-language model's dimensions and tokenizer from `folder`, and what
    does not depend on sizes (other settings, prompt template, code) from the package."""
    import policy_spec as spec

    target = Path(tempfile.mkdtemp(dir=_SCRATCH)) / "Eagle-Block2A-2B-v2"
    target.mkdir()
    own, package, ids = (
        json.loads(path.read_text())
        for path in (
            Path(folder) / "config.json",
            EAGLE_SOURCE / "config.json",
            Path(folder) / "added_tokens.json",
        )
    )
    spec.write_json(target / "config.json", spec.reference_config(package, own, ids))
    spec.write_json(target / "tokenizer_config.json", spec.reference_tokenizer_settings(ids))
    settings = (
        "chat_template.json",
        "preprocessor_config.json",
        "processor_config.json",
        "special_tokens_map.json",
    )
    for source in (
        *Path(folder).iterdir(),
        *EAGLE_SOURCE.glob("*.py"),
        *(EAGLE_SOURCE / s for s in settings),
    ):
        if not (target / source.name).exists():
            (target / source.name).symlink_to(source.resolve())
    _eagle["folder"] = target


# -- attention ---------------------------------------------------------------


def _language_attention(module, query, key, value, attention_mask, scaling=None, **_):
    """query [B, H, S, D], key/value [B, H_kv, S, D], attention_mask [B, S] or None ->
    [B, S, H, D]"""
    repeat = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(repeat, dim=1), value.repeat_interleave(repeat, dim=1)
    if attention_mask is None:
        out = F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling)
        return out.transpose(1, 2), None
    length = query.shape[2]
    valid = attention_mask.bool()
    see = torch.ones(length, length, dtype=torch.bool, device=query.device).tril()
    see = see & valid[:, None, None, :]
    # A padded query sees itself, so that its row is finite; its output is zero, as
    # it is where padding is removed before attention.
    see = see | torch.eye(length, dtype=torch.bool, device=query.device)
    out = F.scaled_dot_product_attention(query, key, value, attn_mask=see, scale=scaling)
    return (out * valid[:, None, :, None].to(out.dtype)).transpose(1, 2), None


def _vision_attention(
    module, query, key, value, attention_mask=None, scaling=None, seq_len_list=(), **_
):
    """query, key, value [1, H, sum(L), D]: one segment of L tokens per image -> [sum(L), H, D]"""
    lengths = list(seq_len_list)
    if len(set(lengths)) == 1:
        n, length = len(lengths), lengths[0]
        q, k, v = (
            t[0].unflatten(1, (n, length)).transpose(0, 1) for t in (query, key, value)
        )  # [n, H, L, D]
        out = F.scaled_dot_product_attention(q, k, v, scale=scaling)
        return out.permute(0, 2, 1, 3).reshape(n * length, *out.shape[1::2]), None
    parts = [
        F.scaled_dot_product_attention(q, k, v, scale=scaling)
        for q, k, v in zip(*(t.split(lengths, dim=2) for t in (query, key, value)), strict=True)
    ]
    return torch.cat(parts, dim=2)[0].transpose(0, 1), None


def _flash_attention_is_here(cls, config, *args, **kwargs):
    config._attn_implementation = "flash_attention_2"
    return config


PreTrainedModel._check_and_enable_flash_attn_2 = classmethod(_flash_attention_is_here)
ALL_ATTENTION_FUNCTIONS["flash_attention_2"] = _language_attention


# -- batched equivalents of the vision tower's loops ---------------------------


def _batch_vision(module) -> None:
    """Replaces per-image loops, for images that all have one size and fit one window."""
    embeddings = module.Siglip2VisionEmbeddings
    split, resize = (
        embeddings.split_patch_embeddings_to_windows_with_meta,
        embeddings.resize_positional_embeddings,
    )

    def split_windows(self, patch_embeds, batch_hw, window_size):
        sizes = {tuple(hw) for hw in batch_hw.tolist()}
        if len(sizes) > 1 or max(max(s) for s in sizes) > window_size:
            return split(self, patch_embeds, batch_hw, window_size)
        (hw,) = sizes
        meta = [
            {"img_idx": i, "patch_hw": hw, "win_xy": (0, 0), "win_hw": hw}
            for i in range(len(batch_hw))
        ]
        return patch_embeds, meta, torch.arange(patch_embeds.shape[1], device=patch_embeds.device)

    def resize_positions(positional_embeddings, spatial_shapes):
        if len({tuple(hw) for hw in spatial_shapes.tolist()}) > 1:
            return resize(positional_embeddings, spatial_shapes)
        return resize(positional_embeddings, spatial_shapes[:1]).repeat(1, len(spatial_shapes), 1)

    embeddings.split_patch_embeddings_to_windows_with_meta = split_windows
    embeddings.resize_positional_embeddings = staticmethod(resize_positions)
    frequencies = module.Rope2DPosEmb.get_freqs_cis
    module.Rope2DPosEmb.get_freqs_cis = lambda self, win_meta_list, device: (
        frequencies(self, win_meta_list, device) if self.in_use else None
    )


def _batch_shuffle(model_class) -> None:
    shuffle = model_class.pixel_shuffle_back

    def pixel_shuffle_back(self, vit_embeds, spatial_shapes):
        sizes = {tuple(hw) for hw in spatial_shapes.tolist()}
        if len(sizes) > 1:
            return shuffle(self, vit_embeds, spatial_shapes)
        ((h, w),) = sizes
        grid = vit_embeds.view(-1, h, w, vit_embeds.shape[-1]).permute(0, 3, 1, 2)
        grid = F.pixel_unshuffle(grid, int(1 / self.downsample_ratio))
        out = grid.flatten(2).transpose(1, 2).flatten(0, 1).unsqueeze(0)
        return out, (spatial_shapes * self.downsample_ratio).to(torch.int32)

    model_class.pixel_shuffle_back = pixel_shuffle_back


_adapted: set[str] = set()
batched_vision = True


def _eagle_config(path, **kwargs):
    config = AutoConfig.from_pretrained(_eagle["folder"], **kwargs)
    for part in (config, config.text_config, config.vision_config):
        part._attn_implementation = "flash_attention_2"
    return config


def _eagle_model(config, **kwargs):
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    for name in (
        "modeling_siglip2.Siglip2VisionModel",
        "modeling_eagle3_vl.Eagle3_VLForConditionalGeneration",
    ):
        cls = get_class_from_dynamic_module(name, str(_eagle["folder"]))
        module = sys.modules[cls.__module__]
        if module.__name__ in _adapted:
            continue
        _adapted.add(module.__name__)
        if "siglip2" in name:
            module.flash_attention_forward_for_packing = _vision_attention
            if batched_vision:
                _batch_vision(module)
        elif batched_vision:
            _batch_shuffle(cls)
    model = AutoModel.from_config(config, **kwargs)
    model.vision_model.vision_model.encoder.rope_2d.in_use = config.vision_config.use_rope
    return model


eagle_backbone.AutoConfig = types.SimpleNamespace(from_pretrained=_eagle_config)
eagle_backbone.AutoModel = types.SimpleNamespace(from_config=_eagle_model)
processing.build_processor = lambda name, kwargs: AutoProcessor.from_pretrained(
    _eagle["folder"], **kwargs
)


# -- inference ----------------------------------------------------------------


def load_policy(checkpoint: str | Path, dtype: torch.dtype = torch.float32, device: str = "cpu"):
    """The reference's own policy on `checkpoint`, computing in `dtype`.

    float32 keeps the checkpoint's weights and does all arithmetic in float32;
    bfloat16 is what the reference's server does.
    """
    checkpoint = Path(checkpoint)
    use_eagle(checkpoint / "eagle")
    original = policy_module._rec_to_dtype
    with open(os.devnull, "w") as quiet, contextlib.redirect_stdout(quiet):
        policy = policy_module.Gr00tPolicy(
            embodiment_tag=policy_module.EmbodimentTag.NEW_EMBODIMENT,
            model_path=str(checkpoint),
            device=device,
        )
        if dtype != torch.bfloat16:
            policy.model = AutoModel.from_pretrained(checkpoint).eval().to(device, dtype)
    policy_module._rec_to_dtype = lambda x, dtype=dtype, _dtype=dtype: original(x, _dtype)
    return policy


@contextlib.contextmanager
def initial_noise(noise: torch.Tensor):
    """Inside the block the policy starts denoising from `noise` [B, horizon, action_dim]."""
    original = torch.randn

    def randn(*args, **kwargs):
        if tuple(kwargs.get("size", ())) == tuple(noise.shape):
            return noise.to(dtype=kwargs.get("dtype"), device=kwargs.get("device"))
        return original(*args, **kwargs)

    torch.randn = randn
    try:
        yield
    finally:
        torch.randn = original
