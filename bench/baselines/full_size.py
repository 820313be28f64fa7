"""Errors at full size, stage by stage: sinew and PyTorch in bf16, against PyTorch in fp32.

    python full_size.py --build ../../build/gpu --device cuda

Made-up weights at the sizes of GR00T N1.6, one observation of random frames. sinew runs twice: with
every site dumped, which takes composites apart that have a site inside, and as it serves, whose
actions are compared. Exit code 1 when an error is beyond --factor times PyTorch's.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from checkpoint import read_config
from goldens import make_observation
from model import Gr00t, Observation

VIEWS = ("front", "wrist")
EMBODIMENT = "new_embodiment"
STEPS = 4


def state_extents(checkpoint: Path) -> dict[str, int]:
    statistics = json.loads((checkpoint / "statistics.json").read_text())
    return {key: len(rows["mean"]) for key, rows in statistics[EMBODIMENT]["state"].items()}


def write_inputs(
    folder: Path, size: tuple[int, int], state: dict[str, int], noise_extents: tuple[int, int]
) -> None:
    random = np.random.default_rng(7)
    height, width = size
    tensors = {
        f"video.{view}": torch.from_numpy(
            random.integers(0, 256, (1, height, width, 3), dtype=np.uint8)
        )
        for view in VIEWS
    }
    for key, dims in state.items():
        values = random.uniform(-1, 1, (1, dims)).astype(np.float32)
        tensors[f"state.{key}"] = torch.from_numpy(values)
    save_file(tensors, folder / "observation.safetensors", {"language": "pick up the red cube"})
    noise = random.standard_normal((1, *noise_extents)).astype(np.float32)
    np.save(folder / "noise.npy", noise)


def run_sinew(args: argparse.Namespace, checkpoint: Path, folder: Path, dump: bool) -> Tensor:
    """The normalised chunk [k, a]."""
    output = folder / ("dumped.safetensors" if dump else "actions.safetensors")
    command = [args.build / "sinew", "infer", checkpoint, "--quiet"]
    command += ["--observation", folder / "observation.safetensors", "--output", output]
    command += ["--noise", folder / "noise.npy", "--device", args.device, "--precision", "bf16"]
    command += ["--rope-inv-freq", "fp32", "--denoising-steps", STEPS]
    command += ["--dump-sites", folder / "sites"] if dump else []
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
    return load_file(output)["normalized"][0]


def read_dump(folder: Path) -> dict[str, Tensor]:
    (path,) = (folder / "sites").glob("*.safetensors")
    return load_file(path)


def run_torch(
    checkpoint: Path, observation: Observation, embodiment: int, dtype: torch.dtype
) -> dict[str, Tensor]:
    model = Gr00t.load(checkpoint, embodiment, dtype, STEPS)
    model.prepare(observation)
    inputs = {
        name: value.to(dtype) if value.is_floating_point() else value
        for name, value in vars(observation).items()
    }
    sites: dict[str, Tensor] = {}
    model(**inputs, observe=lambda name, value: sites.__setitem__(name, value.double().flatten()))
    return sites


def relative(got: Tensor, expected: Tensor) -> float:
    got, expected = got.double().flatten(), expected.double().flatten()
    return float((got - expected).norm() / expected.norm())


def group_of(site: str) -> str:
    """Layers of a kind in one row of the table."""
    return re.sub(r"(layer|block)\d+", r"\1*", re.sub(r"^step\d+", "step*", site))


def compare_sites(
    ours: dict[str, Tensor], theirs: dict[str, Tensor], exact: dict[str, Tensor]
) -> dict[str, list[tuple[str, float, float]]]:
    groups: dict[str, list[tuple[str, float, float]]] = {}
    for site, expected in exact.items():
        if site not in ours or ours[site].numel() != expected.numel():
            continue
        errors = (site, relative(ours[site], expected), relative(theirs[site], expected))
        groups.setdefault(group_of(site), []).append(errors)
    return groups


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, help="made anew where it is not given")
    parser.add_argument("--device", default="cuda", help="sinew's; PyTorch runs on the CPU")
    parser.add_argument("--image-size", default="252x280")
    parser.add_argument("--factor", type=float, default=2.0)
    args = parser.parse_args()
    torch.set_grad_enabled(False)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        checkpoint = args.checkpoint or folder / "checkpoint"
        if not args.checkpoint:
            command = [args.build / "sinew", "synth", "n1.6-3b", "--output", checkpoint, "--quiet"]
            subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
        config = read_config(checkpoint)
        height, width = (int(word) for word in args.image_size.split("x"))
        policy = config.policy
        noise_extents = (policy["action_horizon"], policy["max_action_dim"])
        write_inputs(folder, (height, width), state_extents(checkpoint), noise_extents)
        dumped_actions = run_sinew(args, checkpoint, folder, dump=True)
        actions = run_sinew(args, checkpoint, folder, dump=False)
        ours = read_dump(folder)
        pixels = ours["pixel_values"]
        observation = make_observation(
            pixels.reshape(len(VIEWS), 3, *pixels.shape[-2:]),
            ours["input_ids"].flatten(),
            ours["state"].reshape(-1, policy["max_state_dim"]),
            torch.from_numpy(np.load(folder / "noise.npy"))[0],
            config.image_token,
        )
        embodiment = config.embodiments[EMBODIMENT]
        exact = run_torch(checkpoint, observation, embodiment, torch.float32)
        theirs = run_torch(checkpoint, observation, embodiment, torch.bfloat16)
    worst = 0.0
    print(f"{'stage':28} {'sites':>5} {'sinew':>9} {'PyTorch':>9} {'worst ratio':>11}")
    for name, rows in compare_sites(ours, theirs, exact).items():
        # what both leave exact is compared no further
        ratios = [our / their for _, our, their in rows if their > 0]
        worst = max([worst, *ratios])
        print(
            f"{name:28} {len(rows):5} {max(r[1] for r in rows):9.1e} "
            f"{max(r[2] for r in rows):9.1e} {max(ratios, default=0.0):11.2f}"
        )
    whole = relative(actions, exact["action_pred"])
    apart = relative(dumped_actions, exact["action_pred"])
    torch_error = relative(theirs["action_pred"], exact["action_pred"])
    worst = max(worst, whole / torch_error)
    print(
        f"actions as served {whole:.1e}, with sites dumped {apart:.1e}, PyTorch {torch_error:.1e}"
    )
    return 1 if worst > args.factor else 0


if __name__ == "__main__":
    sys.exit(main())
