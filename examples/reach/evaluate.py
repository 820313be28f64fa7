"""Measures a policy: closed-loop success in simulation, open-loop error on a dataset.

The policy runs in this process (NVIDIA's reference implementation, needs GR00T_REF):

    python evaluate.py --checkpoint checkpoints/reach-nano --denoising-steps 1 2 4 8

or behind the GR00T policy protocol, where any server can be tested (no gr00t import):

    python evaluate.py --host localhost --port 5555

Closed loop: each scene is random but for --seed; the policy sees two images, the
joints and the instruction, and 8 of the 16 actions it returns are carried out
before it is asked again. Open loop: as the reference's open_loop_eval, one chunk
of 16 every 16 steps of a recorded episode against the recorded actions.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np

import env as sim

LANGUAGE_KEY = "annotation.human.task_description"
HERE = Path(__file__).resolve().parent


def observation(states: list[np.ndarray], images: list[dict], texts: list[str]) -> dict:
    """A batch of observations as the protocol wants them: [batch, time, ...]."""
    state = np.stack(states)[:, None].astype(np.float32)
    return {
        "video": {c: np.stack([i[c] for i in images])[:, None] for c in sim.CAMERAS},
        "state": {"single_arm": state[..., :4], "gripper": state[..., 4:]},
        "language": {LANGUAGE_KEY: [[t] for t in texts]},
    }


class ReferencePolicy:
    """The reference's policy class, in this process."""

    def __init__(self, checkpoint: Path, dtype: str, seed: int, threads: int = 1) -> None:
        import reference
        import torch

        self._torch = torch
        torch.set_num_threads(threads)
        torch.manual_seed(seed)
        self._policy = reference.load_policy(checkpoint, getattr(torch, dtype))

    def round_weights(self, bits: int) -> None:
        """What weight-only quantisation costs: rounds every linear layer of the vision tower,
        the language model and the DiT to `bits` bits, symmetric, one scale per output."""
        top = 2 ** (bits - 1) - 1
        for module in self._policy.model.modules():
            if isinstance(module, self._torch.nn.Linear):
                w = module.weight.data
                scale = w.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / top
                w.copy_((w / scale).round() * scale)

    def set_denoising_steps(self, steps: int) -> None:
        self._policy.model.action_head.num_inference_timesteps = steps

    def get_action(self, obs: dict) -> dict[str, np.ndarray]:
        return self._policy.get_action(obs)[0]


def wilson(successes: int, n: int) -> tuple[float, float]:
    """95 % interval of a success rate."""
    z, p = 1.96, successes / n
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (centre - half) / (1 + z * z / n), (centre + half) / (1 + z * z / n)


def closed_loop(
    policy,
    scenes: list[sim.Scene],
    parallel: int,
    execute: int,
    words: str = "own",
    blind: bool = False,
    max_steps: int = sim.MAX_STEPS,
) -> dict:
    """Plays every scene; `parallel` of them share one request.

    words: "own" gives the scene's instruction; "swapped" asks for another colour
    than the one that is judged (a policy that listens then fails); "none" gives
    an empty instruction. blind: the cameras show black.
    """
    envs = [sim.ReachEnv() for _ in range(min(parallel, len(scenes)))]
    outcomes: list[dict | None] = [None] * len(scenes)
    latencies = []
    waiting = list(range(len(scenes)))
    playing: dict[int, sim.ReachEnv] = {}
    free = list(envs)
    while waiting or playing:
        while free and waiting:
            index, env = waiting.pop(0), free.pop()
            env.reset(scenes[index])
            playing[index] = env
        members = list(playing.items())
        obs = observation(
            [e.state() for _, e in members],
            [{c: e.image(c) * (not blind) for c in sim.CAMERAS} for _, e in members],
            [_words(e.scene.task, words) for _, e in members],
        )
        begin = time.perf_counter()
        action = policy.get_action(obs)
        latencies.append((time.perf_counter() - begin) / len(members))
        chunk = np.concatenate([action["single_arm"], action["gripper"]], axis=-1)
        for row, (index, env) in enumerate(members):
            for t in range(execute):
                env.step(chunk[row, t])
                if env.succeeded or env.steps >= max_steps:
                    break
            if env.succeeded or env.steps >= max_steps:
                task = env.scene.task
                outcomes[index] = {
                    "verb": task.verb,
                    "colour": task.colour,
                    "succeeded": env.succeeded,
                    "steps": env.steps,
                }
                free.append(playing.pop(index))
    won = [o for o in outcomes if o["succeeded"]]
    low, high = wilson(len(won), len(scenes))
    return {
        "scenes": len(scenes),
        "success_rate": len(won) / len(scenes),
        "success_rate_95": [round(low, 3), round(high, 3)],
        "by_verb": {v: _rate(outcomes, "verb", v) for v in sim.PHRASES},
        "by_colour": {c: _rate(outcomes, "colour", c) for c in sim.COLOURS},
        "mean_steps_to_success": round(float(np.mean([o["steps"] for o in won])), 1)
        if won
        else None,
        "policy_ms_per_observation": round(1e3 * float(np.median(latencies)), 1),
        "failed_scenes": [i for i, o in enumerate(outcomes) if not o["succeeded"]],
    }


def _words(task: sim.Task, words: str) -> str:
    if words == "none":
        return ""
    if words == "swapped":
        other = sim.COLOURS[(sim.COLOURS.index(task.colour) + 1) % len(sim.COLOURS)]
        return task.text.replace(task.colour, other)
    return task.text


