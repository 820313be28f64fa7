"""Times PyTorch on this machine's CPU: the demo policy's inference and true-size blocks."""

from __future__ import annotations

import argparse
import json
import platform
import sys

import numpy as np
import torch

from workloads import CASES, COMPILE_MODES, DTYPES, Times, Workload, make_workload, time_runs


def describe_machine() -> dict:
    cpu = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as lines:
            cpu = next(x.split(":")[1].strip() for x in lines if x.startswith("model name"))
    except (OSError, StopIteration):
        pass  # not Linux: the name above will do
    return {
        "torch": torch.__version__,
        "cpu": cpu,
        "threads": torch.get_num_threads(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "mkldnn": torch.backends.mkldnn.is_available(),
        "mkldnn_bf16": torch.ops.mkldnn._is_mkldnn_bf16_supported(),
        "amx": torch.cpu._is_amx_tile_supported(),
    }


def summarize(case: str, dtype: str, mode: str, workload: Workload, times: Times) -> dict:
    """Times are ms a block, or ms an inference for the demo."""
    median = float(np.median(times.wall_ms))
    run_s = median * workload.blocks / 1e3
    return {
        "case": case,
        "dtype": dtype,
        "compile": mode,
        "iterations": len(times.wall_ms),
        "blocks": workload.blocks,
        "median_ms": median,
        "p90_ms": float(np.percentile(times.wall_ms, 90)),
        "min_ms": min(times.wall_ms),
        "cpu_median_ms": float(np.median(times.cpu_ms)),
        "gflop_per_s": workload.flops / run_s / 1e9,
        "weight_gb_per_s": workload.weight_bytes / run_s / 1e9,
    }


def print_row(row: dict) -> None:
    print(
        f"{row['case']:9} {row['dtype']:5} {row['compile']:13} {row['median_ms']:9.3f} "
        f"{row['p90_ms']:9.3f} {row['min_ms']:9.3f} {row['cpu_median_ms']:9.3f} "
        f"{row['gflop_per_s']:9.1f} {row['weight_gb_per_s']:7.2f}",
        flush=True,
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=(*CASES, "all"), default="all")
    parser.add_argument("--dtype", choices=DTYPES, default="bf16")
    parser.add_argument("--threads", type=int, default=0, help="0: PyTorch's choice")
    parser.add_argument("--compile", choices=(*COMPILE_MODES, "all"), default="none")
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one document on stdout")
    return parser.parse_args()


def main() -> int:
    args = parse_arguments()
    if args.threads > 0:
        torch.set_num_threads(args.threads)
    torch.set_grad_enabled(False)
    machine, rows = describe_machine(), []
    if not args.json:
        print("  ".join(f"{key} {value}" for key, value in machine.items()))
        print(
            f"{'case':9} {'dtype':5} {'compile':13} {'median ms':>9} {'P90':>9} {'min':>9} "
            f"{'CPU ms':>9} {'GFLOP/s':>9} {'GB/s':>7}"
        )
    for case in CASES if args.case == "all" else (args.case,):
        for mode in COMPILE_MODES if args.compile == "all" else (args.compile,):
            torch.compiler.reset()
            workload = make_workload(case, args.dtype, mode)
            times = time_runs(workload, args.iterations, args.warmup)
            rows.append(summarize(case, args.dtype, mode, workload, times))
            if not args.json:
                print_row(rows[-1])
    if args.json:
        json.dump({"machine": machine, "rows": rows}, sys.stdout, indent=1)
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
