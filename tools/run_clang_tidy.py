#!/usr/bin/env python3
"""Runs clang-tidy 14 over the .cpp files of src/ in parallel; a file that passed is not looked at
again until it, a header, its compile command or the list of checks changes.

    python3 tools/run_clang_tidy.py --build build/dev --jobs 2 [FILE...]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TIDY = "clang-tidy-14"
UNUSED = "-Wno-unused-command-line-argument"  # clang does not use all of g++'s options


@dataclass(frozen=True)
class Unit:
    source: Path
    stamp: Path  # exists when this very content has passed


def common_digest() -> bytes:
    """Of everything that concerns every file: the checks and all headers."""
    digest = hashlib.sha256((ROOT / ".clang-tidy").read_bytes())
    for header in sorted([*(ROOT / "src").rglob("*.h"), *(ROOT / "include").rglob("*.h")]):
        digest.update(header.read_bytes())
    return digest.digest()


def units_of(build: Path, only: list[Path]) -> list[Unit]:
    commands = json.loads((build / "compile_commands.json").read_text())
    common, units = common_digest(), {}
    for entry in commands:
        source = Path(entry["directory"], entry["file"]).resolve()
        if source.suffix != ".cpp" or not source.is_relative_to(ROOT / "src"):
            continue  # clang 14 does not know nvcc's options
        if only and source not in only:
            continue
        key = hashlib.sha256(common + entry["command"].encode() + source.read_bytes()).hexdigest()
        units[source] = Unit(source, build / "tidy" / key)
    return sorted(units.values(), key=lambda unit: -unit.source.stat().st_size)


def run(build: Path, unit: Unit) -> bool:
    begin = time.monotonic()
    done = subprocess.run(
        [TIDY, "--quiet", f"--extra-arg={UNUSED}", "-p", str(build), str(unit.source)],
        capture_output=True,
        text=True,
        check=False,
    )
    name = unit.source.relative_to(ROOT)
    if done.returncode == 0:
        unit.stamp.touch()
        print(f"  ok {name} ({time.monotonic() - begin:.0f} s)", flush=True)
    else:
        print(f"FAIL {name}\n{done.stdout}{done.stderr}", flush=True)
    return done.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, required=True, help="has compile_commands.json")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("files", type=Path, nargs="*", help="only these (default: all of src/)")
    args = parser.parse_args()
    if not (args.build / "compile_commands.json").is_file():
        parser.error(f"{args.build} is not configured: cmake --preset dev")
    units = units_of(args.build, [f.resolve() for f in args.files])
    (args.build / "tidy").mkdir(exist_ok=True)
    waiting = [unit for unit in units if not unit.stamp.exists()]
    with ThreadPoolExecutor(args.jobs) as pool:
        passed = list(pool.map(lambda unit: run(args.build, unit), waiting))
    failed = passed.count(False)
    known = len(units) - len(waiting)
    print(f"clang-tidy: {len(units)} files, {known} unchanged since they passed, {failed} failed")
    return int(failed > 0 or not units)


if __name__ == "__main__":
    sys.exit(main())
