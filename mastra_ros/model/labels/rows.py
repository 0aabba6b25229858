"""Label files of pictures, `labels/NAME.txt`: a line for each object, in one of two forms.

DeepPCB's: `x1 y1 x2 y2 class`, px, classes from 1. YOLO's: `class cx cy w h`, in shares of the
picture's sides, classes from 0, whose names stand in `data.yaml` or `classes.txt`; a line of YOLO
may outline the object instead, `class x1 y1 x2 y2 x3 y3 …`, and counts as the box around it
(https://docs.ultralytics.com/datasets/segment/). An empty file is a picture without objects.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError
from .class_names import ClassNames, class_names
from .marks import Mark, Marks
from .names import LabelNames
from .pictures import passed_over, pictures_in
from .places import NOT_LABELS, Places, places_of, texts_in
from .tally import Tally
from .text import read_text

SHARE_MAX = 1.01
"""A share may be larger than 1 by so little through rounding."""

DEEPPCB = "x1 y1 x2 y2 class"
YOLO = "class cx cy w h"


@dataclass(frozen=True)
class Line:
    """The numbers of a line that is not empty."""

    path: Path
    number: int
    values: tuple[float, ...]

    def __str__(self) -> str:
        return f"{self.path}: line {self.number}"

    @property
    def in_shares(self) -> bool:
        """YOLO's form: no line of DeepPCB's has a box within the first pixel."""
        return all(-0.01 <= value <= SHARE_MAX for value in self.values[1:])


def read_rows(root: Path, labels: LabelNames, tally: Tally) -> list[Marks]:
    """What is marked on each picture of the folder, in the order of their names.

    Raises:
        DataError: names file and line: not numbers of either form, both forms in one folder, a
            class that the model does not have, a box that is none.
    """
    places = places_of(root)
    pictures = pictures_in(places.pictures)
    files = _label_files(places, pictures, tally)
    if not files:
        return []
    passed_over(places.pictures, tally)
    lines = {path: _lines(path) for path in files.values()}
    yolo = _is_yolo(lines)
    names = class_names(places.of_names) if yolo else None
    found = []
    for picture in pictures:
        path = files.get(picture)
        if path is None and not yolo:
            tally.add("pictures have no label file and are left out", picture.name)
            continue
        if path is None:
            tally.add("pictures have no label file: nothing is on them", picture.name)
        marks = [
            _yolo(line, labels, names, tally) if yolo else _deeppcb(line, labels)
            for line in lines.get(path or Path(), ())
        ]
        found.append(Marks(picture, path or places.labels, marks, shares=yolo))
    return found


def _label_files(places: Places, pictures: list[Path], tally: Tally) -> dict[Path, Path]:
    """Pictures and their label files, whose names need not have the same case."""
    files = texts_in(places.labels)
    exact = {path.stem: path for path in files}
    folded = {path.stem.casefold(): path for path in files}
    found = {
        picture: path
        for picture in pictures
        if (path := exact.get(picture.stem) or folded.get(picture.stem.casefold()))
    }
    used = set(found.values())
    for path in files:
        if path not in used and path.name.lower() not in NOT_LABELS:
            tally.add("label files have no picture and are left out", path.name)
    return found


def _lines(path: Path) -> list[Line]:
    found = []
    for number, text in enumerate(read_text(path).splitlines(), 1):
        try:
            values = tuple(float(word) for word in text.split())
        except ValueError as error:
            raise DataError(
                f"{path}: line {number}: expected numbers, `{DEEPPCB}` or `{YOLO}`: {error}"
            ) from error
        if not values:
            continue
        if not all(math.isfinite(value) for value in values):
            raise DataError(f"{path}: line {number}: expected finite numbers, got {text.strip()!r}")
        found.append(Line(path, number, values))
    return found


def _is_yolo(lines: Mapping[Path, list[Line]]) -> bool:
    """Which form the folder has. Raises DataError where it has both."""
    every = [line for some in lines.values() for line in some]
    shares = [line for line in every if line.in_shares]
    pixels = [line for line in every if not line.in_shares]
    if shares and pixels:
        fewer, more = sorted((shares, pixels), key=len)
        form = f"`{YOLO}` with shares of 0 to 1" if more is shares else f"`{DEEPPCB}` in px"
        raise DataError(
            f"{fewer[0]}: expected {form} as in {len(more)} of {len(every)} lines, "
            f"got {' '.join(f'{value:g}' for value in fewer[0].values)}"
        )
    return bool(shares)


def _deeppcb(line: Line, labels: LabelNames) -> Mark:
    if len(line.values) != 5:
        raise DataError(f"{line}: expected `{DEEPPCB}` or `{YOLO}`, got {len(line.values)} numbers")
    x1, y1, x2, y2, number = line.values
    if x2 < x1 or y2 < y1:
        raise DataError(f"{line}: the box {x1:g} {y1:g} {x2:g} {y2:g} has a negative side")
    if not number.is_integer() or not 1 <= number <= len(labels):
        raise DataError(f"{line}: class {number:g} is none of the model's 1 to {len(labels)}")
    return Mark((x1, y1, x2, y2), int(number) - 1, f"line {line.number}")


def _yolo(line: Line, labels: LabelNames, names: ClassNames | None, tally: Tally) -> Mark:
    number, *rest = line.values
    label = _yolo_class(line, number, labels, names, tally)
    where = f"line {line.number}"
    if len(rest) == 4:
        cx, cy, width, height = rest
        if width < 0 or height < 0:
            raise DataError(
                f"{line}: the box {cx:g} {cy:g} {width:g} {height:g} has a negative side"
            )
        half_x, half_y = width / 2, height / 2
        return Mark((cx - half_x, cy - half_y, cx + half_x, cy + half_y), label, where)
    if len(rest) < 6 or len(rest) % 2:
        got = "a score too, as predictions have" if len(rest) == 5 else f"{len(rest) + 1} numbers"
        raise DataError(f"{line}: expected `{YOLO}`, or an outline `class x1 y1 …`; got {got}")
    tally.add("outlines count as the boxes around them", f"{where} of {line.path.name}")
    xs, ys = rest[::2], rest[1::2]
    return Mark((min(xs), min(ys), max(xs), max(ys)), label, where)


def _yolo_class(
    line: Line, number: float, labels: LabelNames, names: ClassNames | None, tally: Tally
) -> int:
    if not number.is_integer() or number < 0:
        raise DataError(f"{line}: expected a class from 0, got {number:g}")
    if names is None:
        if number >= len(labels):
            raise DataError(
                f"{line}: class {number:g} is none of the model's 0 to {len(labels) - 1}; "
                "there is no data.yaml or classes.txt that names it"
            )
        tally.add(
            "class numbers are taken in the order of the model's labels, as no data.yaml or "
            "classes.txt names them",
            f"{number:g} for {labels.labels[int(number)]!r}",
        )
        return int(number)
    name = names.names.get(int(number))
    if name is None:
        raise DataError(f"{line}: class {number:g} is not named in {names.path}")
    label = labels.index(name, tally)
    if label is None:
        raise DataError(f"{line}: class {name!r} is none of the model's labels {labels}")
    return label
