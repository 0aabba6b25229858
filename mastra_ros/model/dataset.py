"""Labelled pictures in a folder.

Detection: `images/` and `labels/NAME.txt` with a line `x1 y1 x2 y2 class` for each object (px;
classes count from 1, as in DeepPCB), or `annotations.json` as in COCO beside `images/`.
Classification: a folder for each label. A list of names (a line each) may choose among them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..types import Frame, FrameKey

_log = logging.getLogger(__name__)

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
UNREADABLE_MAX = 0.1
"""A larger share of pictures that cannot be read stops the work."""

ANNOTATIONS = "annotations.json"


@dataclass(frozen=True)
class Sample:
    """A picture's path and what is on it.

    boxes float32 (n, 4), x1 y1 x2 y2 in px; classes int32 (n,) into the labels. A classifier's
    sample has one class and no box.
    """

    path: Path
    boxes: NDArray[np.float32]
    classes: NDArray[np.int32]


@dataclass(frozen=True)
class Dataset:
    """Samples whose pictures can all be read, in an order that does not change."""

    root: Path
    task: str
    labels: tuple[str, ...]
    samples: tuple[Sample, ...]

    def __len__(self) -> int:
        return len(self.samples)

    def frame(self, index: int) -> Frame:
        """Read a picture; gray ones stay gray. Raises DataError where it cannot be read."""
        path = self.samples[index].path
        image = read_picture(path)
        if image is None:
            raise DataError(f"{path}: cannot be read as a picture")
        encoding = "mono8" if image.ndim == 2 else "bgr8"
        return Frame(FrameKey(path.name, index), image, encoding)

    def some(self, number: int, seed: int = 0) -> Dataset:
        """At most `number` samples, drawn evenly at random."""
        if number >= len(self.samples):
            return self
        chosen = np.random.default_rng(seed).permutation(len(self.samples))[:number]
        samples = tuple(self.samples[int(i)] for i in sorted(chosen))
        return Dataset(self.root, self.task, self.labels, samples)


def open_dataset(
    root: Path, task: str, labels: Sequence[str], *, names: Path | None = None
) -> Dataset:
    """Find the labelled pictures in a folder and try to read each of them.

    Args:
        names: a file with names of pictures (without suffix) to take; all without it.

    Raises:
        DataError: no such folder, nothing in it, labels that the model does not know, or more
            than a tenth unreadable.
    """
    if not root.is_dir():
        raise DataError(f"{root}: expected a folder of labelled pictures")
    if task == "classification":
        found = _classes(root, labels)
    elif (root / ANNOTATIONS).is_file():
        found = _coco(root, labels)
    else:
        found = _boxes(root, labels)
    if names is not None:
        found = _chosen(found, names)
    if not found:
        raise DataError(f"{root}: no labelled pictures in it; {_expected(task)}")
    return Dataset(root, task, tuple(labels), _readable(root, found))


def read_picture(path: Path) -> NDArray[np.uint8] | None:
    """A picture as (h, w) where it is stored gray, else bgr (h, w, 3); None: not one."""
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_ANYCOLOR) if len(data) else None
    except (OSError, cv2.error):
        return None
    return None if image is None else np.asarray(image, np.uint8)


def _expected(task: str) -> str:
    if task == "classification":
        return "expected a folder for each label"
    return f"expected images/ with labels/*.txt, or {ANNOTATIONS}"


def _readable(root: Path, found: list[Sample]) -> tuple[Sample, ...]:
    lost = [sample.path for sample in found if read_picture(sample.path) is None]
    if len(lost) > UNREADABLE_MAX * len(found):
        raise DataError(
            f"{root}: {len(lost)} of {len(found)} pictures cannot be read, {lost[0]} for one"
        )
    if lost:
        _log.warning("%s: %d pictures cannot be read and are left out", root, len(lost))
    gone = set(lost)
    return tuple(sample for sample in found if sample.path not in gone)


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def _chosen(found: list[Sample], names: Path) -> list[Sample]:
    try:
        wanted = set(names.read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{names}: cannot be read: {error}") from error
    chosen = [sample for sample in found if {sample.path.stem, sample.path.name} & wanted]
    if not chosen:
        raise DataError(f"{names}: names none of the {len(found)} labelled pictures")
    return chosen


def _classes(root: Path, labels: Sequence[str]) -> list[Sample]:
    folders = sorted(path for path in root.iterdir() if path.is_dir() and _pictures(path))
    unknown = [folder.name for folder in folders if folder.name not in labels]
    if unknown:
        raise DataError(
            f"{root}: folders {', '.join(unknown[:5])} are no labels of the model, which has "
            f"{', '.join(labels[:10])}{'…' if len(labels) > 10 else ''}"
        )
    none = np.zeros((0, 4), np.float32)
    return [
        Sample(path, none, np.array([list(labels).index(folder.name)], np.int32))
        for folder in folders
        for path in _pictures(folder)
    ]


def _boxes(root: Path, labels: Sequence[str]) -> list[Sample]:
    samples = []
    for path in _pictures(root / "images"):
        described = root / "labels" / f"{path.stem}.txt"
        if described.is_file():
            samples.append(_read_labels(path, described, labels))
    return samples


def _read_labels(picture: Path, described: Path, labels: Sequence[str]) -> Sample:
    try:
        rows = np.array(described.read_text().split(), np.float64).reshape(-1, 5)
    except (OSError, ValueError) as error:
        raise DataError(f"{described}: expected lines `x1 y1 x2 y2 class`: {error}") from error
    classes = rows[:, 4].astype(np.int32) - 1
    wrong = classes[(classes < 0) | (classes >= len(labels))]
    if len(wrong):
        raise DataError(
            f"{described}: class {int(wrong[0]) + 1} is none of the model's 1 to {len(labels)}"
        )
    return Sample(picture, rows[:, :4].astype(np.float32), classes)


def _coco(root: Path, labels: Sequence[str]) -> list[Sample]:
    path = root / ANNOTATIONS
    try:
        return _coco_samples(root, json.loads(path.read_text(encoding="utf-8")), list(labels).index)
    except (OSError, KeyError, TypeError, AttributeError, ValueError) as error:
        text = f"{type(error).__name__} {error}"
        raise DataError(f"{path}: not COCO's form, or a label is unknown: {text}") from error


def _coco_samples(
    root: Path, document: dict[str, Any], index_of: Callable[[str], int]
) -> list[Sample]:
    numbers = {entry["id"]: index_of(entry["name"]) for entry in document["categories"]}
    boxes: dict[int, list[list[float]]] = {entry["id"]: [] for entry in document["images"]}
    classes: dict[int, list[int]] = {key: [] for key in boxes}
    for entry in document["annotations"]:
        x, y, width, height = entry["bbox"]
        boxes[entry["image_id"]].append([x, y, x + width, y + height])
        classes[entry["image_id"]].append(numbers[entry["category_id"]])
    return [
        Sample(
            root / "images" / entry["file_name"],
            np.array(boxes[entry["id"]], np.float32).reshape(-1, 4),
            np.array(classes[entry["id"]], np.int32),
        )
        for entry in document["images"]
    ]
