"""The small policy: its sizes, its tokenizer and its processor's settings.

The architecture is GR00T N1.6's own (vision tower with patch 14 and 2x2 pixel
unshuffle, Qwen3 language model, alternating vision-language DiT with flow
matching); only the sizes are small. Heads keep the real sizes: 72 in the vision
tower, 128 in the language model, 48 in the DiT.
"""

from __future__ import annotations

import json
from pathlib import Path

import env as sim
import make_dataset as data

VISION = dict(
    hidden_size=144,
    num_attention_heads=2,
    num_hidden_layers=5,
    intermediate_size=384,
)
TEXT = dict(
    hidden_size=192,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=128,
    num_hidden_layers=4,
    intermediate_size=288,
)
SELECT_LAYER = 3  # language layers in use
DIT_HEADS, DIT_LAYERS, HIDDEN = 3, 8, 128
ACTION_HORIZON = data.ACTION_HORIZON
MAX_DIM = 32  # of padded states and actions
EMBODIMENTS = 4
EMBODIMENT_IDS = {
    "new_embodiment": 2,
    "robocasa_panda_omron": 0,
    "gr1": 0,
    "behavior_r1_pro": 0,
    "unitree_g1": 1,
    "libero_panda": 1,
    "oxe_google": 3,
    "oxe_widowx": 3,
    "oxe_droid": 3,
}
VOCABULARY = 480  # tokens, the special ones included
PROCESSOR = dict(
    image_crop_size=None,
    image_target_size=None,
    shortest_image_edge=112,
    crop_fraction=0.95,
    use_albumentations=True,
    random_rotation_angle=None,
    color_jitter_params={"brightness": 0.15, "contrast": 0.15, "saturation": 0.15, "hue": 0.0},
    formalize_language=True,
    use_percentiles=False,
    clip_outliers=True,
)

