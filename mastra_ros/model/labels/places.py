"""Where pictures and their label files lie, in the layouts that tools use.

| `--data` | pictures | label files | by |
| --- | --- | --- | --- |
| DIR | DIR/images | DIR/labels | DeepPCB, Roboflow |
| DIR/images/val | DIR/images/val | DIR/labels/val | Ultralytics |
| DIR | DIR or DIR/images | beside the pictures | Darknet, LabelImg, CVAT |
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError
from .pictures import FOLDER, pictures_in

LABELS = "labels"
NOT_LABELS = ("classes.txt", "labels.txt", "names.txt", "notes.txt", "readme.txt")
"""What tools put beside label files, in lower case; labels only where a picture is named so."""


@dataclass(frozen=True)
class Places:
    """Folders of one set of labelled pictures."""

    pictures: Path
    labels: Path
    of_names: tuple[Path, ...]  # where the names of the classes may stand, nearest first


def places_of(root: Path) -> Places:
    """Which layout a folder has. Raises DataError where it holds several sets at once."""
    inner = root / FOLDER
    pictures = inner if inner.is_dir() else root
    mirrored = _mirrored(pictures.absolute())
    choices = [root / LABELS, *([mirrored] if mirrored else []), pictures]
    stems = {path.stem.casefold() for path in pictures_in(pictures)}
    fitting = (one for one in choices if _fits(one, stems))
    labels = next(fitting, root / LABELS)
    sets = sorted(one.name for one in inner.iterdir() if one.is_dir()) if inner.is_dir() else []
    if sets and not pictures_in(inner):
        raise DataError(
            f"{inner}: holds the folders {', '.join(sets[:5])} and no pictures; name one of them, "
            f"{inner / sets[0]} say"
        )
    top = [mirrored.parents[_depth(pictures.absolute())]] if mirrored else []
    near = [root, labels, pictures, *top, root.absolute().parent]
    return Places(pictures, labels, tuple(dict.fromkeys(near)))


def texts_in(folder: Path) -> list[Path]:
    """The text files of a folder by name; none where there is no such folder."""
    if not folder.is_dir():
        return []
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".txt")
    return [path for path in found if path.is_file()]


def _fits(folder: Path, stems: set[str]) -> bool:
    """Whether any text there is called after a picture."""
    return any(path.stem.casefold() in stems for path in texts_in(folder))


def _mirrored(pictures: Path) -> Path | None:
    """…/images/… with its last `images` replaced by `labels`, as Ultralytics finds label files."""
    parts = pictures.parts
    if FOLDER not in parts:
        return None
    at = len(parts) - 1 - parts[::-1].index(FOLDER)
    return Path(*parts[:at], LABELS, *parts[at + 1 :])


def _depth(pictures: Path) -> int:
    """Steps from a folder of label files up to the folder that holds `images` and `labels`."""
    return pictures.parts[::-1].index(FOLDER)
