"""Heads, drawn: faces turned and lit in many ways, hair, beards, glasses, caps, backs of heads."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from train.privacy.packing import CANVAS_PX
from train.privacy.plates import Rgba

Floats = npt.NDArray[np.float32]

SKINS = (
    (255, 224, 196),
    (241, 194, 155),
    (224, 172, 125),
    (198, 134, 90),
    (141, 85, 54),
    (92, 56, 38),
    (60, 38, 28),
)
HAIRS = (
    (20, 17, 15),
    (45, 30, 22),
    (90, 58, 35),
    (150, 105, 60),
    (215, 185, 130),
    (130, 130, 130),
    (225, 225, 225),
    (130, 50, 30),
)
SCALE = 3
SIDE = CANVAS_PX[1] * SCALE


def draw_head(rng: np.random.Generator) -> tuple[Rgba, tuple[int, int]]:
    """A sprite (96, 192, 4) of a head with its shoulders' top, and the face's width and height."""
    image = np.zeros((SIDE, SIDE, 4), np.float32)
    middle = SIDE / 2
    half = SIDE * 0.225  # of the face's width
    long = half * rng.uniform(1.2, 1.42)
    turn = float(np.clip(rng.normal(0, 0.35), -0.8, 0.8))
    nod = float(rng.normal(0, 0.12))
    back = rng.random() < 0.16
    skin = np.array(SKINS[rng.integers(len(SKINS))], np.float32) * rng.uniform(
        0.85, 1.1
    ) + rng.normal(0, 6, 3)
    hair = np.array(HAIRS[rng.integers(len(HAIRS))], np.float32) + rng.normal(0, 8, 3)
    cloth = rng.uniform(10, 245, 3)
    _oval(image, middle, middle + long * 2.1, half * rng.uniform(1.7, 2.6), long * 1.05, cloth)
    _oval(image, middle, middle + long * 0.95, half * 0.6, long * 0.5, skin * 0.8)
    style = rng.choice(["short", "long", "bald", "cap", "scarf"], p=[0.45, 0.25, 0.1, 0.14, 0.06])
    if style == "long":
        _oval(
            image,
            middle,
            middle + long * 0.25,
            half * rng.uniform(1.15, 1.5),
            long * rng.uniform(1.2, 1.5),
            hair,
        )
    elif style == "scarf":
        _oval(image, middle, middle + long * 0.1, half * 1.3, long * 1.35, cloth)
    if style in ("short", "long") or back:
        grown = rng.uniform(1.05, 1.2)
        _oval(
            image,
            middle - turn * half * 0.12,
            middle - long * 0.14,
            half * grown,
            long * rng.uniform(0.95, 1.1),
            hair,
        )
    if back and style != "bald":
        _grain(rng, image)
    else:
        for side in (-1, 1):
            if rng.random() < 0.7:
                _oval(
                    image,
                    middle + side * half * 1.0 - turn * half * 0.2,
                    middle + long * 0.05,
                    half * 0.16,
                    long * 0.2,
                    skin * 0.9,
                )
        _oval(
            image,
            middle,
            middle + long * 0.08,
            half * rng.uniform(0.9, 1.0),
            long * rng.uniform(0.9, 1.0),
            skin,
        )
        if back:
            pass
        else:
            _features(
                rng,
                image,
                (middle + turn * half * 0.55, middle + nod * long, half, long),
                skin,
                hair,
            )
        if style in ("short", "long"):
            fringe = rng.uniform(0.25, 0.5)
            _oval(
                image,
                middle + rng.normal(0, 0.2) * half,
                middle - long * (1.1 - fringe * 0.4),
                half * 0.95,
                long * fringe,
                hair,
            )
    if style == "cap":
        _oval(
            image,
            middle,
            middle - long * 0.62,
            half * 1.12,
            long * rng.uniform(0.4, 0.6),
            cloth[::-1],
        )
        if rng.random() < 0.6:
            _oval(
                image,
                middle + turn * half,
                middle - long * 0.38,
                half * 1.0,
                long * 0.12,
                cloth[::-1] * 0.7,
            )
    _light(rng, image)
    small = cv2.resize(image, (CANVAS_PX[1], CANVAS_PX[1]), interpolation=cv2.INTER_AREA)
    small[..., 3] = small[..., 3] * _window(rng)
    canvas = np.zeros((CANVAS_PX[1], CANVAS_PX[0], 4), np.uint8)
    left = (CANVAS_PX[0] - CANVAS_PX[1]) // 2
    canvas[:, left : left + CANVAS_PX[1]] = np.clip(small, 0, 255)
    face = round(2 * half / SCALE)
    return canvas, (face, face)


def _features(
    rng: np.random.Generator,
    image: Floats,
    face: tuple[float, float, float, float],
    skin: npt.NDArray[np.floating],
    hair: npt.NDArray[np.floating],
) -> None:
    x, y, half, long = face
    dark = skin * rng.uniform(0.35, 0.7)
    apart = half * rng.uniform(0.38, 0.46)
    eyes = y - long * 0.08
    for side in (-1, 1):
        _oval(
            image, x + side * apart, eyes, half * 0.24, long * 0.12, skin * rng.uniform(0.6, 0.85)
        )
        if rng.random() < 0.7:
            _oval(image, x + side * apart, eyes, half * 0.15, long * 0.06, (235, 235, 235))
        _oval(image, x + side * apart, eyes, half * 0.08, long * 0.06, (30, 25, 22))
        _oval(image, x + side * apart, eyes - long * 0.2, half * 0.24, long * 0.045, hair * 0.8)
    glasses = rng.random()
    if glasses < 0.22:
        for side in (-1, 1):
            centre = (int(x + side * apart), int(eyes))
            axes = (int(half * 0.32), int(long * 0.19))
            cv2.ellipse(
                image, centre, axes, 0, 0, 360, (20, 20, 20, 255), -1 if glasses < 0.1 else 4
            )
    _oval(image, x, y + long * 0.22, half * 0.15, long * 0.1, skin * 0.78)
    _oval(
        image,
        x + half * 0.06,
        y + long * 0.1,
        half * 0.07,
        long * 0.2,
        np.minimum(skin * 1.12, 255),
    )
    if rng.random() < 0.3:
        _oval(image, x, y + long * 0.6, half * 0.7, long * 0.36, hair * 0.6 + skin * 0.4)
    lips = np.array([skin[0] * 0.85, skin[1] * 0.55, skin[2] * 0.55])
    _oval(
        image,
        x,
        y + long * 0.52,
        half * rng.uniform(0.26, 0.42),
        long * rng.uniform(0.05, 0.12),
        lips,
    )
    if rng.random() < 0.35:
        _oval(image, x, y + long * 0.51, half * 0.25, long * 0.05, (240, 238, 232))
    _oval(image, x, y + long * 0.68, half * 0.3, long * 0.03, dark)


def _oval(image: Floats, x: float, y: float, across: float, down: float, colour: object) -> None:
    tone = [float(v) for v in np.asarray(colour, dtype=float)]
    axes = (max(1, int(across)), max(1, int(down)))
    cv2.ellipse(image, (int(x), int(y)), axes, 0, 0, 360, (*tone, 255.0), -1, cv2.LINE_AA)


def _light(rng: np.random.Generator, image: Floats) -> None:
    """Blur the drawn edges, and light the head from one side."""
    image[:] = cv2.GaussianBlur(image, (0, 0), rng.uniform(1.0, 4.5))
    line = np.linspace(-1, 1, SIDE, dtype=np.float32)
    shade = 1 + rng.normal(0, 0.3) * line[None, :] + rng.normal(0.0, 0.2) * line[:, None]
    bulge = 1.08 - 0.25 * (line[None, :] ** 2 + line[:, None] ** 2) / 0.4
    image[..., :3] *= np.clip(shade, 0.25, 1.8)[..., None] * np.clip(bulge, 0.5, 1.1)[..., None]


def _grain(rng: np.random.Generator, image: Floats) -> None:
    coarse = rng.normal(0, 18, (40, 40)).astype(np.float32)
    image[..., :3] += cv2.resize(coarse, (SIDE, SIDE))[..., None] * (image[..., 3:] > 0)


def _window(rng: np.random.Generator) -> Floats:
    """How much of the sprite is kept: all of it, or an oval of soft edge around the head."""
    side = CANVAS_PX[1]
    if rng.random() < 0.6:
        return np.ones((side, side), np.float32)
    kept = np.zeros((side, side), np.float32)
    axes = (int(side * rng.uniform(0.36, 0.48)), int(side * rng.uniform(0.38, 0.48)))
    cv2.ellipse(kept, (side // 2, side // 2), axes, 0, 0, 360, 1.0, -1)
    return np.asarray(cv2.GaussianBlur(kept, (0, 0), rng.uniform(0.5, 6)), dtype=np.float32)


def portrait(
    rng: np.random.Generator, image: npt.NDArray[np.uint8], face: tuple[int, int, int]
) -> tuple[Rgba, tuple[int, int]]:
    """A sprite as draw_head gives, of a photographed face (x, y of its middle, width in px)."""
    x, y, width = face
    kept = width / rng.uniform(0.42, 0.52)
    turn = cv2.getRotationMatrix2D(
        (float(x), float(y)), float(rng.normal(0, 9)), CANVAS_PX[1] / kept
    )
    turn[:, 2] = turn[:, 2] + np.array([CANVAS_PX[1] / 2 - x, CANVAS_PX[1] / 2 - y])
    size = (CANVAS_PX[1], CANVAS_PX[1])
    head = cv2.warpAffine(image, turn, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    if rng.random() < 0.5:
        head = head[:, ::-1]
    tinted = (head.astype(np.float32) / 255) ** rng.uniform(0.6, 2.2) * 255
    tinted = tinted * rng.uniform(0.8, 1.1, 3)
    canvas = np.zeros((CANVAS_PX[1], CANVAS_PX[0], 4), np.uint8)
    left = (CANVAS_PX[0] - CANVAS_PX[1]) // 2
    canvas[:, left : left + CANVAS_PX[1], :3] = np.clip(tinted, 0, 255)
    canvas[:, left : left + CANVAS_PX[1], 3] = 255 * _window(rng)
    side = round(width * CANVAS_PX[1] / kept)
    return canvas, (side, side)
