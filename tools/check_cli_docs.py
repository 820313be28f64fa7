#!/usr/bin/env python3
"""Fails when docs/cli.md and `sinew VERB --help` disagree: a verb or flag that is not described, or
one described that does not exist.

    python3 tools/check_cli_docs.py --sinew build/dev/sinew

`--self-test` checks the comparison on made-up text.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs/cli.md"
_FLAG = re.compile(r"(?<![\w-])--([a-z][a-z0-9-]*)")
_VERB = re.compile(r"^  ([a-z]+) +[A-Z]", re.MULTILINE)
# Of the program itself, not of a verb.
_OWN = {"help", "version"}


def help_of(sinew: Path, *words: str) -> str:
    return subprocess.run(
        [str(sinew), *words, "--help"], capture_output=True, text=True, check=True
    ).stdout


def compare(page: str, helps: dict[str, str]) -> list[str]:
    """`helps`: verb -> its help text. The lines of a help text that declare flags start with two
    blanks and a dash."""
    problems = []
    described = set(_FLAG.findall(page)) - _OWN
    existing: set[str] = set()
    for verb, text in helps.items():
        if f"## {verb}\n" not in page:
            problems.append(f"docs/cli.md has no section for the verb {verb}")
        for line in text.splitlines():
            if re.match(r"  +-", line):
                existing.update(_FLAG.findall(line.split("  ")[1]))
    existing -= _OWN
    problems += [f"docs/cli.md does not describe --{flag}" for flag in sorted(existing - described)]
    problems += [f"docs/cli.md: --{flag} does not exist" for flag in sorted(described - existing)]
    return problems


def self_test() -> int:
    page = "## run\n| `--good` | `--gone` |\n"
    helps = {"run": "usage\n\n  --good N  text --none\n  -n, --new\n", "stop": ""}
    expected = [
        "docs/cli.md has no section for the verb stop",
        "docs/cli.md does not describe --new",
        "docs/cli.md: --gone does not exist",
    ]
    found = compare(page, helps)
    if found != expected:
        print(f"self-test: found {found}, expected {expected}")
    return int(found != expected)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sinew", type=Path, help="the built program")
    parser.add_argument("--self-test", action="store_true")
    args = parser.parse_args()
    if args.self_test:
        return self_test()
    if args.sinew is None:
        parser.error("--sinew is needed")
    verbs = _VERB.findall(help_of(args.sinew))
    problems = compare(PAGE.read_text(encoding="utf-8"), {v: help_of(args.sinew, v) for v in verbs})
    for problem in problems:
        print(problem)
    print(f"command line: {len(verbs)} verbs, {len(problems)} problem(s)")
    return int(bool(problems) or not verbs)


if __name__ == "__main__":
    sys.exit(main())
