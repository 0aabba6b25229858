"""The synthetic inspection line: boards on a belt, each frame a pure function of its number.

Boards as wide and as high as the picture follow one another with a gap on a dark belt. With
`motion=index` the belt carries the next board in, stands still while it is inspected, and goes on;
with `continuous` it never stops. Boards count from 1. Frame n of a seed is always the same picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ...errors import ConfigError
from ...types import MAX_SIDE_PX
from .board import BoardDefect
from .boards import BoardStore

BELT_GRAY = 32
"""Gray level of the belt; boards are 0 and 255."""

MOVING_SHARE = 0.4
"""Part of a board's time that an indexing belt moves."""

_SHIFT_PX = 61  # frames take their noise from one picture at so many offsets each way


@dataclass(frozen=True)
class LineOptions:
    """How the line looks and moves; checked at birth (ConfigError)."""

    seed: int = 1
    width_px: int = 640
    height_px: int = 640
    boards_per_minute: float = 30.0
    motion: str = "index"  # or continuous
    gap_px: int | None = None  # None: an eighth of the width
    noise: float = 1.5  # sigma of the sensor's noise, gray levels
    defect_rate: float = 0.5  # share of boards with defects
    encoding: str = "bgr8"  # or mono8
    rate_hz: float = 15.0  # frames a second of the line's time

    def __post_init__(self) -> None:
        wrong = []
        if self.seed < 0:
            wrong.append(f"seed: expected 0 or more, got {self.seed}")
        for name, side in (("width", self.width_px), ("height", self.height_px)):
            if not 64 <= side <= MAX_SIDE_PX:
                wrong.append(f"{name}: expected 64 to {MAX_SIDE_PX} px, got {side}")
        if not 0 < self.boards_per_minute <= 6000:
            wrong.append(f"boards_per_minute: expected 0 to 6000, got {self.boards_per_minute:g}")
        if self.motion not in ("index", "continuous"):
            wrong.append(f"motion: expected index or continuous, got {self.motion!r}")
        if self.gap_px is not None and not 0 <= self.gap_px <= MAX_SIDE_PX:
            wrong.append(f"gap_px: expected 0 to {MAX_SIDE_PX} px, got {self.gap_px}")
        if not 0 <= self.noise <= 60:
            wrong.append(f"noise: expected 0 to 60 gray levels, got {self.noise:g}")
        if not 0 <= self.defect_rate <= 1:
            wrong.append(f"defect_rate: expected 0 to 1, got {self.defect_rate:g}")
        if self.encoding not in ("mono8", "bgr8"):
            wrong.append(f"encoding: expected mono8 or bgr8, got {self.encoding!r}")
        if not 0 < self.rate_hz <= 1000:
            wrong.append(f"rate_hz: expected 0 to 1000 Hz, got {self.rate_hz:g}")
        if wrong:
            raise ConfigError(f"synthetic line: {'; '.join(wrong)}")

    @property
    def pitch_px(self) -> int:
        """From the left edge of a board to that of the next."""
        gap = round(self.width_px / 8) if self.gap_px is None else self.gap_px
        return self.width_px + gap


@dataclass(frozen=True)
class VisibleBoard:
    """A board in a frame: its number from 1, where its left edge is, and its defects.

    The boxes are in px of the frame, cut at its border; a defect outside is left out.
    """

    number: int
    x_px: int
    defects: tuple[BoardDefect, ...]


@dataclass(frozen=True)
class FrameTruth:
    """What frame `index` (from 0) shows. `standing`: one board fills the picture and rests."""

    index: int
    boards: tuple[VisibleBoard, ...]  # from left to right
    standing: bool

    @property
    def defects(self) -> tuple[BoardDefect, ...]:
        """Of all the boards in the frame."""
        return tuple(defect for board in self.boards for defect in board.defects)


