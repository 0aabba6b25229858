"""Labelled pictures in a folder.

Detection: `images/` and `labels/NAME.txt` (see labels/rows: `x1 y1 x2 y2 class` as in DeepPCB, or
YOLO's form), or `annotations.json` as in COCO beside `images/`.
Classification: a folder for each label. A list of names (a line each) may choose among them.
Nothing is left out in silence: see `Dataset.notes`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from ..errors import DataError
from ..types import Frame, FrameKey
from .labels.coco import read_coco
from .labels.marks import Marks
from .labels.names import LabelNames
from .labels.pictures import passed_over, pictures_in, read_picture
from .labels.rows import read_rows
from .labels.sample import Sample as Sample
from .labels.tally import Tally
from .labels.text import read_text

_log = logging.getLogger(__name__)

UNREADABLE_MAX = 0.1
"""A larger share of pictures that cannot be read, or of names not found, stops the work."""

ANNOTATIONS = "annotations.json"


@dataclass(frozen=True)
class Dataset:
    """Samples whose pictures can all be read, in an order that does not change."""

    root: Path
    task: str
    labels: tuple[str, ...]
    samples: tuple[Sample, ...]
    notes: tuple[str, ...] = ()  # what was left out or read otherwise than written, with counts

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def boxes(self) -> int:
        """Objects that count."""
        return sum(len(sample.boxes) for sample in self.samples)

    @property
    def ignored(self) -> int:
        """Regions in which nothing counts."""
        return sum(len(sample.ignored) for sample in self.samples)

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
        return replace(self, samples=tuple(self.samples[int(i)] for i in sorted(chosen)))


def open_dataset(
    root: Path, task: str, labels: Sequence[str], *, names: Path | None = None
) -> Dataset:
    """Find the labelled pictures in a folder and try to read each of them.

    What was left out or read otherwise than written is logged, and stands in the dataset's notes.

    Args:
        names: a file with names of pictures (with or without suffix) to take; all without it.

    Raises:
        DataError: no such folder, nothing in it, labels that the model does not know, boxes that
            are none, or more than a tenth of the pictures unreadable.
    """
    if not root.is_dir():
        raise DataError(f"{root}: expected a folder of labelled pictures")
    known, tally = LabelNames(labels), Tally()
    if task == "classification":
        found = _classes(root, known, tally)
    elif (root / ANNOTATIONS).is_file():
        found = read_coco(root / ANNOTATIONS, known, tally)
    else:
        found = read_rows(root, known, tally)
    if names is not None:
        found = _chosen(found, names, tally)
    if not found:
        raise DataError(f"{root}: no labelled pictures in it; {_expected(task)}")
    samples = _readable(root, found, tally)
    for line in tally.lines():
        _log.warning("%s: %s", root, line)
    return Dataset(root, task, tuple(labels), samples, tally.lines())


def _expected(task: str) -> str:
    if task == "classification":
        return "expected a folder for each label"
    return f"expected images/ with labels/*.txt, or {ANNOTATIONS}"


def _readable(root: Path, found: Sequence[Marks], tally: Tally) -> tuple[Sample, ...]:
    samples, lost = [], []
    for marks in found:
        image = read_picture(marks.path)
        if image is None:
            lost.append(marks.path)
            tally.add("pictures cannot be read and are left out", str(marks.path))
        else:
            samples.append(marks.on(image.shape[1], image.shape[0], tally))
    if len(lost) > UNREADABLE_MAX * len(found):
        raise DataError(
            f"{root}: {len(lost)} of {len(found)} pictures cannot be read, {lost[0]} for one"
        )
    return tuple(samples)


def _chosen(found: Sequence[Marks], names: Path, tally: Tally) -> list[Marks]:
    """Those named in the list: a line each, of which the folder and the suffix do not matter."""
    by_name: dict[str, set[int]] = {}
    for at, marks in enumerate(found):
        for name in (marks.path.name, marks.path.stem):
            by_name.setdefault(name, set()).add(at)
    lines = [line.strip() for line in read_text(names).splitlines()]
    wanted, lost = set[int](), []
    for line in filter(None, lines):
        # A list may hold several names a line; a name may hold spaces.
        for name in [line] if _last(line) in by_name else line.split():
            if _last(name) not in by_name:
                lost.append(name)
            wanted |= by_name.get(_last(name), set())
    if not wanted:
        raise DataError(f"{names}: names none of the {len(found)} labelled pictures")
    if len(lost) > UNREADABLE_MAX * (len(wanted) + len(lost)):
        raise DataError(
            f"{names}: {len(lost)} names are none of the {len(found)} labelled pictures, "
            f"{lost[0]} for one"
        )
    for name in lost:
        tally.add(f"names in {names.name} are none of the labelled pictures", name)
    return [marks for at, marks in enumerate(found) if at in wanted]


def _last(name: str) -> str:
    return PurePosixPath(name.replace("\\", "/")).name


def _classes(root: Path, labels: LabelNames, tally: Tally) -> list[Marks]:
    folders = sorted(path for path in root.iterdir() if path.is_dir() and pictures_in(path))
    numbers = {folder: labels.index(folder.name, tally) for folder in folders}
    unknown = [folder.name for folder, number in numbers.items() if number is None]
    if unknown:
        raise DataError(
            f"{root}: folders {', '.join(unknown[:5])} are no labels of the model, which has "
            f"{labels}"
        )
    for folder in folders:
        passed_over(folder, tally)
    return [
        Marks(path, root, label=number)
        for folder, number in numbers.items()
        for path in pictures_in(folder)
    ]
