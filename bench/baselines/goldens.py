"""Golden cases as observations and recorded stages (tests/golden, examples/reach/golden)."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from model import Observation

REPOSITORY = Path(__file__).resolve().parents[2]
CASES = REPOSITORY / "tests/golden/cases"
NANO = REPOSITORY / "tests/golden/nano/checkpoint"
REACH_GOLDEN = REPOSITORY / "examples/reach/golden"
REACH = REPOSITORY / "examples/reach/checkpoints/reach-nano"


@dataclass
class Sample:
    """One row of a recorded batch."""

    observation: Observation
    first_position: int  # pads to the left of it
    embodiment: int
    expected: dict[str, Tensor]  # by site, without padding


def unfiltered(kind: int, line: np.ndarray, above: np.ndarray, pixel: int) -> np.ndarray:
    """One line of a PNG with its prediction undone."""
    if kind == 0:
        return line
    if kind == 2:
        return line + above
    out = line.copy()
    for x in range(len(line)):
        left = int(out[x - pixel]) if x >= pixel else 0
        up = int(above[x])
        corner = int(above[x - pixel]) if x >= pixel else 0
        if kind == 1:
            predicted = left
        elif kind == 3:
            predicted = (left + up) // 2
        else:
            guess = left + up - corner
            predicted = min((left, up, corner), key=lambda candidate: abs(guess - candidate))
        out[x] = (int(line[x]) + predicted) & 255
    return out


def read_png(path: Path) -> np.ndarray:
    """[h, w, 3] u8: the golden images are 8-bit RGB without interlacing."""
    data, at, packed = path.read_bytes(), 8, b""
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        if kind == b"IHDR":
            width, height, *form = struct.unpack(">IIBBBBB", body)
            if form != [8, 2, 0, 0, 0]:
                raise ValueError(f"{path}: expected an 8-bit RGB image, found {form}")
        elif kind == b"IDAT":
            packed += body
        at += 12 + size
    lines = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, 1 + 3 * width)
    image = np.zeros((height + 1, 3 * width), np.uint8)
    for y in range(height):
        image[y + 1] = unfiltered(int(lines[y, 0]), lines[y, 1:], image[y], 3)
    return image[1:].reshape(height, width, 3)


def network_pixels(images: Tensor) -> Tensor:  # u8 [v, 3, H, W] -> f32 in -1 to 1
    return (images.float() - 127.5) / 127.5


def make_observation(
    pixels: Tensor, token_ids: Tensor, state: Tensor, noise: Tensor, image_token: int
) -> Observation:
    is_image = token_ids == image_token
    return Observation(
        pixels=pixels,
        token_ids=token_ids.long(),
        image_rows=is_image.nonzero()[:, 0],
        text_rows=(~is_image).nonzero()[:, 0],
        state=state.float(),
        noise=noise.float(),
    )


# Sites whose rows are tokens of the padded prompt, and those that hold all images of the batch.
PROMPT_SITES = ("llm.", "backbone_features", "vlln")
ALL_IMAGE_SITES = ("vis.out", "vis.mlp1")
INPUTS = ("input_ids", "attention_mask", "image_mask", "backbone_attention_mask", "noise", "state")


def expected_stages(
    recorded: dict[str, Tensor], valid: Tensor, row: int, batch: int
) -> dict[str, Tensor]:
    expected = {}
    for name, value in recorded.items():
        if name in INPUTS or name.startswith(("obs.", "action.", "vis.spatial")):
            continue
        if name.endswith(("timestep", "embodiment_id")):
            continue
        if ".img0" in name:
            if row == 0:
                expected[name] = value
        elif name in ALL_IMAGE_SITES:
            expected[name] = value.reshape(-1, value.shape[-1]).chunk(batch)[row]
        elif name.startswith(PROMPT_SITES):
            expected[name] = value[row][valid]
        else:
            expected[name] = value[row]
    return expected


def case_samples(name: str, image_token: int) -> Iterator[Sample]:
    words = json.loads((CASES / f"{name}.json").read_text())
    recorded = load_file(CASES / f"{name}.safetensors")
    tensors = recorded
    if "observation_of" in words:  # the same inputs, run in another way
        name = words["observation_of"]
        tensors = load_file(CASES / f"{name}.safetensors")
        words = json.loads((CASES / f"{name}.json").read_text())
    batch = tensors["input_ids"].shape[0]
    images = [read_png(CASES / resized) for _, resized in words["processed_png"]]
    views = len(images) // batch
    for row in range(batch):
        frames = np.stack(images[row * views : (row + 1) * views]).transpose(0, 3, 1, 2)
        valid = tensors["attention_mask"][row].bool()
        yield Sample(
            observation=make_observation(
                network_pixels(torch.from_numpy(frames.copy())),
                tensors["input_ids"][row][valid],
                tensors["state"][row],
                tensors["noise"][row],
                image_token,
            ),
            first_position=int((~valid).sum()),
            embodiment=int(tensors["embodiment_id"][row]),
            expected=expected_stages(recorded, tensors["attention_mask"][row].bool(), row, batch),
        )


def reach_files() -> list[Path]:
    return sorted(REACH_GOLDEN.glob("step_*.safetensors"))


def reach_sample(path: Path, steps: int, image_token: int, embodiment: int) -> Sample:
    tensors = load_file(path)
    frames = torch.cat([v for n, v in tensors.items() if n.startswith("processed.image.")])
    return Sample(
        observation=make_observation(
            network_pixels(frames),
            tensors["processed.input_ids"][0],
            tensors["processed.state"][0],
            tensors["noise"][0],
            image_token,
        ),
        first_position=0,
        embodiment=embodiment,
        expected={
            "backbone_features": tensors["processed.backbone_features"][0],
            "action_pred": tensors[f"normalised.{steps}"][0],
        },
    )
