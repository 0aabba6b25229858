"""Scenes that no setting was chosen on: held out, to see whether what was chosen elsewhere holds.

Made of the photographs and recordings of MASTRA_DATA, the same in every run: a camera that pans
over photographs of a street, a fixed one before which cut-outs of photographs pass, both with the
grain of a sensor; the drawn line with other boards and another size; a probe over a water tank; a
camera that pans and zooms over other photographs of streets, and one held in a hand, from which the
cars are seen. Every frame of these is looked at: codecs code each second or fourth frame finer than
those between, and have keys at multiples of 60, so every fourth frame alone is the best of each
(street: VP9 crf40 0.900 of F by every fourth frame, 0.864 by all).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.compression_scenes import Picture, Scene
from bench.compression_scenes import frames_of as seen_frames
from bench.ultrasound_frames import TANK, sweep

WIDTH_PX, HEIGHT_PX = 640, 360
PHOTOGRAPH_FRAMES = 40
GRAIN_SIGMA = 1.5
PREFIX = "unseen-"

UNSEEN = (
    Scene(f"{PREFIX}street", "pan", 1, 0.03, frames=160),
    Scene(f"{PREFIX}yard", "pass", 1, 0.03, frames=160),
    Scene(
        f"{PREFIX}line", "synthetic:pcb?seed=11&width=800&height=480", 2, 0.01,
        frames=120, detector="own",
    ),
    Scene(f"{PREFIX}tank", "tank", 1, 0.0, frames=60, detector=""),
    Scene(f"{PREFIX}zoom", "zoom", 1, 0.03, frames=160),
    Scene(f"{PREFIX}hand", "hand", 1, 0.03, frames=160),
)  # fmt: skip


def frames_of(scene: Scene, data: Path) -> list[Picture]:
    """The pictures of any scene: BGR, or gray for ultrasound."""
    if scene.source == "pan":
        return _grained(_pan(_photographs(data / "plates/eu", 4)))
    if scene.source == "pass":
        found = _photographs(data / "plates/us", 3) + _photographs(data / "faces", 2)
        return _grained(_pass(found, scene.frames))
    if scene.source == "zoom":
        return _grained(_zoom(_photographs(data / "plates/us", 7)[3:]))
    if scene.source == "hand":
        cars = seen_frames(Scene("cars", "car-detection.mp4", 1, 0.0), data)[60:]
        return _grained(_held(cars[: scene.frames]))
    if scene.source == "tank":
        return list(sweep(data, TANK)[: scene.frames])
    return seen_frames(scene, data)


def _photographs(folder: Path, count: int) -> list[Picture]:
    """The first ones of a folder, by name."""
    paths = sorted(folder.glob("*.jpg"))[:count]
    return [np.asarray(cv2.imread(str(path)), np.uint8) for path in paths]


def _pan(photographs: Sequence[Picture]) -> Iterator[Picture]:
    """A view that goes over each photograph, there and on, a little up and down."""
    for photograph in photographs:
        scale = 1.25 * max(WIDTH_PX / photograph.shape[1], HEIGHT_PX / photograph.shape[0])
        wide = cv2.resize(photograph, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        room_x, room_y = wide.shape[1] - WIDTH_PX, wide.shape[0] - HEIGHT_PX
        for number in range(PHOTOGRAPH_FRAMES):
            gone = number / (PHOTOGRAPH_FRAMES - 1)
            x, y = gone * room_x, (0.5 + 0.3 * np.sin(4.0 * gone)) * room_y
            shift = np.array([[1, 0, -x], [0, 1, -y]], np.float32)
            yield np.asarray(cv2.warpAffine(wide, shift, (WIDTH_PX, HEIGHT_PX)), np.uint8)


def _zoom(photographs: Sequence[Picture]) -> Iterator[Picture]:
    """A view that comes nearer to a part of each photograph while it goes along."""
    for photograph in photographs:
        height, width = photograph.shape[:2]
        least = max(WIDTH_PX / width, HEIGHT_PX / height)
        for number in range(PHOTOGRAPH_FRAMES):
            gone = number / (PHOTOGRAPH_FRAMES - 1)
            scale = least * (1.1 + 0.8 * gone)
            x = (0.2 + 0.4 * gone) * (scale * width - WIDTH_PX)
            y = 0.5 * (scale * height - HEIGHT_PX)
            yield _seen(photograph, np.array([[scale, 0, -x], [0, scale, -y]], np.float32))


def _held(pictures: Sequence[Picture]) -> Iterator[Picture]:
    """As from a hand: the view drifts and turns by a little, and never rests."""
    rng = np.random.default_rng(1)
    away, pace = np.zeros(3), np.zeros(3)
    strength = np.array([1.2, 0.9, 0.12])  # px, px, degrees
    for picture in pictures:
        pace = 0.85 * pace + rng.normal(0.0, strength)
        away = 0.95 * away + pace
        height, width = picture.shape[:2]
        scale = 1.25 * max(WIDTH_PX / width, HEIGHT_PX / height)
        shift = cv2.getRotationMatrix2D((width / 2, height / 2), float(away[2]), scale)
        shift[:, 2] += (WIDTH_PX - width) / 2 + away[0], (HEIGHT_PX - height) / 2 + away[1]
        yield _seen(picture, shift.astype(np.float32))


def _seen(picture: Picture, view: NDArray[np.float32]) -> Picture:
    size = (WIDTH_PX, HEIGHT_PX)
    edge = cv2.BORDER_REFLECT
    return np.asarray(cv2.warpAffine(picture, view, size, borderMode=edge), np.uint8)


def _pass(photographs: Sequence[Picture], count: int) -> Iterator[Picture]:
    """The first photograph stands; cut-outs of the others pass before it, each at its own pace."""
    ground = cv2.resize(photographs[0], (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_AREA)
    passing = []
    for number, photograph in enumerate(photographs[1:]):
        height = 110 + 20 * number
        width = round(photograph.shape[1] * height / photograph.shape[0])
        cut = cv2.resize(photograph, (width, height), interpolation=cv2.INTER_AREA)
        passing.append((cut, 2.0 + 1.5 * number, 20 + 60 * number))
    for number in range(count):
        picture = ground.copy()
        for cut, pace, top in passing:
            height, width = cut.shape[:2]
            left = int(pace * number) % (WIDTH_PX + width) - width
            begin, end = max(0, left), min(WIDTH_PX, left + width)
            bottom = min(HEIGHT_PX, top + height)
            picture[top:bottom, begin:end] = cut[: bottom - top, begin - left : end - left]
        yield np.asarray(picture, np.uint8)


def _grained(pictures: Iterator[Picture]) -> list[Picture]:
    """With the noise of a sensor, another in each picture."""
    rng = np.random.default_rng(0)
    made = []
    for picture in pictures:
        grain = rng.normal(0.0, GRAIN_SIGMA, picture.shape[:2])[..., None]
        made.append(np.clip(np.rint(picture + grain), 0, 255).astype(np.uint8))
    return made
