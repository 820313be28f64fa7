#!/usr/bin/env python3
"""Fails when a folder of src/ includes what docs/architecture.md does not let it include.

Two tables: which folder may use which (transitively), and where each third-party header may appear.
`--self-test` plants one violation of each kind in a copy of nothing and expects to find it.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Folder -> folders it may use directly; what those may use is allowed as well.
LAYERS: dict[str, tuple[str, ...]] = {
    "base": (),
    "tensor": ("base",),
    "io": ("tensor",),
    "preprocess": ("io",),
    "dataset": ("preprocess", "io"),
    "ops": ("tensor",),
    "model": ("ops", "io"),  # network.h: what the rest knows of a family
    "model/blocks": ("ops",),
    "model/gr00t_n1d6": ("model", "model/blocks", "io", "ops"),
    "kernels/cpu": ("ops",),
    "kernels/cuda": ("ops",),
    "engine": ("ops", "kernels/cpu", "kernels/cuda", "io"),
    "policy": ("model/gr00t_n1d6", "preprocess", "engine", "io"),
    "eval": ("policy", "dataset"),
    "synth": ("model/gr00t_n1d6", "preprocess", "io"),
    "cli": ("eval", "synth"),
}

# Pattern of an included path -> prefixes of src/ where it may be included.
THIRD_PARTY: dict[str, tuple[str, ...]] = {
    r"(cuda|cublas|cudnn|nvrtc|cutlass|cute/|mma\.h|cooperative_groups).*": ("kernels/cuda/", "engine/cuda/"),
    r"nlohmann/.*": ("io/json",),
    r"(arrow|parquet)/.*": ("dataset/",),
    r"lib(avformat|avcodec|avutil|swscale)/.*": ("dataset/",),
    r"cairo.*": ("eval/",),
    r"CLI/.*": ("cli/",),
    r"pcre2\.h|utf8proc\.h": ("preprocess/text/",),
    r"turbojpeg\.h|png\.h": ("preprocess/image/",),
    r"spdlog/.*": ("base/",),
    r"xxhash\.h": ("io/",),
    r"zlib\.h": ("io/",),
}

_INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def allowed_layers(layer: str) -> set[str]:
    """`layer` and everything below it."""
    found = {layer}
    for below in LAYERS[layer]:
        found |= allowed_layers(below)
    return found


def layer_of(path: str) -> str | None:
    """The layer of a path relative to src/ (`model/blocks/dit_block.h`), or None."""
    fitting = [layer for layer in LAYERS if path.startswith(layer + "/")]
    return max(fitting, key=len, default=None)


def _check_own(root: Path, layer: str, path: str) -> str | None:
    if path.startswith("sinew/"):
        return None if (root / "include" / path).is_file() else "no such public header"
    if not (root / "src" / path).is_file():
        return "not found; paths are written from src/"
    target = layer_of(path)
    if target not in allowed_layers(layer):
        return f"{layer} may not use {target or 'this folder'}"
    return None


def _check_third_party(where: str, path: str) -> str | None:
    for pattern, places in THIRD_PARTY.items():
        if re.fullmatch(pattern, path) and not where.startswith(places):
            return f"only allowed in {' '.join(places)}"
    return None


def check(root: Path) -> list[str]:
    """Violations as `file:line: text`, in order."""
    problems = []
    public = root / "include/sinew"
    for file in sorted([*(root / "src").rglob("*"), *public.rglob("*")]):
        if file.suffix not in (".h", ".cpp", ".cu", ".cuh", ".inc"):
            continue
        is_public = file.is_relative_to(public)
        where = "" if is_public else file.relative_to(root / "src").as_posix()
        layer = layer_of(where)
        if not is_public and layer is None:
            problems.append(
                f"{file.relative_to(root)}:1: this folder is not in the table of layers"
            )
            continue
        text = file.read_text(encoding="utf-8")
        for match in _INCLUDE.finditer(text):
            kind, path = match.groups()
            if is_public:
                is_own = kind == '"'
                bad = is_own != path.startswith("sinew/") or (
                    not is_own and re.search(r"[./]", path)
                )
                reason = (
                    "public headers include the standard library and sinew/ only" if bad else None
                )
            elif kind == '"':
                reason = _check_own(root, layer or "", path)
            else:
                reason = _check_third_party(where, path)
            if reason:
                line = text.count("\n", 0, match.start(2)) + 1
                problems.append(f"{file.relative_to(root)}:{line}: {path}: {reason}")
    return problems


def self_test() -> int:
    """Each planted file breaks one rule, but for the first three."""
    planted = {
        "src/base/a.h": ("#include <vector>\n", False),
        "include/sinew/p.h": ('#include "sinew/p.h"\n#include <string>\n', False),
        "src/dataset/ok.cpp": ('#include "base/a.h"\n#include <arrow/api.h>\n', False),
        "src/base/up.cpp": ('// ok\n#include "dataset/d.h"\n', True),
        "src/dataset/d.h": ('#include "../base/a.h"\n', True),
        "src/ops/sideways.cpp": ('#include "io/i.h"\n', True),
        "src/io/i.h": ("#include <cairo.h>\n", True),
        "src/engine/e.cpp": ("  #  include <cuda_runtime.h>\n", True),
        "src/policy/j.cpp": ("#include <nlohmann/json.hpp>\n", True),
        "src/stray/s.cpp": ("", True),
        "include/sinew/q.h": ("#include <fmt/format.h>\n", True),
        "include/sinew/r.h": ('#include "base/a.h"\n', True),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, (text, _) in planted.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
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
    print(f"layering: {len(problems)} problem(s)")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
