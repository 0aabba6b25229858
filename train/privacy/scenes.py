"""What lies behind and beside: drawn streets and cars, lettering and lamps that are no plates."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from train.privacy.plates import CANVAS_PX, LETTERS, Rgba

Rgb = npt.NDArray[np.uint8]

SCENE_PX = 320


def draw_scene(rng: np.random.Generator, faces: list[Path]) -> Rgb:
    """A picture (320, 320, 3): walls, road, trees, poles, signs and cars without plates."""
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
    if rng.random() < 0.75:
        for _ in range(int(rng.integers(1, 4))):
            _car(rng, image)
    picture = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    for _ in range(int(rng.integers(0, 4))):
        _lettering(rng, picture, faces)
    coarse = cv2.resize(
        rng.normal(0, rng.uniform(2, 22), (side // 4, side // 4, 3)).astype(np.float32),
        (side, side),
    )
    grain = rng.normal(0, rng.uniform(0.5, 8), (side, side, 1))
    return np.clip(np.asarray(picture, np.float32) + coarse + grain, 0, 255).astype(np.uint8)


def _car(rng: np.random.Generator, image: npt.NDArray[np.float32]) -> None:
    side = SCENE_PX
    w = rng.uniform(40, 300)
    h = w * rng.uniform(0.6, 0.95)
    x, y = rng.uniform(-0.2 * w, side - 0.7 * w), rng.uniform(-0.1 * h, side - 0.6 * h)
    paint = (
        rng.uniform(10, 245, 3)
        if rng.random() < 0.5
        else np.full(3, rng.uniform(10, 245)) + rng.normal(0, 5, 3)
    )

    def at(u: float, v: float) -> tuple[int, int]:
        return int(x + u * w), int(y + v * h)

    def poly(points: list[tuple[float, float]], colour: object) -> None:
        cv2.fillPoly(
            image,
            [np.array([at(*p) for p in points], np.int32)],
            np.asarray(colour, float).tolist(),
        )

    poly([(0.03, 0.9), (0.97, 0.9), (0.9, 1.02), (0.1, 1.02)], (15, 15, 15))
    for u in (0.05, 0.78):
        poly([(u, 0.7), (u + 0.17, 0.7), (u + 0.17, 1.0), (u, 1.0)], (25, 25, 25))
    poly(
        [(0.18, 0.02), (0.82, 0.02), (0.96, 0.42), (0.99, 0.88), (0.01, 0.88), (0.04, 0.42)], paint
    )
    poly([(0.22, 0.06), (0.78, 0.06), (0.87, 0.36), (0.13, 0.36)], rng.uniform(15, 140, 3))
    poly([(0.02, 0.7), (0.98, 0.7), (0.97, 0.88), (0.03, 0.88)], paint * rng.uniform(0.3, 1.1))
    lamp = [(200, 20, 20), (240, 240, 225), (230, 130, 30)][rng.integers(3)]
    for u in (0.12, 0.88):
        cv2.ellipse(
            image,
            at(u, 0.52),
            (max(1, int(w * rng.uniform(0.06, 0.12))), max(1, int(h * rng.uniform(0.05, 0.1)))),
            0,
            0,
            360,
            lamp,
            -1,
        )
    if rng.random() < 0.5:
        poly([(0.28, 0.48), (0.72, 0.48), (0.68, 0.62), (0.32, 0.62)], (25, 25, 25))
        for k in np.linspace(0.5, 0.6, int(rng.integers(2, 6))):
            cv2.line(image, at(0.29, k), at(0.71, k), rng.uniform(60, 230, 3).tolist(), 1)
    cv2.circle(image, at(0.5, 0.5), max(1, int(w * 0.03)), rng.uniform(150, 250, 3).tolist(), -1)


def _lettering(rng: np.random.Generator, picture: Image.Image, faces: list[Path]) -> None:
    """Words without a plate around them, straight on the wall or the car."""
    font = ImageFont.truetype(str(faces[rng.integers(len(faces))]), int(rng.integers(7, 40)))
    words = "".join(
        rng.choice(list(LETTERS + LETTERS.lower() + "  0123456789:-."), rng.integers(2, 22))
    )
    spot = tuple(int(v) for v in rng.integers(-20, SCENE_PX, 2))
    ImageDraw.Draw(picture).text(
        spot, words, font=font, fill=tuple(int(v) for v in rng.integers(0, 256, 3))
    )


def draw_distractor(rng: np.random.Generator, faces: list[Path]) -> tuple[Rgba, tuple[int, int]]:
    """A sprite of what is neither plate nor head: lamps, panes, grilles, blank boards, balls."""
    canvas = np.zeros((CANVAS_PX[1], CANVAS_PX[0], 4), np.float32)
    w, h = int(rng.integers(40, 180)), int(rng.integers(16, 90))
    x, y = (CANVAS_PX[0] - w) // 2, (CANVAS_PX[1] - h) // 2
    tone = rng.uniform(0, 255, 3).tolist()
    kind = rng.integers(5)
    if kind == 0:
        middle = (CANVAS_PX[0] // 2, CANVAS_PX[1] // 2)
        cv2.ellipse(canvas, middle, (w // 2, h // 2), 0, 0, 360, (*tone, 255.0), -1)
        cv2.ellipse(
            canvas,
            middle,
            (w // 4, h // 4),
            0,
            0,
            360,
            (*rng.uniform(0, 255, 3).tolist(), 255.0),
            -1,
        )
    elif kind == 1:  # a plain ball in the colour of skin or of anything else
        r = int(rng.integers(16, 44))
        skin = np.array([220, 170, 130]) * rng.uniform(0.4, 1.1)
        cv2.circle(canvas, (CANVAS_PX[0] // 2, CANVAS_PX[1] // 2), r, (*skin.tolist(), 255.0), -1)
    elif kind == 2:
        canvas[y : y + h, x : x + w] = (*tone, 255.0)
        for k in range(x, x + w, int(rng.integers(4, 14))):
            cv2.line(canvas, (k, y), (k, y + h), (*rng.uniform(0, 255, 3).tolist(), 255.0), 2)
    elif kind == 3:
        canvas[y : y + h, x : x + w] = (*tone, 255.0)
        ramp = np.linspace(rng.uniform(0.3, 1), rng.uniform(0.6, 1.5), h)[:, None, None]
        canvas[y : y + h, x : x + w, :3] *= ramp
    else:
        font = ImageFont.truetype(str(faces[rng.integers(len(faces))]), 24)
        words = "".join(rng.choice(list(LETTERS + LETTERS.lower()), rng.integers(3, 9)))
        mask = Image.new("L", CANVAS_PX, 0)
        ImageDraw.Draw(mask).text((20, 30), words, font=font, fill=255)
        canvas[..., :3] = tone
        canvas[..., 3] = np.asarray(mask)
    return np.clip(canvas, 0, 255).astype(np.uint8), (w, h)
