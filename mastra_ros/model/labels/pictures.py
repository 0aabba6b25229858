"""Finds pictures in folders and reads them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from .tally import Tally

PASSED_OVER = (".txt", ".json", ".xml", ".yaml", ".yml", ".csv", ".names", ".db", ".ini", ".npy")
"""What tools keep beside pictures."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
FOLDER = "images"


def read_picture(path: Path) -> NDArray[np.uint8] | None:
    """A picture as (h, w) where it is stored gray, else bgr (h, w, 3); None: not one."""
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_ANYCOLOR) if len(data) else None
    except (OSError, cv2.error):
        return None
    return None if image is None else np.asarray(image, np.uint8)


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder by name; none where there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def passed_over(folder: Path, tally: Tally) -> None:
    """Count the files of a folder that might be pictures and are of no kind that is read."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        known = path.suffix.lower() in (*SUFFIXES, *PASSED_OVER) or path.name.startswith(".")
        if path.is_file() and path.suffix and not known:
            tally.add("files are of no kind of picture that is read and are left out", path.name)


class PictureFinder:
    """Finds the files that labels name, below a folder and its `images/`.

    Tools write `a.jpg`, `images/a.jpg` or `images\\a.jpg`, and not always in the file's case.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.listed = pictures_in(root / FOLDER)
        self._by_name: dict[str, Path | None] = {}
        for path in self.listed:
            name = path.name.casefold()
            self._by_name[name] = None if name in self._by_name else path

    def find(self, name: str) -> Path:
        """Where the picture is, or should be."""
        given = name.replace("\\", "/").removeprefix("./")
        places = (self._root / FOLDER / given, self._root / given)
        for place in places:
            if place.is_file():
                return place
        inside = given.removeprefix(f"{FOLDER}/")
        return self._by_name.get(inside.casefold()) or places[0]