# Special tokens in the order of the Qwen2 tokenizer that N1.6 uses.
SPECIAL_TOKENS = (
    "<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|> <|box_start|> "
    "<|box_end|> <|quad_start|> <|quad_end|> <|vision_start|> <|vision_end|> <|vision_pad|> "
    "<|image_pad|> <|video_pad|> <tool_call> </tool_call> <|fim_prefix|> <|fim_middle|> "
    "<|fim_suffix|> <|fim_pad|> <|repo_name|> <|file_sep|> <tool_response> </tool_response> "
    "<think> </think> <IMG_CONTEXT> <img> </img> <box> </box> <quad> </quad> <ref> </ref> "
    "<interval> </interval>"
).split()
ORDINARY_TOKENS = (  # single tokens, but no control marks
    "<tool_call> </tool_call> <|fim_prefix|> <|fim_middle|> <|fim_suffix|> <|fim_pad|> "
    "<|repo_name|> <|file_sep|> <tool_response> </tool_response> <think> </think>"
).split()
# Qwen2's pre-tokenisation: contractions, words with one leading mark, digits, punctuation, spaces.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CORPUS = """You are a helpful assistant. system user assistant image
put place push pull open close turn move slide lift drop hold take grab pick up down left right
reach touch go to into onto from with behind in front of next the a an and then cube block box ball
cup bowl drawer door table gripper hand arm robot red green blue yellow white black small large"""


def tokenizer_lines() -> list[str]:
    prompt = "system\nYou are a helpful assistant.\nuser\n{} image 1 image 2\n"
    return CORPUS.splitlines() + [prompt.format(t) for t in data.TASKS]


def build_eagle(folder: Path) -> None:
    """Writes the vision-language model's side folder: its dimensions and a byte-level
    BPE tokenizer in the Qwen2 file format.

    What only the reference needs (the other keys of its configuration, tokenizer
    settings, prompt template, image settings) is not written here:
    reference.use_eagle() adds it when the reference runs.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    words = VOCABULARY - len(SPECIAL_TOKENS)
    trainer = trainers.BpeTrainer(
        vocab_size=words,
        min_frequency=1,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(tokenizer_lines(), trainer)
    tokenizer.model.save(str(folder))  # vocab.json, merges.txt
    vocabulary = json.loads((folder / "vocab.json").read_text())
    if len(vocabulary) != words:
        raise ValueError(f"the corpus gives {len(vocabulary)} tokens, {words} are needed")

    ids = {token: words + i for i, token in enumerate(SPECIAL_TOKENS)}
    config = {
        "model_type": "eagle_3_vl",
        "image_token_index": ids["<IMG_CONTEXT>"],
        "downsample_ratio": 0.5,
        "use_pixel_shuffle": True,
        "select_layer": -1,
        "vision_config": {
            **VISION,
            "patch_size": 14,
            "num_patches": 256,
            "layer_norm_eps": 1e-6,
            "hidden_act": "gelu_pytorch_tanh",
            "use_rope": False,
            "use_windows_attn": False,
        },
        "text_config": {
            **TEXT,
            "rms_norm_eps": 1e-6,
            "rope_theta": 1000000,
            "vocab_size": VOCABULARY,
            "attention_bias": False,
            "use_sliding_window": False,
            "rope_scaling": None,
        },
    }
    write_json(folder / "added_tokens.json", dict(sorted(ids.items())))
    write_json(folder / "config.json", config)


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def reference_tokenizer_settings(ids: dict[str, int]) -> dict:
    """The reference's tokenizer_config.json for the added tokens `ids`."""
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    markers = [t for t in SPECIAL_TOKENS if t not in ORDINARY_TOKENS]
    return {
        "tokenizer_class": "Qwen2Tokenizer",
        "added_tokens_decoder": {
            str(ids[t]): {"content": t, **flags, "special": t in markers} for t in SPECIAL_TOKENS
        },
        "additional_special_tokens": [t for t in markers if t != "<|endoftext|>"],
        "bos_token": None,
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "unk_token": None,
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "errors": "replace",
        "model_max_length": 32768,
        "split_special_tokens": False,
    }


def reference_config(package: dict, own: dict, ids: dict[str, int]) -> dict:
    """The reference's VLM configuration `package` with the dimensions of `own`.

    Keys that have nothing to do with size keep the package's values.
    """
    text, vision = own["text_config"], own["vision_config"]
    layers = {"max_window_layers": text["num_hidden_layers"]}
    names = {"bos_token_id": ids["<|endoftext|>"], "eos_token_id": ids["<|im_end|>"]}
    every_layer = {"full_attention_indexes": list(range(1, vision["num_hidden_layers"]))}
    return {
        **{k: v for k, v in package.items() if k != "_commit_hash"},
        **own,
        "text_config": package["text_config"]
        | text
        | layers
        | names
        | {"_name_or_path": "reach-nano"},
        "vision_config": package["vision_config"] | vision | every_layer,
    }


def modality_configs() -> dict:
    from gr00t.data.types import (
        ActionConfig,
        ActionFormat,
        ActionRepresentation,
        ActionType,
        ModalityConfig,
    )

    def group(rep: ActionRepresentation) -> ActionConfig:
        return ActionConfig(rep=rep, type=ActionType.NON_EEF, format=ActionFormat.DEFAULT)

    keys = list(data.MODALITY["state"])
    return {
        "new_embodiment": {
            "video": ModalityConfig(delta_indices=[0], modality_keys=list(sim.CAMERAS)),
            "state": ModalityConfig(delta_indices=[0], modality_keys=keys),
            "action": ModalityConfig(
                delta_indices=list(range(ACTION_HORIZON)),
                modality_keys=keys,
                action_configs=[
                    group(ActionRepresentation.RELATIVE),
                    group(ActionRepresentation.ABSOLUTE),
                ],
            ),
            "language": ModalityConfig(delta_indices=[0], modality_keys=[data.LANGUAGE_KEY]),
        }
    }


def model_config(config_class):
    return config_class(
        architectures=["Gr00tN1d6"],
        action_horizon=ACTION_HORIZON,
        hidden_size=HIDDEN,
        input_embedding_dim=DIT_HEADS * 48,
        backbone_embedding_dim=TEXT["hidden_size"],
        select_layer=SELECT_LAYER,
        max_state_dim=MAX_DIM,
        max_action_dim=MAX_DIM,
        max_seq_len=64,
        max_num_embodiments=EMBODIMENTS,
        attend_text_every_n_blocks=2,
        diffusion_model_cfg={
            "positional_embeddings": None,
            "num_layers": DIT_LAYERS,
            "num_attention_heads": DIT_HEADS,
            "attention_head_dim": 48,
            "norm_type": "ada_norm",
            "dropout": 0.1,
            "final_dropout": True,
            "output_dim": HIDDEN,
            "interleave_self_attention": True,
        },
        tune_llm=True,
        tune_visual=True,
        tune_top_llm_layers=0,
        use_relative_action=True,
        image_crop_size=PROCESSOR["image_crop_size"],
        image_target_size=PROCESSOR["image_target_size"],
        shortest_image_edge=PROCESSOR["shortest_image_edge"],
        crop_fraction=PROCESSOR["crop_fraction"],
        color_jitter_params=PROCESSOR["color_jitter_params"],
    )
