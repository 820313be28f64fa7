"""Runs PyTorch and sinew in turn on one machine and prints how they compare.

    python compare.py --build ../../build/release --case all --dtype bf16 --threads 1 --rounds 10

Each round times PyTorch, then sinew, so that whatever else the machine does meets both alike.
PyTorch stays loaded in this process; sinew is started anew, loads, warms up and is then timed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from bench_cpu import describe_machine
from goldens import REACH, REPOSITORY
from workloads import CASES, COMPILE_MODES, DTYPES, Times, make_workload, time_runs

REACH_DATA = REPOSITORY / "examples/reach/datasets/reach-eval"
REACH_NOISE = REPOSITORY / "examples/reach/noise.npy"
NETWORK_COMPONENTS = ("vision", "language", "action")


@dataclass
class Contender:
    name: str
    measure: Callable[[], Times]
    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    def run_round(self) -> None:
        times = self.measure()
        self.wall_ms += times.wall_ms
        self.cpu_ms += times.cpu_ms


class UnavailableError(Exception):
    """sinew refuses the case, with its own words."""


def run_json(command: list[str]) -> dict:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UnavailableError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout)


def sinew_blocks(args: argparse.Namespace, case: str, dtype: str) -> Times:
    document = run_json(
        [
            str(args.build / "sinew_bench_blocks"),
            *("--case", case, "--dtype", dtype, "--threads", str(torch.get_num_threads())),
            *("--iterations", str(args.iterations), "--warmup", str(args.warmup), "--json"),
        ]
    )
    return Times(document["wall_ms"], document["cpu_ms"])


def sinew_demo(args: argparse.Namespace, dtype: str) -> Times:
    """The network alone, as PyTorch is timed: no preprocessing, no decoding."""
    document = run_json(
        [
            *(str(args.build / "sinew"), "eval", str(REACH)),
            *("--dataset-path", str(REACH_DATA), "--noise", str(REACH_NOISE)),
            *("--traj-ids", "0", "1", "2", "--skip-timing-steps", "1", "--action-horizon", "4"),
            *("--device", "cpu", "--precision", dtype, "--threads", str(torch.get_num_threads())),
            *("--json", "--quiet"),
        ]
    )
    components = document["components_ms"]
    return Times([sum(components[name] for name in NETWORK_COMPONENTS)], [])


def torch_contender(args: argparse.Namespace, case: str, dtype: str, mode: str) -> Contender:
    torch.compiler.reset()
    workload = make_workload(case, dtype, mode)
    time_runs(workload, 1, args.warmup)  # compiles

    def measure() -> Times:
        times = time_runs(workload, args.iterations, args.warmup)
        if case == "demo":  # as sinew reports it: the mean of a round
            return Times([float(np.mean(times.wall_ms))], [])
        return times

    return Contender("PyTorch eager" if mode == "none" else f"PyTorch {mode}", measure)


def contenders(args: argparse.Namespace, case: str, dtype: str) -> list[Contender]:
    def measure() -> Times:
        return sinew_demo(args, dtype) if case == "demo" else sinew_blocks(args, case, dtype)

    measure()  # a refusal shows before PyTorch has compiled for minutes
    return [
        *(torch_contender(args, case, dtype, mode) for mode in args.compile),
        Contender("sinew", measure),
    ]


def median(values: list[float]) -> float:
    return float(np.median(values)) if values else float("nan")


def report_case(case: str, dtype: str, sides: list[Contender]) -> list[dict]:
    sinew = sides[-1]
    rows = []
    for side in sides:
        rows.append(
            {
                "case": case,
                "dtype": dtype,
                "side": side.name,
                "samples": len(side.wall_ms),
                "median_ms": median(side.wall_ms),
                "p90_ms": float(np.percentile(side.wall_ms, 90)),
                "cpu_median_ms": median(side.cpu_ms),
                "wall_ratio": median(side.wall_ms) / median(sinew.wall_ms),
                "cpu_ratio": median(side.cpu_ms) / median(sinew.cpu_ms),
            }
        )
    return rows


def print_rows(rows: list[dict]) -> None:
    for row in rows:
        print(
            f"{row['case']:9} {row['dtype']:5} {row['side']:21} {row['median_ms']:9.3f} "
            f"{row['p90_ms']:9.3f} {row['cpu_median_ms']:9.3f} {row['wall_ratio']:9.2f} "
            f"{row['cpu_ratio']:9.2f}",
            flush=True,
        )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--build", type=Path, required=True, help="folder with sinew's programs")
    parser.add_argument("--case", choices=(*CASES, "all"), default="all")
    parser.add_argument("--dtype", choices=(*DTYPES, "all"), default="all")
    parser.add_argument("--compile", nargs="+", choices=COMPILE_MODES, default=["none", "freeze"])
    parser.add_argument("--threads", type=int, default=0, help="of both; 0: PyTorch's choice")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--iterations", type=int, default=5, help="timed runs in a round")
    parser.add_argument("--warmup", type=int, default=2, help="runs before them")
    parser.add_argument("--json", type=Path, help="file for all numbers")
    return parser.parse_args()


def main() -> int:
    args = parse_arguments()
    if args.threads > 0:
        torch.set_num_threads(args.threads)
    torch.set_grad_enabled(False)
    print("  ".join(f"{key} {value}" for key, value in describe_machine().items()))
    print("ms a block, for demo ms an inference; ratio: of the row's median to sinew's")
    print(
        f"{'case':9} {'dtype':5} {'':21} {'median ms':>9} {'P90':>9} {'CPU ms':>9} {'ratio':>9} "
        f"{'CPU ratio':>9}"
    )
    rows, missing = [], 0
    for case in CASES if args.case == "all" else (args.case,):
        for dtype in DTYPES if args.dtype == "all" else (args.dtype,):
            try:
                sides = contenders(args, case, dtype)
                for _ in range(args.rounds):
                    for side in sides:
                        side.run_round()
            except UnavailableError as refusal:
                missing += 1
                print(f"{case:9} {dtype:5} not compared: {refusal}", file=sys.stderr)
                continue
            rows += report_case(case, dtype, sides)
            print_rows(rows[-len(sides) :])
    if args.json:
        args.json.write_text(json.dumps({"machine": describe_machine(), "rows": rows}, indent=1))
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
