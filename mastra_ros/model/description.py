"""What a bundle says about its network, from a YAML file, labels, data and sensible defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ..errors import ConfigError
from ..inference.bundle import FILE_NAME
from ..inference.fields import repeated
from ..inference.interface import COLOURS
from .dataset import ANNOTATIONS
from .labels.places import places_of

SECTIONS = ("name", "version", "task", "labels", "input", "output")
THRESHOLD = {"classification": 0.0, "detection": 0.5}
PADDING = 114  # grey around a picture, as YOLO's authors train with
DETECTORS = {
    "yolov8": {"nms_iou": 0.7, "nms": "per_class"},
    "yolov5": {"nms_iou": 0.45, "nms": "per_class"},
}
"""Kinds of output that can be read without a description, as their authors do by default."""


def read_spec(path: Path) -> dict[str, Any]:
    """The sections of a YAML file, or of a bundle, that describe a network.

    A file may say `score_threshold` too. Raises ConfigError.
    """
    file = path / FILE_NAME if path.is_dir() else path
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{file}: cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{file}: expected a mapping, got {type(document).__name__}")
    if path.is_dir() or "parts" in document:
        thresholds = [_threshold(part) for part in document.get("parts", {}).values()]
        document = {name: document[name] for name in SECTIONS if name in document}
        document["score_threshold"] = next(iter(thresholds), None)
    unknown = set(document) - {*SECTIONS, "score_threshold", "format"}
    if unknown:
        raise ConfigError(f"{file}: unknown fields {', '.join(sorted(map(str, unknown)))}")
    return document


def _threshold(part: Mapping[str, Any]) -> Any:
    """A part's least score, for one view where there is one for each number of views."""
    return part.get("score_threshold", part.get("score_thresholds", {}).get(1))


def read_labels(path: Path) -> list[str]:
    """A line for each label. Raises ConfigError."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    labels = [line.strip() for line in lines if line.strip()]
    if not labels:
        raise ConfigError(f"{path}: expected a line for each label, it has none")
    if same := repeated(labels):
        raise ConfigError(f"{path}: expected different labels, got {same} (counted from 0)")
    return labels


def labels_of(data: Path | None) -> list[str]:
    """The labels that the folders of a classifier's data are named after."""
    if data is None or not data.is_dir():
        return []
    return sorted(path.name for path in data.iterdir() if path.is_dir())


def task_of(data: Path | None) -> str:
    """Detection where the data have boxes."""
    if data is None or not data.is_dir():
        return "classification"
    boxes = (data / ANNOTATIONS).is_file() or places_of(data).labels.is_dir()
    return "detection" if boxes else "classification"


def describe(
    given: Mapping[str, Any],
    *,
    name: str,
    data: Path | None,
    labels: Sequence[str] = (),
    size: tuple[int, int] | None = None,
    colour: str | None = None,
    kind: str | None = None,
    raw: str = "",
) -> dict[str, Any]:
    """bundle.yaml without parts: what is given, and defaults for the rest.

    Args:
        size: (width, height) in px.
        kind: of the output, where the description does not say it.
        raw: uint8 or int8 where the network takes pixel values as they are.

    Raises ConfigError where something cannot be guessed, or is no section.
    """
    for name in ("input", "output"):
        if not isinstance(given.get(name) or {}, dict):
            raise ConfigError(f"{name}: expected a mapping, got {given[name]!r:.80}")
    task = given.get("task") or ("detection" if kind in DETECTORS else task_of(data))
    named = list(labels) or given.get("labels") or (task == "classification" and labels_of(data))
    if not named:
        raise ConfigError("labels: expected --labels FILE or a description with labels")
    feed = dict(given.get("input") or {})
    if size is not None:
        feed["width_px"], feed["height_px"] = size
    if "width_px" not in feed or "height_px" not in feed:
        raise ConfigError("input: expected --size WIDTHxHEIGHT or a description with an input")
    feed["colour"] = colour or feed.get("colour", "rgb")
    channels = COLOURS.get(feed["colour"], 3) if isinstance(feed["colour"], str) else 3
    defaults = {
        "resize": "stretch" if task == "classification" else "letterbox",
        "pad_value": PADDING if kind in DETECTORS else 0,
        "mean": [128.0 if raw == "int8" else 0.0] * channels,
        "std": [1.0 if raw else 255.0] * channels,
    }
    output = dict(given.get("output") or {})
    if kind is not None and output.get("kind", kind) != kind:
        raise ConfigError(f"--kind: {kind}, but the description says {output['kind']}")
    if kind is not None:
        output = {"kind": kind, **DETECTORS.get(kind, {}), **output}
    if not output and task == "classification":
        output = {"kind": "classification"}
    if not output:
        raise ConfigError(
            "output: a detector needs --kind yolov8 or yolov5, or a description that says how it "
            "is read"
        )
    order = ("width_px", "height_px", "colour", "resize", "pad_value", "mean", "std")
    feed = {**defaults, **feed}
    return {
        "format": 1,  # the writer says 2 where that is needed
        "name": given.get("name") or name,
        "version": str(given.get("version") or "1.0.0"),
        "task": task,
        "labels": list(named),
        "input": {key: feed[key] for key in order} | {k: feed[k] for k in feed if k not in order},
        "output": output,
        "parts": {},
    }
