"""What the benchmarks left in bench/results/, and the measurements of the bundle that ships."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml


def result(root: Path, name: str) -> dict[str, Any]:
    """A result by the name of its file; empty where it was not measured."""
    path = root / "bench/results" / f"{name}.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def measurements(root: Path, part: str) -> dict[str, Any]:
    """Those of a part of the bundle that ships; empty where it was not measured."""
    path = root / "models/board_defects/bundle.yaml"
    if not path.exists():
        return {}
    parts = yaml.safe_load(path.read_text(encoding="utf-8"))["parts"]
    return dict(parts.get(part, {}).get("measurements", {}))
