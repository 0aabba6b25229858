"""Cars, drawn from the front and from behind: lamps, grilles, badges, stickers, and a plate.

What a detector takes for plates is on cars: so all of it is drawn, most of it around a true plate.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from train.privacy.packing import CANVAS_PX
from train.privacy.plates import LETTERS, draw_plate

Floats = npt.NDArray[np.float32]
Box = tuple[float, float, float, float]
Point = tuple[float, float]

MAKES = (
    "TURBO",
    "GT",
    "4x4",
    "HYBRID",
    "1.6",
    "SPORT",
    "XLE",
    "Diesel",
    "V8",
    "TAXI",
    "RENT A CAR",
)


class Car:
    """One car on a picture (H, W, 3) of floats, its box x, y, width, height in px."""

    def __init__(self, rng: np.random.Generator, image: Floats, box: Box) -> None:
        self.rng, self.image = rng, image
        self.x, self.y, self.w, self.h = box
        self.shear = float(rng.normal(0, 0.04))
        grey = rng.random() < 0.6
        self.paint = (
            np.full(3, rng.uniform(10, 245)) + rng.normal(0, 5, 3)
            if grey
            else rng.uniform(10, 245, 3)
        )

    def at(self, u: float, v: float) -> tuple[int, int]:
        """A point of the car, in shares of its box, as px."""
        return int(self.x + u * self.w), int(self.y + (v + self.shear * (u - 0.5)) * self.h)

    def area(self, points: list[Point], colour: object) -> None:
        """A filled polygon."""
        corners = np.array([self.at(*p) for p in points], np.int32)
        tone = np.asarray(colour, float).tolist()
        cv2.fillPoly(self.image, [corners], tone, cv2.LINE_AA)

    def board(self, u: float, v: float, wide: float, high: float, colour: object) -> None:
        """A filled rectangle about a middle."""
        u1, u2, v1, v2 = u - wide / 2, u + wide / 2, v - high / 2, v + high / 2
        self.area([(u1, v1), (u2, v1), (u2, v2), (u1, v2)], colour)

    def line(self, a: Point, b: Point, colour: object, share: float = 0.01) -> None:
        """A line, its thickness a share of the width."""
        tone = np.asarray(colour, float).tolist()
        thick = max(1, int(share * self.w))
        cv2.line(self.image, self.at(*a), self.at(*b), tone, thick, cv2.LINE_AA)

    def disc(self, u: float, v: float, across: float, down: float, colour: object) -> None:
        """A filled ellipse; both radii are shares of the width."""
        axes = (max(1, int(across * self.w)), max(1, int(down * self.w)))
        tone = np.asarray(colour, float).tolist()
        cv2.ellipse(self.image, self.at(u, v), axes, 0, 0, 360, tone, -1, cv2.LINE_AA)

    def draw(self, faces: list[Path]) -> Box | None:
        """The whole car; left, top, right, bottom of its plate in px, None without one."""
        rng = self.rng
        back = rng.random() < 0.5
        self.area([(0.0, 0.92), (1.0, 0.92), (0.9, 1.04), (0.1, 1.04)], (15, 15, 15))
        for u in (0.04, 0.79):
            self.area([(u, 0.7), (u + 0.17, 0.7), (u + 0.17, 1.0), (u, 1.0)], (25, 25, 25))
        roof = float(rng.uniform(0.14, 0.24))
        hull = [
            (roof, 0.02),
            (1 - roof, 0.02),
            (0.97, 0.4),
            (0.99, 0.88),
            (0.01, 0.88),
            (0.03, 0.4),
        ]
        self.area(hull, self.paint)
        self._shade()
        self._window(roof)
        if rng.random() < 0.7:
            self.line((0.03, 0.46), (0.97, 0.46), self.paint * 0.6)
        self._lamps(back)
        bumper = float(rng.uniform(0.62, 0.74))
        tone = self.paint * rng.uniform(0.5, 1.1) if rng.random() < 0.6 else rng.uniform(20, 70)
        corners = [(0.02, bumper), (0.98, bumper), (0.97, 0.9), (0.03, 0.9)]
        self.area(corners, np.broadcast_to(tone, 3))
        if rng.random() < 0.75:
            self._grille(back, bumper)
        self._badges(faces)
        if rng.random() < 0.8:
            return self._plate(faces, back)
        self._without(back)
        return None

    def _shade(self) -> None:
        """The paint mirrors sky and road: bands of light across it."""
        for _ in range(int(self.rng.integers(0, 4))):
            v = float(self.rng.uniform(0.38, 0.85))
            gain = self.rng.uniform(0.75, 1.3)
            self.line((0.05, v), (0.95, v), np.clip(self.paint * gain, 0, 255), 0.03)

    def _window(self, roof: float) -> None:
        rng = self.rng
        glass = rng.uniform(15, 140, 3)
        left = roof + 0.03
        self.area([(left, 0.06), (1 - left, 0.06), (0.88, 0.37), (0.12, 0.37)], glass)
        for _ in range(int(rng.integers(0, 4))):  # mirrored sky, seats, stickers, wipers
            u, v = rng.uniform(0.25, 0.75), rng.uniform(0.1, 0.33)
            self.board(
                u, v, rng.uniform(0.03, 0.25), rng.uniform(0.02, 0.1), rng.uniform(0, 255, 3)
            )
        for side in (-1, 1):
            if rng.random() < 0.6:
                self.disc(0.5 + side * 0.48, 0.34, 0.045, 0.035, self.paint * 0.8)
            if rng.random() < 0.4:
                self.line((0.5, 0.37), (0.5 + side * 0.3, 0.3), (20, 20, 20), 0.008)

    def _lamps(self, back: bool) -> None:
        rng = self.rng
        v, across = float(rng.uniform(0.44, 0.62)), float(rng.uniform(0.06, 0.14))
        down = across * float(rng.uniform(0.35, 1.1))
        lens = rng.uniform((120, 10, 10), (235, 60, 50)) if back else rng.uniform(140, 250, 3)
        square, bulbs = rng.random() < 0.5, int(rng.integers(1, 4))
        for side in (-1, 1):
            u = 0.5 + side * float(0.47 - across)
            if square:
                self.board(u, v, 2 * across, 2 * down * self.w / self.h, lens * 0.7)
            else:
                self.disc(u, v, across, down, lens * 0.7)
            for k in range(bulbs):
                spot = u + (k - (bulbs - 1) / 2) * across * 0.6
                inner = [(255, 250, 235), (240, 150, 40), (60, 60, 65)][k % 3]
                self.disc(spot, v, across * 0.25, down * 0.6, inner)
            if rng.random() < 0.5:  # fog lamps and reflectors, small bright boards at the side
                low = float(rng.uniform(0.78, 0.86))
                tone = (225, 30, 25) if back else (235, 235, 225)
                self.board(u, low, rng.uniform(0.05, 0.13), rng.uniform(0.02, 0.05), tone)

    def _grille(self, back: bool, bumper: float) -> None:
        rng = self.rng
        top = float(rng.uniform(0.46, 0.52)) if not back else bumper + 0.12
        low, half = top + float(rng.uniform(0.06, 0.16)), float(rng.uniform(0.12, 0.3))
        corners = [(0.5 - half, top), (0.5 + half, top), (0.5 + half * 0.9, low)]
        self.area([*corners, (0.5 - half * 0.9, low)], rng.uniform(10, 60, 3))
        chrome = rng.uniform(60, 240)
        for k in np.linspace(top, low, int(rng.integers(2, 8))):
            self.line((0.5 - half * 0.92, k), (0.5 + half * 0.92, k), [chrome] * 3, 0.006)
        if rng.random() < 0.4:
            for u in np.linspace(0.5 - half * 0.9, 0.5 + half * 0.9, int(rng.integers(5, 20))):
                self.line((u, top), (u, low), [chrome * 0.8] * 3, 0.006)

    def _badges(self, faces: list[Path]) -> None:
        rng = self.rng
        if rng.random() < 0.8:
            v, tone = float(rng.uniform(0.44, 0.56)), rng.uniform(130, 250, 3)
            self.disc(0.5, v, 0.035, rng.uniform(0.02, 0.035), tone)
            self.disc(0.5, v, 0.02, 0.015, tone * rng.uniform(0.2, 0.9))
        for _ in range(int(rng.integers(0, 4))):
            words = MAKES[rng.integers(len(MAKES))]
            if rng.random() < 0.5:
                words = "".join(rng.choice(list(LETTERS), rng.integers(3, 9)))
            x, y = self.at(float(rng.uniform(0.1, 0.7)), float(rng.uniform(0.4, 0.7)))
            size = max(5, int(self.w * rng.uniform(0.03, 0.08)))
            written(self.image, faces[rng.integers(len(faces))], words, (x, y), size, rng)

    def _spot(self, back: bool) -> tuple[float, float]:
        v = self.rng.uniform(0.52, 0.85) if back else self.rng.uniform(0.7, 0.86)
        u = 0.5 if self.rng.random() < 0.85 else self.rng.uniform(0.3, 0.7)
        return float(u), float(v)

    def _without(self, back: bool) -> None:
        """The place of a plate without one: a recess, or a blank board."""
        u, v = self._spot(back)
        wide = float(self.rng.uniform(0.18, 0.34))
        self.board(u, v, wide, wide * self.rng.uniform(0.2, 0.5), self.rng.uniform(10, 120, 3))

    def _plate(self, faces: list[Path], back: bool) -> Box | None:
        rng = self.rng
        sprite, (wide, high) = draw_plate(rng, faces)
        u, v = self._spot(back)
        by = float(rng.uniform(0.17, 0.36)) * self.w / wide
        if back and rng.random() < 0.6:  # the recess of the boot's lid
            recess = wide * by / self.w
            self.board(u, v, recess * 1.5, recess * 0.75, self.paint * rng.uniform(0.3, 0.8))
        middle = self.at(u, v)
        turn = np.array(
            [
                [by, rng.normal(0, 0.02), middle[0] - by * CANVAS_PX[0] / 2],
                [self.shear * by, by, middle[1] - by * CANVAS_PX[1] / 2],
            ],
            np.float32,
        )
        size = (self.image.shape[1], self.image.shape[0])
        layer = cv2.warpAffine(sprite.astype(np.float32), turn, size, flags=cv2.INTER_AREA)
        cover = layer[..., 3:] / 255
        self.image[:] = self.image * (1 - cover) + layer[..., :3] * cover * rng.uniform(0.6, 1.05)
        half = (wide * by / 2, high * by / 2)
        return middle[0] - half[0], middle[1] - half[1], middle[0] + half[0], middle[1] + half[1]


def written(
    image: Floats, font: Path, words: str, at: tuple[int, int], size: int, rng: np.random.Generator
) -> None:
    """Words straight on the picture, in any colour."""
    picture = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    fill = tuple(int(v) for v in rng.integers(0, 256, 3))
    ImageDraw.Draw(picture).text(at, words, font=ImageFont.truetype(str(font), size), fill=fill)
    image[:] = np.asarray(picture, np.float32)
