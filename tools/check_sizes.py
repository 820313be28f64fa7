#!/usr/bin/env python3
"""Fails on source files of more than 600 lines that give no reason, and on large files nobody
listed. (Functions of more than 60 lines are clang-tidy's to find.)

A reason is a line `Size: why` in the comment that opens the file. `--self-test` checks the checks.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_LINES = 600
HEADER_LINES = 12
MAX_BYTES = 2_500_000
LARGE_FILES = {
    "examples/reach/checkpoints/reach-nano/model.safetensors"
}  # the demo's policy, 12 MB
SOURCE_FOLDERS = ("src", "include", "tests", "bench", "tools", "examples", "fuzz")
SOURCE_SUFFIXES = {".h", ".cpp", ".cu", ".cuh", ".py"}
SKIPPED_FOLDERS = {".git", ".cache", "build", "__pycache__"}


def check(root: Path) -> list[str]:
    problems = []
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if not path.is_file() or SKIPPED_FOLDERS.intersection(relative.parts):
            continue
        name = relative.as_posix()
        size = path.stat().st_size
        if size > MAX_BYTES and name not in LARGE_FILES:
            problems.append(
                f"{name}: {size} bytes; is it needed, ours, and the smallest that serves?"
            )
        if relative.parts[0] in SOURCE_FOLDERS and path.suffix in SOURCE_SUFFIXES:
            lines = path.read_text(encoding="utf-8").splitlines()
            has_reason = any("Size: " in line for line in lines[:HEADER_LINES])
            if len(lines) > MAX_LINES and not has_reason:
                problems.append(
                    f"{name}: {len(lines)} lines, {MAX_LINES} are allowed without a reason"
                )
    return problems


def self_test() -> int:
    planted = {
        "src/short.cpp": (b"int a;\n" * MAX_LINES, False),
        "src/long.cpp": (b"int a;\n" * (MAX_LINES + 1), True),
        "src/table.cpp": (b"// Size: generated table\n" + b"int a;\n" * MAX_LINES, False),
        "docs/large.bin": (bytes(MAX_BYTES + 1), True),
        "build/large.bin": (bytes(MAX_BYTES + 1), False),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, (data, _) in planted.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        found = {problem.split(":")[0] for problem in check(Path(folder))}
    expected = {name for name, (_, is_bad) in planted.items() if is_bad}
    for name in sorted(found ^ expected):
        print(f"self-test: {name}: {'missed' if name in expected else 'wrongly reported'}")
    return int(found != expected)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--self-test", action="store_true")
    if parser.parse_args().self_test:
        return self_test()
    problems = check(ROOT)
    for problem in problems:
        print(problem)
    print(f"sizes: {len(problems)} problem(s)")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
