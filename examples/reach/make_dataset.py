"""Records scripted demonstrations as a LeRobot v2.1 dataset.

    python make_dataset.py --out ../../build/reach-train --episodes 1000 --seed 1000

One parquet file per episode, one H.264 file per episode and camera, and under
meta/: info.json, episodes.jsonl, tasks.jsonl, modality.json, stats.json and
relative_stats.json. The same seed gives the same episodes. The scenes
themselves go to meta/scenes.jsonl, so that a simulator can start from them.

The teacher's motion is disturbed while it records (the executed command gets
smooth noise, the recorded action stays clean), so that the data shows how to
recover; --noise 0 switches that off.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing as mp
from dataclasses import asdict
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import env as sim

ACTION_HORIZON = 16
HOLD_STEPS = 20  # recorded after success, so that the last action chunks are whole
DATA_PATH = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
VIDEO_PATH = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
LANGUAGE_KEY = "annotation.human.task_description"
MODALITY = {
    "state": {"single_arm": {"start": 0, "end": 4}, "gripper": {"start": 4, "end": 5}},
    "action": {"single_arm": {"start": 0, "end": 4}, "gripper": {"start": 4, "end": 5}},
    "video": {c: {"original_key": f"observation.images.{c}"} for c in sim.CAMERAS},
    "annotation": {"human.task_description": {"original_key": "task_index"}},
}
TASKS = [p.format(c) for phrases in sim.PHRASES.values() for p in phrases for c in sim.COLOURS]


def record_episode(env: sim.ReachEnv, seed: list[int], noise: float, balanced: bool) -> dict:
    """Plays random scenes until the teacher succeeds in one; returns its recording."""
    rng = np.random.default_rng(seed)
    verbs, colours = tuple(sim.PHRASES), sim.COLOURS
    if balanced:  # the last number of the seed is the episode's
        verbs, colours = (
            (verbs[seed[-1] // len(colours) % len(verbs)],),
            (colours[seed[-1] % len(colours)],),
        )
    while True:
        scene = sim.sample_scene(rng, verbs, colours)
        env.reset(scene)
        expert = sim.Expert(env)
        amplitude = noise * (rng.uniform(0.2, 1.0) if rng.random() < 0.75 else 0.0)
        noisy_until = rng.integers(10, 45)
        drift = np.zeros(5)
        record: dict[str, list] = {"state": [], "action": [], **{c: [] for c in sim.CAMERAS}}
        left = None
        while env.steps < sim.MAX_STEPS + HOLD_STEPS and (left is None or left > 0):
            record["state"].append(env.state())
            for c in sim.CAMERAS:
                record[c].append(env.image(c))
            action = expert.action()
            record["action"].append(action.astype(np.float32))
            drift = 0.85 * drift + rng.normal(size=5) * np.array([0.030, 0.022, 0.022, 0.022, 0.0])
            env.step(action + amplitude * drift * (env.steps < noisy_until))
            if env.succeeded:
                left = HOLD_STEPS if left is None else left - 1
        if env.succeeded and env._goal_holds():
            return {"scene": scene, "seed": seed, **record}


def write_video(path: Path, frames: list[np.ndarray]) -> None:
    """H.264, 4:2:0; an episode is short enough for a single key frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        height, width = frames[0].shape[:2]
        stream = container.add_stream("libx264", rate=sim.CONTROL_HZ)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "23", "preset": "slow", "g": "250"}
        stream.codec_context.thread_count = 1
        for frame in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def write_episode(out: Path, index: int, first_frame: int, episode: dict) -> None:
    n = len(episode["action"])
    vector = pa.list_(pa.float32())
    table = pa.table(
        {
            "action": pa.array([a.tolist() for a in episode["action"]], vector),
            "observation.state": pa.array([s.tolist() for s in episode["state"]], vector),
            "timestamp": pa.array(np.arange(n, dtype=np.float32) / np.float32(sim.CONTROL_HZ)),
            "frame_index": pa.array(np.arange(n, dtype=np.int64)),
            "episode_index": pa.array(np.full(n, index, dtype=np.int64)),
            "index": pa.array(np.arange(first_frame, first_frame + n, dtype=np.int64)),
            "task_index": pa.array(
                np.full(n, TASKS.index(episode["scene"].task.text), dtype=np.int64)
            ),
        }
    )
    path = out / DATA_PATH.format(episode_chunk=index // 1000, episode_index=index)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    for c in sim.CAMERAS:
        key = f"observation.images.{c}"
        write_video(
            out
            / VIDEO_PATH.format(episode_chunk=index // 1000, video_key=key, episode_index=index),
            episode[c],
        )


def _summary(values: np.ndarray) -> dict:
    """The six statistics by which policies normalise, over axis 0."""
    return {
        "mean": values.mean(axis=0).tolist(),
        "std": values.std(axis=0).tolist(),
        "min": values.min(axis=0).tolist(),
        "max": values.max(axis=0).tolist(),
        "q01": np.quantile(values, 0.01, axis=0).tolist(),
        "q99": np.quantile(values, 0.99, axis=0).tolist(),
    }


def dataset_statistics(columns: list[dict[str, np.ndarray]]) -> tuple[dict, dict]:
    """(stats.json, relative_stats.json) of episodes given as column arrays.

    Relative: the arm's targets of each step of an action chunk minus the arm's
    position when the chunk starts, [horizon, joints], over all whole chunks.
    """
    stats = {
        key: _summary(np.concatenate([c[key] for c in columns]))
        for key in ("action", "observation.state", "timestamp")
    }
    arm = MODALITY["action"]["single_arm"]
    chunks = []
    for c in columns:
        actions = c["action"][:, arm["start"] : arm["end"]]
        states = c["observation.state"][:, arm["start"] : arm["end"]]
        for t in range(len(actions) - ACTION_HORIZON + 1):
            chunks.append(actions[t : t + ACTION_HORIZON] - states[t])
    return stats, {"single_arm": _summary(np.stack(chunks).astype(np.float32))}


def _scalar(dtype: str) -> dict:
    return {"dtype": dtype, "shape": [1], "names": None}


def info(episodes: int, frames: int) -> dict:
    vector = {"dtype": "float32", "shape": [5], "names": list(sim.STATE_NAMES)}
    video = {
        "dtype": "video",
        "shape": [sim.IMAGE_HEIGHT, sim.IMAGE_WIDTH, 3],
        "names": ["height", "width", "channels"],
        "info": {
            "video.height": sim.IMAGE_HEIGHT,
            "video.width": sim.IMAGE_WIDTH,
            "video.codec": "h264",
            "video.pix_fmt": "yuv420p",
            "video.is_depth_map": False,
            "video.fps": sim.CONTROL_HZ,
            "video.channels": 3,
            "has_audio": False,
        },
    }
    return {
        "codebase_version": "v2.1",
        "robot_type": "reach_arm",
        "total_episodes": episodes,
        "total_frames": frames,
        "total_tasks": len(TASKS),
        "total_videos": episodes * len(sim.CAMERAS),
        "total_chunks": (episodes + 999) // 1000,
        "chunks_size": 1000,
        "fps": sim.CONTROL_HZ,
        "splits": {"train": f"0:{episodes}"},
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH,
        "features": {
            "action": vector,
            "observation.state": vector,
            **{f"observation.images.{c}": video for c in sim.CAMERAS},
            "timestamp": _scalar("float32"),
            "frame_index": _scalar("int64"),
            "episode_index": _scalar("int64"),
            "index": _scalar("int64"),
            "task_index": _scalar("int64"),
        },
    }


_env: sim.ReachEnv | None = None


def _worker(job: tuple[list[int], float, bool]) -> dict:
    global _env
    if _env is None:
        _env = sim.ReachEnv()
    return record_episode(_env, *job)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--noise", type=float, default=1.0, help="disturbance while recording")
    parser.add_argument("--balanced", action="store_true", help="each verb and colour in turn")
    parser.add_argument("--workers", type=int, default=mp.cpu_count())
    args = parser.parse_args()

    out: Path = args.out
    (out / "meta").mkdir(parents=True, exist_ok=True)
    jobs = [([args.seed, i], args.noise, args.balanced) for i in range(args.episodes)]
    columns, episodes, scenes, frames = [], [], [], 0
    with mp.get_context("spawn").Pool(args.workers) as pool:
        for i, episode in enumerate(pool.imap(_worker, jobs, chunksize=4)):
            write_episode(out, i, frames, episode)
            n = len(episode["action"])
            columns.append(
                {
                    "action": np.stack(episode["action"]),
                    "observation.state": np.stack(episode["state"]),
                    "timestamp": (np.arange(n, dtype=np.float32) / np.float32(sim.CONTROL_HZ))[
                        :, None
                    ],
                }
            )
            episodes.append(
                {"episode_index": i, "tasks": [episode["scene"].task.text], "length": n}
            )
            scenes.append({"episode_index": i, **asdict(episode["scene"])})
            frames += n
            if (i + 1) % 50 == 0:
                print(f"{i + 1} episodes, {frames} frames", flush=True)

    stats, relative = dataset_statistics(columns)
    meta = out / "meta"
    for name, value in (
        ("info.json", info(args.episodes, frames)),
        ("modality.json", MODALITY),
        ("stats.json", stats),
        ("relative_stats.json", relative),
    ):
        (meta / name).write_text(json.dumps(value, indent=4) + "\n")
    for name, rows in (
        ("episodes.jsonl", episodes),
        ("tasks.jsonl", [{"task_index": i, "task": t} for i, t in enumerate(TASKS)]),
        ("scenes.jsonl", scenes),
    ):
        (meta / name).write_text("".join(json.dumps(r) + "\n" for r in rows))
    print(f"{out}: {args.episodes} episodes, {frames} frames")


if __name__ == "__main__":
    main()
