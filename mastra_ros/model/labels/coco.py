"""COCO's `annotations.json`, as labelling tools write it.

https://cocodataset.org/#format-data; what a crowd (`iscrowd`) means for a score: see judge/score.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ...errors import DataError
from .marks import Mark, Marks
from .names import LabelNames
from .pictures import FOLDER, PictureFinder, passed_over
from .tally import Tally
from .text import read_json

Key = int | str

LARGEST_PX = 1e9
"""No picture is so large."""

DIGITS_MAX = 18
"""An id as text with so many digits is read as a number."""


def read_coco(path: Path, labels: LabelNames, tally: Tally) -> list[Marks]:
    """What is marked on each picture that the file lists, in its order.

    Raises:
        DataError: names file and annotation: not COCO's form, an id that is missing, used twice
            or refers to nothing, a label that the model does not have, a box that is none.
    """
    document = read_json(path)
    if not isinstance(document, dict):
        raise DataError(
            f"{path}: expected COCO's mapping with images, annotations and categories, got "
            f"{_kind(document)}"
        )
    categories = _categories(path, document)
    found = _pictures(path, document, tally)
    used: set[Key] = set()
    for entry, where in _entries(path, document, "annotations"):
        if entry.get("id") is not None:
            _once(path, _key(path, where, entry, "id"), used, "annotation")
        image = _key(path, where, entry, "image_id")
        if image not in found:
            raise DataError(f"{path}: {where}: image_id {image!r} is none of the images listed")
        number = _key(path, where, entry, "category_id")
        if number not in categories:
            raise DataError(f"{path}: {where}: category_id {number!r} is none of the categories")
        label = labels.index(categories[number], tally)
        if label is None:
            raise DataError(
                f"{path}: {where}: category {categories[number]!r} is none of the model's labels "
                f"{labels}"
            )
        box = _box(path, where, entry, tally)
        found[image].boxes.append(Mark(box, label, where, _is_crowd(path, where, entry)))
    _in_px(path, found.values())
    for name in categories.values():
        if labels.index(name, tally) is None:
            tally.add("categories are no labels of the model and have no annotations", repr(name))
    return list(found.values())


def _entries(
    path: Path, document: dict[str, Any], name: str
) -> Iterator[tuple[dict[str, Any], str]]:
    """The entries of a list, each with the words that name it."""
    listed = document.get(name)
    if not isinstance(listed, list):
        raise DataError(f"{path}: expected a list {name!r}, got {_kind(listed)}")
    word = {"images": "image", "categories": "category"}.get(name, "annotation")
    for place, entry in enumerate(listed, 1):
        if not isinstance(entry, dict):
            raise DataError(
                f"{path}: {word} at place {place}: expected a mapping, got {_kind(entry)}"
            )
        named = entry.get("id")
        told = f"{word} {named}" if isinstance(named, (int, str)) else f"{word} at place {place}"
        yield entry, told


def _categories(path: Path, document: dict[str, Any]) -> dict[Key, str]:
    found: dict[Key, str] = {}
    used: set[Key] = set()
    for entry, where in _entries(path, document, "categories"):
        key, name = _key(path, where, entry, "id"), entry.get("name")
        _once(path, key, used, "category")
        if not isinstance(name, str):
            raise DataError(f"{path}: {where}: expected a name, got {_kind(name)}")
        found[key] = name
    return found


def _pictures(path: Path, document: dict[str, Any], tally: Tally) -> dict[Key, Marks]:
    finder = PictureFinder(path.parent)
    found: dict[Key, Marks] = {}
    used: set[Key] = set()
    files: dict[Path, str] = {}
    for entry, where in _entries(path, document, "images"):
        key, name = _key(path, where, entry, "id"), entry.get("file_name")
        _once(path, key, used, "image")
        if not isinstance(name, str) or not name:
            raise DataError(f"{path}: {where}: expected a file_name, got {_kind(name)}")
        picture = finder.find(name)
        if picture in files:
            raise DataError(f"{path}: {name} is listed twice, as {files[picture]} and as {where}")
        files[picture] = where
        found[key] = Marks(picture, path, size_px=_size(entry))
    passed_over(path.parent / FOLDER, tally)
    for picture in finder.listed:
        if picture not in files:
            tally.add(f"pictures are not listed in {path.name} and are left out", picture.name)
    return found


def _in_px(path: Path, found: Iterable[Marks]) -> None:
    values = [value for marks in found for mark in marks.boxes for value in mark.box]
    if values and max(values) <= 1.0:
        raise DataError(f"{path}: no bbox reaches beyond 1: expected px, got shares of the sides?")


def _size(entry: dict[str, Any]) -> tuple[int, int] | None:
    """Width and height in px where both are said; some tools write 0."""
    width, height = entry.get("width"), entry.get("height")
    if isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0:
        return width, height
    return None


def _key(path: Path, where: str, entry: dict[str, Any], name: str) -> Key:
    """An id: a whole number, also as text or as 7.0, or any other text."""
    value = entry.get(name)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value:
        short = value.isascii() and value.isdigit() and len(value) <= DIGITS_MAX
        return int(value) if short else value
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise DataError(f"{path}: {where}: expected {name} as a whole number or text, got {value!r}")


def _once(path: Path, key: Key, used: set[Key], word: str) -> None:
    if key in used:
        raise DataError(f"{path}: {word} id {key!r} is used twice")
    used.add(key)


def _is_crowd(path: Path, where: str, entry: dict[str, Any]) -> bool:
    value = entry.get("iscrowd")
    if value in (None, 0, 1, "0", "1"):  # also False, True, 0.0 and 1.0
        return value is not None and bool(int(value))
    raise DataError(f"{path}: {where}: expected iscrowd 0 or 1, got {value!r}")


def _box(
    path: Path, where: str, entry: dict[str, Any], tally: Tally
) -> tuple[float, float, float, float]:
    """x1 y1 x2 y2 in px, of `bbox` (x y width height), or, without one, around the polygons."""
    given = entry.get("bbox")
    if given is None:
        outline = _outline(path, where, entry)
        tally.add("annotations without bbox get the box around their polygons", where)
        return outline
    values = _numbers(path, where, "bbox", given)
    if len(values) != 4:
        raise DataError(f"{path}: {where}: expected bbox as x y width height, got {given!r}")
    x, y, width, height = values
    if width < 0 or height < 0:
        raise DataError(f"{path}: {where}: bbox {given!r} has a negative width or height")
    return x, y, x + width, y + height


def _outline(path: Path, where: str, entry: dict[str, Any]) -> tuple[float, float, float, float]:
    polygons = entry.get("segmentation")
    if not isinstance(polygons, list) or not polygons:
        raise DataError(f"{path}: {where}: expected a bbox; a mask alone is not read")
    points = [v for one in polygons for v in _numbers(path, where, "segmentation", one)]
    if len(points) < 6 or any(len(one) % 2 for one in polygons):
        raise DataError(f"{path}: {where}: expected polygons of x y pairs in segmentation")
    xs, ys = points[::2], points[1::2]
    return min(xs), min(ys), max(xs), max(ys)


def _numbers(path: Path, where: str, name: str, values: Any) -> Sequence[float]:
    if not isinstance(values, list):
        raise DataError(f"{path}: {where}: expected {name} as a list of numbers, got {values!r}")
    found = []
    for value in values:
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not good or not abs(value) <= LARGEST_PX:  # NaN is not
            raise DataError(f"{path}: {where}: expected finite numbers in {name}, got {values!r}")
        found.append(float(value))
    return found


def _kind(value: Any) -> str:
    return "none" if value is None else f"a {type(value).__name__}"
