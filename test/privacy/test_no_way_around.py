"""Nobody makes what may leave but the gate, and nobody makes bytes of pixels without it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRIVACY = ROOT / "mastra_ros" / "privacy"
SEALED = {"ClearedFrame", "ClearedFeatures"}
RAW = {"encode_still", "VideoChain", "open_encoder", "SEAL"}
"""What makes bytes of pixels, or a picture one that may leave, without asking the gate."""
RAW_HOMES = ("compression", "privacy")
MEASURES = {"mastra_ros/model/judge/evaluate.py"}
"""These encode to measure what a codec costs in accuracy; nothing of it leaves the machine."""
WRITERS = {
    "mastra_ros/pictures/jpeg.py",
    "mastra_ros/compression/stills.py",
    "mastra_ros/pipeline/factory/pictures.py",
    "mastra_ros/model/split/pictures.py",
    "mastra_ros/nodes/convert/compressed.py",
    "mastra_ros/cli/privacy.py",
    "mastra_ros/cli/traffic/draw.py",
    "mastra_ros/gateway/picturing.py",
    "mastra_ros/pipeline/volume/slices.py",
}
"""Where OpenCV may encode a picture: packets and saved pictures take cleared frames alone; `jpeg`
tries a picture of noise, `split` damages the user's own in memory to measure a model, `cli/privacy`
and `cli/traffic/draw` draw for the user on the user's own, `compressed` is the camera's own topic,
which lies on the trusted side, `picturing` and `slices` draw at the gateway what came cleared."""


def made(path: Path) -> Iterator[str]:
    """Every place of a file where a value is made that only the gate may make."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            inside = {getattr(part, "id", "") for part in ast.walk(node)}
            if name in SEALED or (name == "__new__" and inside & SEALED):
                yield f"{path}:{node.lineno} makes {name}"


def names(path: Path) -> Iterator[str]:
    """Every name that a file imports or reads from a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Attribute):
            yield node.attr


@pytest.mark.parametrize("folder", ["mastra_ros", "bench", "train", "scripts"])
def test_only_the_gate_makes_what_may_leave(folder: str) -> None:
    paths = [path for path in sorted((ROOT / folder).rglob("*.py")) if path.parent != PRIVACY]
    assert not [found for path in paths for found in made(path)]


def test_the_scan_sees_how_the_gate_makes_it() -> None:
    assert list(made(PRIVACY / "gate.py"))


def test_nobody_imports_the_raw_entry_of_an_encoder() -> None:
    wrong = [
        f"{path} uses {name}"
        for path in sorted((ROOT / "mastra_ros").rglob("*.py"))
        if path.relative_to(ROOT).parts[1] not in RAW_HOMES
        and str(path.relative_to(ROOT)) not in MEASURES
        for name in names(path)
        if name in RAW
    ]
    assert not wrong


def test_pictures_are_encoded_in_few_places() -> None:
    found = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "mastra_ros").rglob("*.py")
        if {"imencode", "imwrite"} & set(names(path))
    }
    assert found <= WRITERS, sorted(found - WRITERS)