def _rate(outcomes: list[dict], kind: str, value: str) -> list[int]:
    """[succeeded, played] of the scenes whose `kind` (verb or colour) is `value`."""
    some = [o["succeeded"] for o in outcomes if o[kind] == value]
    return [sum(some), len(some)]


def open_loop(policy, dataset: Path, horizon: int = 16) -> dict:
    """Mean squared and absolute error of predicted against recorded actions, physical units."""
    import pyarrow.parquet as pq

    from preprocess import decode_video

    info = json.loads((dataset / "meta/info.json").read_text())
    tasks = {
        r["task_index"]: r["task"] for r in map(json.loads, (dataset / "meta/tasks.jsonl").open())
    }
    squared, absolute, arm = [], [], []
    for index in range(info["total_episodes"]):
        where = {"episode_chunk": index // info["chunks_size"], "episode_index": index}
        table = pq.read_table(dataset / info["data_path"].format(**where)).to_pandas()
        states, actions = np.stack(table["observation.state"]), np.stack(table["action"])
        videos = {
            c: decode_video(
                dataset / info["video_path"].format(video_key=f"observation.images.{c}", **where)
            )
            for c in sim.CAMERAS
        }
        text = tasks[int(table["task_index"][0])]
        predicted = []
        for t in range(0, len(actions), horizon):
            obs = observation([states[t]], [{c: v[t] for c, v in videos.items()}], [text])
            chunk = policy.get_action(obs)
            predicted.append(
                np.concatenate([chunk["single_arm"], chunk["gripper"]], axis=-1)[0, :horizon]
            )
        error = np.concatenate(predicted)[: len(actions)] - actions
        squared.append(float((error**2).mean()))
        absolute.append(float(np.abs(error).mean()))
        arm.append(float((error[:, :4] ** 2).mean()))
    return {
        "episodes": len(squared),
        "mse": float(np.mean(squared)),
        "mae": float(np.mean(absolute)),
        "mse_arm_rad2": float(np.mean(arm)),
        "mse_by_episode": [round(v, 8) for v in squared],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--checkpoint", type=Path, help="run the reference implementation in this process"
    )
    where.add_argument("--host", help="ask a policy server")
    parser.add_argument("--port", type=int, default=5555)
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16"), default="float32", help="of the reference"
    )
    parser.add_argument(
        "--weight-bits", type=int, help="round the reference's linear weights to so many bits"
    )
    parser.add_argument("--threads", type=int, default=1, help="of the reference")
    parser.add_argument(
        "--denoising-steps",
        type=int,
        nargs="+",
        default=[4],
        help="of the reference; a server has its own setting",
    )
    parser.add_argument("--scenes", type=int, default=100, help="closed-loop episodes; 0: none")
    parser.add_argument(
        "--seed", type=int, default=7, help="of scenes and, in-process, of the noise"
    )
    parser.add_argument(
        "--scenes-file", type=Path, help="play these scenes (scenes.jsonl) instead of random ones"
    )
    parser.add_argument("--verbs", nargs="+", default=list(sim.PHRASES), choices=list(sim.PHRASES))
    parser.add_argument(
        "--words",
        choices=("own", "swapped", "none"),
        default="own",
        help="swapped or none: does the policy listen?",
    )
    parser.add_argument("--blind", action="store_true", help="black images: does the policy look?")
    parser.add_argument(
        "--parallel", type=int, default=1, help="scenes that share one request (batch size)"
    )
    parser.add_argument("--execute", type=int, default=8, help="actions carried out of each chunk")
    parser.add_argument(
        "--max-steps",
        type=int,
        default=sim.MAX_STEPS,
        help="control steps allowed; fewer make the test stricter",
    )
    parser.add_argument(
        "--dataset",
        type=Path,
        default=HERE / "datasets/reach-eval",
        help="episodes for the open-loop error",
    )
    parser.add_argument("--json", type=Path, help="write the figures here")
    args = parser.parse_args()

    if args.host:
        from policy_client import PolicyClient

        policy = PolicyClient(args.host, args.port)
        policy.ping()
        settings: list[int | None] = [None]
    else:
        policy = ReferencePolicy(args.checkpoint, args.dtype, args.seed, args.threads)
        if args.weight_bits:
            policy.round_weights(args.weight_bits)
        settings = args.denoising_steps
    if args.scenes_file:
        rows = [json.loads(line) for line in args.scenes_file.open()]
        scenes = [sim.scene_from_dict(r) for r in rows]
    else:
        rng = np.random.default_rng(args.seed)
        scenes = [sim.sample_scene(rng, tuple(args.verbs)) for _ in range(args.scenes)]

    results = []
    for steps in settings:
        result: dict = {"denoising_steps": steps if steps else "server's"}
        if steps:
            policy.set_denoising_steps(steps)
        if args.dataset.is_dir():
            result["open_loop"] = open_loop(policy, args.dataset)
        if scenes:
            begin = time.time()
            result["closed_loop"] = closed_loop(
                policy, scenes, args.parallel, args.execute, args.words, args.blind, args.max_steps
            )
            result["closed_loop"]["seconds"] = round(time.time() - begin, 1)
        results.append(result)
        print(json.dumps(result), flush=True)
        if args.json:
            args.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
