"""What the policy's processor does to images, states and actions, in plain NumPy.

The reference's processor handles one observation at a time; training wants all
of a dataset at once. These functions give the same numbers
(test_reference.py compares them), and evaluation with a remote policy needs
none of them.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

PATCH_GRID = 28  # pixels per image token side: patch 14, 2x2 patches per token


def _resize_shortest(image: np.ndarray, edge: int) -> np.ndarray:
    height, width = image.shape[:2]
    scale = edge / min(height, width)
    size = tuple(int(np.floor(v * scale + 0.5)) for v in (width, height))
    if size == (width, height):
        return image
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def prepare_image(image: np.ndarray, shortest_edge: int, crop_fraction: float) -> np.ndarray:
    """uint8[H, W, 3] camera image -> uint8[h, w, 3] as the vision tower gets it.

    Shortest edge to `shortest_edge`, centre crop, shortest edge again, then both
    sides to the nearest multiple of 28.
    """
    image = _resize_shortest(image, shortest_edge)
    height, width = image.shape[:2]
    h, w = int(height * crop_fraction), int(width * crop_fraction)
    y, x = (height - h) // 2, (width - w) // 2
    image = _resize_shortest(image[y : y + h, x : x + w], shortest_edge)
    height, width = (max(PATCH_GRID, round(v / PATCH_GRID) * PATCH_GRID) for v in image.shape[:2])
    if (height, width) == image.shape[:2]:
        return np.ascontiguousarray(image)
    return np.asarray(Image.fromarray(image).resize((width, height)))


def decode_video(path: Path) -> np.ndarray:
    """uint8[frames, H, W, 3], RGB"""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        ok, frame = capture.read()
        if not ok:
            break
        frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
    capture.release()
    if not frames:
        raise OSError(f"no frames in {path}")
    return np.stack(frames)


def _scale(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """To [-1, 1] between `low` and `high`, clipped; 0 where the two are equal."""
    span = high - low
    safe = np.where(span == 0, 1.0, span)
    return np.where(span == 0, 0.0, np.clip(2.0 * (values - low) / safe - 1.0, -1.0, 1.0))


def normalise_state(state: np.ndarray, statistics: dict) -> np.ndarray:
    """[..., 5] -> [..., 5] in [-1, 1]"""
    s = statistics["state"]
    low = np.array(s["single_arm"]["min"] + s["gripper"]["min"])
    high = np.array(s["single_arm"]["max"] + s["gripper"]["max"])
    return _scale(state, low, high).astype(np.float32)


def normalise_actions(actions: np.ndarray, state: np.ndarray, statistics: dict) -> np.ndarray:
    """Chunks [..., 16, 5] and their start states [..., 5] -> [..., 16, 5] in [-1, 1].

    The arm's targets become relative to the start state; the gripper's stay absolute.
    """
    relative = statistics["relative_action"]["single_arm"]  # [16, 4]
    gripper = statistics["action"]["gripper"]
    arm = _scale(
        actions[..., :4] - state[..., None, :4],
        np.array(relative["min"]),
        np.array(relative["max"]),
    )
    hand = _scale(actions[..., 4:], np.array(gripper["min"]), np.array(gripper["max"]))
    return np.concatenate([arm, hand], axis=-1).astype(np.float32)


def dataset_statistics(dataset: Path) -> dict:
    """meta/stats.json and meta/relative_stats.json as the processor groups them."""
    meta = dataset / "meta"
    stats = json.loads((meta / "stats.json").read_text())
    modality = json.loads((meta / "modality.json").read_text())
    grouped = {
        name: {
            group: {
                kind: values[span["start"] : span["end"]] for kind, values in stats[column].items()
            }
            for group, span in modality[name].items()
        }
        for name, column in (("state", "observation.state"), ("action", "action"))
    }
    grouped["relative_action"] = json.loads((meta / "relative_stats.json").read_text())
    return grouped
