#!/usr/bin/env python3
"""Fails on links of Markdown files to files or headings of this repository that do not exist.

`--self-test` checks a small tree with one link of each kind.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SKIPPED_FOLDERS = {".git", "build", ".cache"}
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.*?) *#*$", re.MULTILINE)


def anchors_of(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings of `text`."""
    found = set()
    for heading in _HEADING.findall(_FENCE.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


def check(root: Path) -> list[str]:
    problems = []
    for page in sorted(root.rglob("*.md")):
        relative = page.relative_to(root)
        if SKIPPED_FOLDERS.intersection(relative.parts):
            continue
        text = _CODE.sub("", _FENCE.sub("", page.read_text(encoding="utf-8")))
        for link in _LINK.findall(text):
            if re.match(r"[a-z]+:", link):
                continue
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if not target.exists():
                problems.append(f"{relative}: {link}: no such file")
            elif anchor and anchor not in anchors_of(target.read_text(encoding="utf-8")):
                problems.append(f"{relative}: {link}: no such heading")
    return problems


def self_test() -> int:
    page = (
        "# One (two), `three`\n[a](#one-two-three) [b](other.md) [c](https://example.org/x)\n"
        "```\n[not](read.md)\n```\n`[nor](this.md)`\n"
        "[d](missing.md) [e](other.md#none) [f](#gone)\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "page.md").write_text(page)
        Path(folder, "other.md").write_text("# Other\n")
        found = [problem.split(": ")[1] for problem in check(Path(folder))]
    expected = ["missing.md", "other.md#none", "#gone"]
    if found != expected:
        print(f"self-test: found {found}, expected {expected}")
    return int(found != expected)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--self-test", action="store_true")
    if parser.parse_args().self_test:
        return self_test()
    problems = check(ROOT)
    for problem in problems:
        print(problem)
    print(f"links: {len(problems)} problem(s)")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
