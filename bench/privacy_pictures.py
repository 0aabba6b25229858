"""Pictures of which is known where plates and faces are, and what of them was covered."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mastra_ros.privacy import Region

Image = NDArray[Any]
CELLS = 40
"""A box is looked at in 40x40 points."""


@dataclass(frozen=True)
class Truth:
    """A plate or face, px of its picture; `text` of a plate."""

    x: float
    y: float
    width: float
    height: float
    text: str = ""

    def scaled(self, by: float, right: float = 0.0, down: float = 0.0) -> Truth:
        """In a picture so many times as large, moved."""
        x, y = self.x * by + right, self.y * by + down
        return Truth(x, y, self.width * by, self.height * by, self.text)

    @property
    def area_px(self) -> float:
        return self.width * self.height


def covered(truth: Truth, masks: Sequence[Region], *, by_width: bool) -> float:
    """The share of a box under the masks: of its area, or of its columns (by width).

    A column is covered where nine tenths of it are: a plate is read along its width.
    """
    x = truth.x + (np.arange(CELLS) + 0.5) / CELLS * truth.width
    y = truth.y + (np.arange(CELLS) + 0.5) / CELLS * truth.height
    under = np.zeros((CELLS, CELLS), bool)
    for r in masks:
        across = (x >= r.x) & (x <= r.x + r.width)
        down = (y >= r.y) & (y <= r.y + r.height)
        under |= down[:, None] & across[None, :]
    if by_width:
        return float((under.mean(0) >= 0.9).mean())
    return float(under.mean())


def plates(data: Path) -> Iterator[tuple[Image, Truth]]:
    """The photographs of cars with a plate each."""
    for folder in ("eu", "us"):
        for path in sorted((data / "plates" / folder).glob("*.txt")):
            for line in path.read_text("utf-8").splitlines()[:1]:
                name, x, y, w, h, text = line.split("\t")[:6]
                image = cv2.imread(str(path.parent / name))
                if image is not None:
                    yield image, Truth(float(x), float(y), float(w), float(h), text)


def plate_of_width(image: Image, truth: Truth, width_px: int) -> tuple[Image, Truth] | None:
    """The photograph made smaller until its plate has this width; None where it is smaller."""
    by = width_px / truth.width
    if by > 1.0:
        return None
    smaller = cv2.resize(image, None, fx=by, fy=by, interpolation=cv2.INTER_AREA)
    return smaller, truth.scaled(by)


def faces(data: Path) -> list[tuple[Image, Truth]]:
    """Heads cut out of the photographs, with the face in each."""
    made = []
    for name in ("training", "testing"):
        for entry in ET.parse(data / "faces" / f"{name}.xml").iter("image"):  # noqa: S314
            image = cv2.imread(str(data / "faces" / Path(entry.get("file", "")).name))
            for box in entry.iter("box"):
                if box.get("ignore") or image is None:
                    continue
                x, y, w, h = (int(box.get(k, 0)) for k in ("left", "top", "width", "height"))
                pad = int(0.5 * w)
                room = cv2.copyMakeBorder(image, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
                head = room[y : y + h + 2 * pad, x : x + w + 2 * pad]
                made.append((head, Truth(pad, pad, w, h)))
    return made


def street(
    data: Path, frames: int, size: tuple[int, int] | None = None, name: str = "crossing"
) -> list[Image]:
    """The first frames of a video: crossing.mp4, a busy junction in which all moves."""
    capture = cv2.VideoCapture(str(data / "videos" / f"{name}.mp4"))
    made: list[Image] = []
    while len(made) < frames:
        ok, frame = capture.read()
        if not ok:
            break
        made.append(frame if size is None else cv2.resize(frame, size))
    return made


def paste(
    image: Image, head: Image, truth: Truth, width_px: float, left: float, top: float
) -> Truth:
    """Paste a head whose face gets this width; its oval has a soft edge. Where the face is then."""
    by = width_px / truth.width
    how = cv2.INTER_AREA if by < 1 else cv2.INTER_LINEAR
    head = cv2.resize(head, None, fx=by, fy=by, interpolation=how)
    high, wide = head.shape[:2]
    x, y = round(left), round(top)
    kept: Image = np.zeros((high, wide), np.float32)
    axes = (int(wide * 0.46), int(high * 0.47))
    cv2.ellipse(kept, (wide // 2, high // 2), axes, 0, 0, 360, 1.0, -1)
    kept = cv2.GaussianBlur(kept, (0, 0), max(0.5, width_px * 0.05))[..., None]
    place = image[y : y + high, x : x + wide]
    high, wide = place.shape[:2]
    kept, head = kept[:high, :wide], head[:high, :wide]
    place[...] = (place * (1 - kept) + head * kept).astype(np.uint8)
    return truth.scaled(by, x, y)


def carried(
    image: Image, number: int, heads: list[tuple[Image, Truth]], cars: list[tuple[Image, Truth]]
) -> dict[str, Truth]:
    """Paste three faces and three plates where their paths have brought them by this frame.

    A face that a plate is pasted over is not in sight, and so not among what is given back.
    """
    there = {}
    for k, width in enumerate((16, 24, 40)):
        head, truth = heads[k * 11]
        left, top = 60 + 3.1 * number + 150 * k, 90 + 190 * k + 0.4 * number
        there[f"face {width} px"] = paste(image, head, truth, width, left % 1100, top % 600)
    for k, width in enumerate((48, 64, 96)):
        photograph, truth = cars[k * 31 + 5]
        by = width / truth.width
        pad = 0.08 * truth.height
        x, y = int(truth.x - pad), int(truth.y - pad)
        plate = photograph[y : y + int(truth.height + 2 * pad), x : x + int(truth.width + 2 * pad)]
        plate = cv2.resize(plate, None, fx=by, fy=by, interpolation=cv2.INTER_AREA)
        left, top = int((900 - 2.3 * number + 60 * k) % 1100), int(170 + 180 * k)
        image[top : top + plate.shape[0], left : left + plate.shape[1]] = plate
        there[f"plate {width} px"] = Truth(
            left + (truth.x - x) * by,
            top + (truth.y - y) * by,
            width,
            truth.height * by,
            truth.text,
        )
    plates_there = [truth for name, truth in there.items() if name.startswith("plate")]
    return {
        name: truth
        for name, truth in there.items()
        if truth in plates_there or not any(_meet(truth, plate) for plate in plates_there)
    }


def _meet(a: Truth, b: Truth) -> bool:
    across = a.x < b.x + b.width and b.x < a.x + a.width
    return across and a.y < b.y + b.height and b.y < a.y + a.height


def placements(
    frames: Sequence[Image], heads: Sequence[tuple[Image, Truth]], width_px: int, count: int
) -> Iterator[tuple[Image, list[Truth]]]:
    """Street frames with faces of one width in them, `count` faces in all."""
    rng = np.random.default_rng(width_px)
    made = number = 0
    while made < count:
        image = frames[number * 7 % len(frames)].copy()
        number += 1
        high, wide = image.shape[:2]
        columns = max(1, min(5, int(wide // (width_px * 2.3))))
        rows = max(1, min(3, int(high // (width_px * 2.3))))
        there = []
        for cell in range(columns * rows):
            head, truth = heads[int(rng.integers(len(heads)))]
            by = width_px / truth.width
            room_x = max(0.0, wide / columns - head.shape[1] * by - 2)
            room_y = max(0.0, high / rows - head.shape[0] * by - 2)
            left = cell % columns * wide / columns + rng.uniform(0, room_x)
            top = cell // columns * high / rows + rng.uniform(0, room_y)
            there.append(paste(image, head, truth, width_px, left, top))
        made += len(there)
        yield image, there


def interval(hits: int, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    if not count:
        return 0.0, 1.0
    z, share = 1.96, hits / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    half /= 1 + z * z / count
    return round(float(middle - half), 4), round(float(min(1.0, middle + half)), 4)