class Line:
    """Draws the frames of a line. Costs one copy and two saturating additions a frame."""

    def __init__(self, options: LineOptions) -> None:
        self.options = options
        self._store = BoardStore(
            options.seed, options.width_px, options.height_px, options.defect_rate
        )
        self._noise = _noise(options) if options.noise > 0 else None

    def belt_px(self, index: int) -> int:
        """How far the belt has come at frame `index`: board k stands at (k - 1) pitches."""
        o = self.options
        cycles = index / o.rate_hz * o.boards_per_minute / 60
        if o.motion == "continuous":
            return round((cycles - 1) * o.pitch_px)
        done = math.floor(cycles)
        part = min((cycles - done) / MOVING_SHARE, 1.0)
        eased = part * part * (3 - 2 * part)
        return round((done - 1 + eased) * o.pitch_px)

    def image(self, index: int) -> npt.NDArray[np.uint8]:
        """Picture `index`: uint8 (height, width), or (height, width, 3) for bgr8; new each time."""
        o = self.options
        gray = np.full((o.height_px, o.width_px), BELT_GRAY, np.uint8)
        for number, x in self._visible(index):
            board = self._store.board(number).image
            left, right = max(x, 0), min(x + o.width_px, o.width_px)
            gray[:, left:right] = board[:, left - x : right - x]
        if self._noise is not None:
            # The numbers of numpy's seeded generators are the same everywhere.
            for salt, operation in enumerate((cv2.add, cv2.subtract)):
                dy, dx = np.random.default_rng([o.seed, index, salt]).integers(0, _SHIFT_PX, 2)
                noise = self._noise[salt][dy : dy + o.height_px, dx : dx + o.width_px]
                operation(gray, noise, dst=gray)
        if o.encoding == "mono8":
            return gray
        return np.asarray(cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR), np.uint8)

    def truth(self, index: int) -> FrameTruth:
        """What picture `index` shows."""
        boards = tuple(
            VisibleBoard(number, x, _shifted(self.board_truth(number), x, self.options))
            for number, x in self._visible(index)
        )
        at_rest = self.belt_px(index) == self.belt_px(index + 1) or (
            index > 0 and self.belt_px(index) == self.belt_px(index - 1)
        )
        return FrameTruth(index, boards, at_rest and [b.x_px for b in boards] == [0])

    def board_truth(self, number: int) -> tuple[BoardDefect, ...]:
        """The defects of board `number` (from 1), in px of the board."""
        return self._store.board(number).defects

    def close(self) -> None:
        """Stop drawing boards in advance."""
        self._store.close()

    def _visible(self, index: int) -> list[tuple[int, int]]:
        """Number and left edge of the boards in the picture, from left to right."""
        o = self.options
        belt = self.belt_px(index)
        first = max(1, (belt - o.width_px) // o.pitch_px + 2)
        edges = [(k, (k - 1) * o.pitch_px - belt) for k in (first, first + 1)]
        return [(k, x) for k, x in edges if -o.width_px < x < o.width_px]


def _noise(options: LineOptions) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """What is added to and what is taken from a picture: two halves of Gaussian noise.

    Each is the positive part of a Gaussian, larger than the picture by the shift. Their difference
    at independent shifts has nearly the wanted spread: the factor corrects for the two halves.
    """
    shape = (options.height_px + _SHIFT_PX, options.width_px + _SHIFT_PX)
    rng = np.random.default_rng([options.seed, 0x6E])
    # The difference of two such halves has the variance (1 - 1/pi) sigma^2.
    sigma = options.noise / math.sqrt(1 - 1 / math.pi)

    def half() -> npt.NDArray[np.uint8]:
        gauss = rng.standard_normal(shape, dtype=np.float32) * np.float32(sigma)
        # Random rounding keeps the spread of noise below one gray level.
        rounded = np.clip(gauss + rng.random(shape, dtype=np.float32), 0, 255)
        return np.asarray(rounded, np.uint8)

    return half(), half()


def _shifted(
    defects: tuple[BoardDefect, ...], x: int, options: LineOptions
) -> tuple[BoardDefect, ...]:
    """The boxes of a board whose left edge is at `x`, cut at the picture's border."""
    cut = (
        BoardDefect(d.label, max(d.x1 + x, 0.0), d.y1, min(d.x2 + x, float(options.width_px)), d.y2)
        for d in defects
    )
    return tuple(d for d in cut if d.x1 < d.x2)
