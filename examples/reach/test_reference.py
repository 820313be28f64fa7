"""Checks that the shortcuts of preprocess.py and reference.py change nothing.

    GR00T_REF=<checkout of Isaac-GR00T> python test_reference.py --dataset D --checkpoint C

1. Images, states and actions prepared here equal the reference processor's.
2. meta/stats.json and relative_stats.json equal the reference's own computation.
3. The batched vision tower equals the reference's per-image loops.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import reference
import torch

import make_dataset as data
import policy_spec as spec
import preprocess
import train


def check(name: str, got, want, tolerance: float) -> None:
    error = float(np.abs(np.asarray(got, np.float64) - np.asarray(want, np.float64)).max())
    print(f"{'ok  ' if error <= tolerance else 'FAIL'} {name}: largest difference {error:.3g}")
    if error > tolerance:
        sys.exit(1)


def check_processor(dataset: Path, checkpoint: Path) -> None:
    from gr00t.data.embodiment_tags import EmbodimentTag
    from gr00t.data.types import VLAStepData

    reference.use_eagle(checkpoint / "eagle")
    processor = reference.processing.Gr00tN1d6Processor.from_pretrained(checkpoint)
    statistics = json.loads((checkpoint / "statistics.json").read_text())["new_embodiment"]
    prompts = (
        json.loads((checkpoint / "prompts.json").read_text())
        if (checkpoint / "prompts.json").exists()
        else None
    )
    table = data.pq.read_table(
        dataset / data.DATA_PATH.format(episode_chunk=0, episode_index=0)
    ).to_pandas()
    videos = {
        c: preprocess.decode_video(
            dataset
            / data.VIDEO_PATH.format(
                episode_chunk=0, video_key=f"observation.images.{c}", episode_index=0
            )
        )
        for c in data.sim.CAMERAS
    }
    states, actions = np.stack(table["observation.state"]), np.stack(table["action"])
    for t in (0, 7, 19):
        text = data.TASKS[table["task_index"][t]]
        chunk = actions[t : t + spec.ACTION_HORIZON]
        step = VLAStepData(
            images={c: [v[t]] for c, v in videos.items()},
            states={"single_arm": states[t : t + 1, :4], "gripper": states[t : t + 1, 4:]},
            actions={"single_arm": chunk[:, :4], "gripper": chunk[:, 4:]},
            text=text,
            embodiment=EmbodimentTag.NEW_EMBODIMENT,
        )
        processor.eval()
        processed = processor([{"content": step}])
        batch = processor.collator([{"vlm_content": processed["vlm_content"]}])["inputs"]
        for i, c in enumerate(data.sim.CAMERAS):
            mine = preprocess.prepare_image(
                videos[c][t], spec.PROCESSOR["shortest_image_edge"], spec.PROCESSOR["crop_fraction"]
            )
            theirs = batch["pixel_values"][i][0].numpy().transpose(1, 2, 0)
            check(f"image {c} of step {t}, {theirs.shape}", mine / 127.5 - 1, theirs, 1e-6)
        check(
            f"state of step {t}",
            preprocess.normalise_state(states[t], statistics),
            processed["state"][0, :5],
            1e-6,
        )
        check(
            f"actions of step {t}",
            preprocess.normalise_actions(chunk, states[t], statistics),
            processed["action"][:, :5],
            1e-5,
        )
        if prompts:
            row = table["task_index"][t]
            keep = np.array(prompts["attention_mask"][row], bool)
            check(
                f"tokens of {text!r}",
                np.array(prompts["input_ids"][row])[keep],
                batch["input_ids"][0],
                0,
            )


def check_statistics(dataset: Path) -> None:
    import gr00t.configs.data.embodiment_configs as configs
    import gr00t.data.stats as stats
    from gr00t.data.embodiment_tags import EmbodimentTag

    configs.MODALITY_CONFIGS["new_embodiment"] = spec.modality_configs()["new_embodiment"]
    own = json.loads((dataset / "meta/stats.json").read_text())
    theirs = stats.calculate_dataset_statistics(sorted(dataset.glob("data/*/*.parquet")), list(own))
    for column, kinds in own.items():
        for kind, values in kinds.items():
            check(f"stats {column} {kind}", values, theirs[column][kind], 2e-5)
    theirs = stats.calculate_stats_for_key(dataset, EmbodimentTag.NEW_EMBODIMENT, "single_arm")
    own = json.loads((dataset / "meta/relative_stats.json").read_text())["single_arm"]
    for kind, values in own.items():
        check(f"relative stats {kind}", values, theirs[kind], 2e-5)


_LOOPS = """
import sys, reference, torch
reference.batched_vision = False
import train
torch.manual_seed(0)
reference.use_eagle(sys.argv[1])
model = train.build_model().eval()
images = torch.rand(4, 3, 112, 140) * 2 - 1
with torch.no_grad():
    out = model.backbone.model.extract_feature([i[None] for i in images])
torch.save(out, sys.argv[2])
"""


def check_vision(checkpoint: Path, scratch: Path) -> None:
    path = scratch / "loops.pt"
    subprocess.run(
        [sys.executable, "-c", _LOOPS, str(checkpoint / "eagle"), str(path)],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parent,
    )
    torch.manual_seed(0)
    reference.use_eagle(checkpoint / "eagle")
    model = train.build_model().eval()
    images = torch.rand(4, 3, 112, 140) * 2 - 1
    with torch.no_grad():
        check(
            "vision tower, batched",
            model.backbone.model.extract_feature([images]),
            torch.load(path),
            1e-5,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    args = parser.parse_args()
    check_processor(args.dataset, args.checkpoint)
    check_statistics(args.dataset)
    check_vision(args.checkpoint, reference._SCRATCH)


if __name__ == "__main__":
    main()
