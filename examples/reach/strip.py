"""Renders one episode as a strip: a row per camera, a column per moment.

python strip.py --out strip.png                                # the scripted teacher
python strip.py --out strip.png --checkpoint checkpoints/reach-nano   # the policy (reference)
python strip.py --out strip.png --host localhost --port 5555             # the policy (a server)
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import env as sim
import evaluate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--host")
    parser.add_argument("--port", type=int, default=5555)
    parser.add_argument("--seeds", type=int, nargs="+", default=[11])
    parser.add_argument("--columns", type=int, default=8)
    args = parser.parse_args()
    policy = None
    if args.host:
        from policy_client import PolicyClient

        policy = PolicyClient(args.host, args.port)
    elif args.checkpoint:
        policy = evaluate.ReferencePolicy(args.checkpoint, "float32", 0)

    env = sim.ReachEnv()
    blocks = []
    for seed in args.seeds:
        env.reset(sim.sample_scene(np.random.default_rng(seed)))
        expert, frames, chunk = sim.Expert(env), [], []
        while env.steps < sim.MAX_STEPS and not env.succeeded:
            images = {c: env.image(c) for c in sim.CAMERAS}
            frames.append(np.concatenate(list(images.values())))
            if policy and not chunk:
                action = policy.get_action(
                    evaluate.observation([env.state()], [images], [env.scene.task.text])
                )
                chunk = list(
                    np.concatenate([action["single_arm"], action["gripper"]], axis=-1)[0, :8]
                )
            env.step(chunk.pop(0) if policy else expert.action())
        frames.append(np.concatenate([env.image(c) for c in sim.CAMERAS]))
        picks = np.linspace(0, len(frames) - 1, args.columns).round().astype(int)
        strip = Image.fromarray(np.concatenate([frames[i] for i in picks], axis=1))
        draw = ImageDraw.Draw(strip)
        outcome = (
            f"succeeded after {env.steps / sim.CONTROL_HZ:.2f} s" if env.succeeded else "failed"
        )
        draw.text((4, 2), f'"{env.scene.task.text}": {outcome}', fill=(0, 0, 0))
        for column, i in enumerate(picks):
            draw.text(
                (column * sim.IMAGE_WIDTH + 4, sim.IMAGE_HEIGHT - 12),
                f"{i / sim.CONTROL_HZ:.2f} s",
                fill=(0, 0, 0),
            )
        blocks.append(np.asarray(strip))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(blocks)).save(args.out)
    print(args.out)


if __name__ == "__main__":
    main()
