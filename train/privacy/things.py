"""Sprites of what is neither plate nor head: lamps, panes, grilles, signs, wheels, balls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from train.privacy.packing import CANVAS_PX
from train.privacy.plates import LETTERS, Rgba

Floats = npt.NDArray[np.float32]
Size = tuple[int, int]
MIDDLE = (CANVAS_PX[0] // 2, CANVAS_PX[1] // 2)


@dataclass(frozen=True)
class Sheet:
    """What a thing is drawn on, its size in px, and with what."""

    rng: np.random.Generator
    canvas: Floats
    size: Size
    faces: list[Path]


def draw_thing(rng: np.random.Generator, faces: list[Path]) -> tuple[Rgba, Size]:
    """A sprite (96, 192, 4), and the width and height of what is on it."""
    canvas = np.zeros((CANVAS_PX[1], CANVAS_PX[0], 4), np.float32)
    size = int(rng.integers(40, 180)), int(rng.integers(16, 90))
    KINDS[rng.integers(len(KINDS))](Sheet(rng, canvas, size, faces))
    if rng.random() < 0.5:
        canvas[:] = cv2.GaussianBlur(canvas, (0, 0), float(rng.uniform(0.4, 2.5)))
    return np.clip(canvas, 0, 255).astype(np.uint8), size


def _tone(rng: np.random.Generator) -> list[float]:
    return [*rng.uniform(0, 255, 3).tolist(), 255.0]


def _corner(size: Size) -> tuple[int, int]:
    return (CANVAS_PX[0] - size[0]) // 2, (CANVAS_PX[1] - size[1]) // 2


def _fill(canvas: Floats, size: Size, tone: list[float]) -> Floats:
    (x, y), (w, h) = _corner(size), size
    canvas[y : y + h, x : x + w] = tone
    return canvas[y : y + h, x : x + w]


def _rings(on: Sheet) -> None:
    """A lamp, a wheel, a mirror: ellipses in each other."""
    rng, canvas, size = on.rng, on.canvas, on.size
    for share in sorted(rng.uniform(0.15, 0.5, int(rng.integers(1, 5))), reverse=True):
        axes = (max(1, int(size[0] * share)), max(1, int(size[1] * share)))
        cv2.ellipse(canvas, MIDDLE, axes, 0, 0, 360, _tone(rng), -1, cv2.LINE_AA)


def _wheel(on: Sheet) -> None:
    rng, canvas = on.rng, on.canvas
    r = int(rng.integers(16, 46))
    cv2.circle(canvas, MIDDLE, r, (20, 20, 22, 255), -1, cv2.LINE_AA)
    cv2.circle(canvas, MIDDLE, int(r * 0.7), _tone(rng), -1, cv2.LINE_AA)
    for angle in np.linspace(0, 2 * np.pi, int(rng.integers(4, 12)), endpoint=False):
        tip = (int(MIDDLE[0] + r * 0.7 * np.cos(angle)), int(MIDDLE[1] + r * 0.7 * np.sin(angle)))
        cv2.line(canvas, MIDDLE, tip, (40, 40, 40, 255), max(1, r // 10), cv2.LINE_AA)


def _ball(on: Sheet) -> None:
    """In the colour of skin, or anything; lit from a side."""
    rng, canvas = on.rng, on.canvas
    r = int(rng.integers(16, 44))
    skin = np.array([220, 170, 130]) * rng.uniform(0.4, 1.1)
    tone = [*skin.tolist(), 255.0] if rng.random() < 0.6 else _tone(rng)
    cv2.circle(canvas, MIDDLE, r, tone, -1, cv2.LINE_AA)
    ramp = np.linspace(rng.uniform(0.4, 1), rng.uniform(0.8, 1.4), CANVAS_PX[1])[:, None, None]
    canvas[..., :3] *= ramp


def _stripes(on: Sheet) -> None:
    """A grille, a fence, a drain, a crossing: lines on a board, one way or both."""
    rng, canvas, size = on.rng, on.canvas, on.size
    (x, y), (w, h) = _corner(size), size
    _fill(canvas, size, _tone(rng))
    tone, thick = _tone(rng), int(rng.integers(1, 4))
    upright = rng.random()
    if upright < 0.7:
        for k in range(x, x + w, int(rng.integers(4, 16))):
            cv2.line(canvas, (k, y), (k, y + h - 1), tone, thick)
    if upright > 0.4:
        for k in range(y, y + h, int(rng.integers(4, 16))):
            cv2.line(canvas, (x, k), (x + w - 1, k), tone, thick)


def _pane(on: Sheet) -> None:
    """A window or a blank board, with a border or a gleam."""
    rng, canvas, size = on.rng, on.canvas, on.size
    board = _fill(canvas, size, _tone(rng))
    board[..., :3] *= np.linspace(rng.uniform(0.3, 1), rng.uniform(0.6, 1.5), size[1])[
        :, None, None
    ]
    (x, y), (w, h) = _corner(size), size
    if rng.random() < 0.5:
        cv2.rectangle(canvas, (x, y), (x + w - 1, y + h - 1), _tone(rng), int(rng.integers(1, 5)))
    if rng.random() < 0.4:
        cv2.line(
            canvas, (x + w // 4, y + h - 1), (x + w // 2, y), _tone(rng), int(rng.integers(1, 9))
        )


def _patched(on: Sheet) -> None:
    """Boards of a few fields: rear lamps, flags, traffic signs, packages."""
    rng, canvas, size = on.rng, on.canvas, on.size
    board = _fill(canvas, size, _tone(rng))
    for _ in range(int(rng.integers(1, 6))):
        x, y = int(rng.integers(0, size[0] - 3)), int(rng.integers(0, size[1] - 3))
        w, h = int(rng.integers(3, size[0])), int(rng.integers(3, size[1]))
        board[y : y + h, x : x + w] = _tone(rng)


def _words(on: Sheet) -> None:
    """Letters without a ground: a badge, a name on a car or a wall."""
    rng, canvas = on.rng, on.canvas
    font = ImageFont.truetype(str(on.faces[rng.integers(len(on.faces))]), int(rng.integers(14, 40)))
    words = "".join(rng.choice(list(LETTERS + LETTERS.lower()), rng.integers(2, 9)))
    mask = Image.new("L", CANVAS_PX, 0)
    ImageDraw.Draw(mask).text(MIDDLE, words, font=font, fill=255, anchor="mm")
    canvas[..., :3] = _tone(rng)[:3]
    canvas[..., 3] = np.asarray(mask)


def _noise(on: Sheet) -> None:
    """A board of coarse texture: leaves, gravel, a tyre's tread."""
    rng, canvas, size = on.rng, on.canvas, on.size
    board = _fill(canvas, size, _tone(rng))
    cells = (int(rng.integers(3, 24)), int(rng.integers(3, 12)))
    coarse = cv2.resize(rng.uniform(0.2, 1.5, cells[::-1]).astype(np.float32), size)
    board[..., :3] *= coarse[..., None]


def _lens(on: Sheet) -> None:
    """A head lamp: a slanted lens with bulbs and a gleam."""
    rng, canvas, size = on.rng, on.canvas, on.size
    (x, y), (w, h) = _corner(size), size
    slant = rng.uniform(-0.4, 0.4) * h
    corners = [
        (x, y + max(0, slant)),
        (x + w, y + max(0, -slant)),
        (x + w * 0.9, y + h),
        (x + w * 0.1, y + h * 0.9),
    ]
    cv2.fillPoly(canvas, [np.array(corners, np.int32)], _tone(rng), cv2.LINE_AA)
    for _ in range(int(rng.integers(1, 4))):
        spot = (int(x + w * rng.uniform(0.2, 0.8)), int(y + h * rng.uniform(0.3, 0.7)))
        glow = float(rng.uniform(150, 255))
        cv2.circle(
            canvas, spot, max(2, int(h * rng.uniform(0.1, 0.3))), (glow, glow, glow, 255), -1
        )


Draw = Callable[[Sheet], None]
KINDS: tuple[Draw, ...] = (
    _rings,
    _wheel,
    _ball,
    _stripes,
    _pane,
    _patched,
    _words,
    _noise,
    _lens,
)
