"""What the class numbers of YOLO's label files mean, from the files that tools put beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ...errors import DataError
from .text import read_text

DESCRIPTIONS = ("data.yaml", "data.yml", "dataset.yaml")
"""Ultralytics' and Roboflow's."""

LISTS = ("classes.txt", "obj.names")
"""A name a line: LabelImg's, CVAT's, Label Studio's."""


@dataclass(frozen=True)
class ClassNames:
    """Names by number."""

    path: Path
    names: dict[int, str]


def class_names(folders: Sequence[Path]) -> ClassNames | None:
    """The names that are found first; None where there are none.

    Raises DataError where the file is there and does not tell them, or tells of key points.
    """
    for path in (folder / name for name in DESCRIPTIONS for folder in folders):
        if path.is_file():
            return _described(path)
    for path in (folder / name for name in LISTS for folder in folders):
        if path.is_file():
            lines = [line.strip() for line in read_text(path).splitlines()]
            return ClassNames(path, dict(enumerate(line for line in lines if line)))
    return None


def _described(path: Path) -> ClassNames:
    try:
        document: Any = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise DataError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise DataError(f"{path}: expected a mapping with names, got {type(document).__name__}")
    if "kpt_shape" in document:
        raise DataError(f"{path}: kpt_shape: labels with key points are not read, only boxes")
    given = document.get("names")
    if isinstance(given, list):
        given = dict(enumerate(given))
    if not isinstance(given, dict) or not given:
        raise DataError(f"{path}: expected names: a list, or a mapping from class to name")
    names = {}
    for key, name in given.items():
        if not str(key).isdecimal():
            raise DataError(f"{path}: names: expected a class number, got {key!r}")
        names[int(key)] = str(name)
    count = document.get("nc")
    if count is not None and count != len(names):
        raise DataError(f"{path}: nc is {count}, but there are {len(names)} names")
    return ClassNames(path, names)
