"""What lies behind and beside: drawn streets and cars, lettering and lamps that are no plates."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from train.privacy.cars import Box, Car
from train.privacy.plates import LETTERS

Rgb = npt.NDArray[np.uint8]

SCENE_PX = 320


def draw_scene(rng: np.random.Generator, faces: list[Path]) -> tuple[Rgb, Box]:
    """A picture (320, 320, 3): walls, road, trees, poles, signs and cars, at most one with a plate.

    With it the left, top, right and bottom of that plate in px; not numbers where there is none.
    """
    side = SCENE_PX
    sky = int(side * rng.uniform(0.1, 0.6))
    image = np.empty((side, side, 3), np.float32)
    image[:sky] = rng.uniform(60, 235, 3)
    image[sky:] = rng.uniform(40, 170) + rng.normal(0, 10, 3)
    for _ in range(int(rng.integers(2, 14))):
        x, y = rng.integers(-40, side, 2)
        w, h = rng.integers(8, 140, 2)
        cv2.rectangle(
            image, (int(x), int(y)), (int(x + w), int(y + h)), rng.uniform(10, 245, 3).tolist(), -1
        )
        if rng.random() < 0.4:  # windows, fences, tiles
            for step in range(int(x), int(x + w), int(rng.integers(4, 22))):
                cv2.line(
                    image,
                    (step, int(y)),
                    (step, int(y + h)),
                    rng.uniform(0, 255, 3).tolist(),
                    int(rng.integers(1, 4)),
                )
            for step in range(int(y), int(y + h), int(rng.integers(4, 22))):
                cv2.line(
                    image, (int(x), step), (int(x + w), step), rng.uniform(0, 255, 3).tolist(), 1
                )
    for _ in range(int(rng.integers(0, 12))):  # leaves, shadows, dirt
        centre = tuple(int(v) for v in rng.integers(0, side, 2))
        axes = tuple(int(v) for v in rng.integers(2, 50, 2))
        cv2.ellipse(
            image,
            centre,
            axes,
            float(rng.uniform(0, 180)),
            0,
            360,
            rng.uniform(0, 230, 3).tolist(),
            -1,
        )
    for _ in range(int(rng.integers(0, 6))):
        a, b = rng.integers(0, side, (2, 2))
        cv2.line(
            image,
            tuple(map(int, a)),
            tuple(map(int, b)),
            rng.uniform(0, 255, 3).tolist(),
            int(rng.integers(1, 9)),
        )
    plate: Box | None = None
    lettered = int(rng.integers(0, 4))
    if rng.random() < 0.6:
        across = float(rng.uniform(90, 300))
        down = across * float(rng.uniform(0.65, 1.0))
        x = float(rng.uniform(-0.15 * across, side - 0.85 * across))
        plate = Car(
            rng, image, (x, float(rng.uniform(-0.2 * down, side - 0.95 * down)), across, down)
        ).draw(faces)
        lettered = 0  # it might lie on the plate
    picture = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    for _ in range(lettered):
        _lettering(rng, picture, faces)
    coarse = cv2.resize(
        rng.normal(0, rng.uniform(2, 22), (side // 4, side // 4, 3)).astype(np.float32),
        (side, side),
    )
    made = np.clip(np.asarray(picture, np.float32) + coarse, 0, 255).astype(np.uint8)
    return made, plate if plate is not None else (np.nan,) * 4


def _lettering(rng: np.random.Generator, picture: Image.Image, faces: list[Path]) -> None:
    """Words without a plate around them, straight on the wall or the car."""
    font = ImageFont.truetype(str(faces[rng.integers(len(faces))]), int(rng.integers(7, 40)))
    words = "".join(
        rng.choice(list(LETTERS + LETTERS.lower() + "  0123456789:-."), rng.integers(2, 22))
    )
    x, y = (int(v) for v in rng.integers(-20, SCENE_PX, 2))
    spot = (x, y)
    ImageDraw.Draw(picture).text(
        spot, words, font=font, fill=tuple(int(v) for v in rng.integers(0, 256, 3))
    )
