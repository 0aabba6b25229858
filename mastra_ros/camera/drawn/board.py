"""Synthetic bare printed circuit boards with ground truth, in the look of DeepPCB.

As in DeepPCB (Tang et al., "Online PCB Defect Detector On A New PCB Defect Dataset", 2019) copper
is black (0), the substrate white (255), and every defect is boxed with a margin of about 10 px on a
board of 640 px. All lengths below are in units of 1/640 of the board's longer side, so that a board
letterboxed into 640x640 always shows lines and defects of the same size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from mastra_ros.camera.drawn.board_layout import Layout, draw_layout, go_on

LABELS = ("open", "short", "mousebite", "spur", "copper", "pin_hole")
BOX_MARGIN = 10.0
ATTEMPTS_PER_DEFECT = 60

# By how much each kind changes the number of pieces of copper and of substrate in its surroundings;
# None: by any number.
_PIECES: dict[str, tuple[int | None, int | None]] = {
    "open": (1, None),
    "short": (-1, None),
    "mousebite": (0, 0),
    "spur": (0, 0),
    "copper": (1, 0),
    "pin_hole": (0, 1),
}

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class BoardDefect:
    """One defect: its label and its box in pixels of the board's image."""

    label: str
    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True)
class Board:
    """A drawn board: `image` (H, W) uint8 gray, and the defects on it."""

    image: Image
    defects: tuple[BoardDefect, ...]


def draw_board(
    rng: np.random.Generator,
    width_px: int = 640,
    height_px: int = 640,
    defect_count: int | None = None,
    *,
    links: bool = False,
    pause: Callable[[], None] = go_on,
) -> Board:
    """Draw a board with `defect_count` defects: 3 to 10 where None, 0 for a clean board.

    `links` adds short traces between pads, which look much like shorts; made for training.
    `pause` is called every few milliseconds of work.
    A crowded or nearly empty board may lack the place for some; `Board.defects` is the truth.

    Raises:
        ValueError: a side is shorter than 64 px, or the count is negative.
    """
    if min(width_px, height_px) < 64:
        raise ValueError(f"expected sides of at least 64 px, got {width_px}x{height_px} px")
    if defect_count is not None and defect_count < 0:
        raise ValueError(f"expected a defect count of 0 or more, got {defect_count}")
    layout = draw_layout(rng, width_px, height_px, links=links, pause=pause)
    count = int(rng.integers(3, 11)) if defect_count is None else defect_count
    pause()
    painter = _Painter(rng, layout)
    for _ in range(count):
        pause()
        painter.add_any()
    image = np.where(painter.copper > 0, 0, 255).astype(np.uint8)
    return Board(image=image, defects=tuple(painter.defects))


class _Painter:
    """Adds defects to a copper mask, each where it makes sense and apart from the others."""

    def __init__(self, rng: np.random.Generator, layout: Layout) -> None:
        self.rng = rng
        self.unit = layout.unit_px
        self.copper = layout.copper.copy()
        self.segments = layout.segments
        self.defects: list[BoardDefect] = []
        clean = layout.copper
        # Distances to the other side, in units; the image's border counts as neither side.
        self.inside = cv2.distanceTransform(clean, cv2.DIST_L2, 3) / self.unit
        self.outside = cv2.distanceTransform(1 - clean, cv2.DIST_L2, 3) / self.unit
        self.clean = clean
        self.nets = cv2.connectedComponents(clean, connectivity=4)[1]
        smooth = cv2.GaussianBlur(clean.astype(np.float32), (0, 0), 2.0 * self.unit)
        self.slope_x = cv2.Sobel(smooth, cv2.CV_32F, 1, 0)
        self.slope_y = cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
        edge = (self.clean > 0) & (self.inside <= 1.5 / self.unit)
        self.edge_points = np.argwhere(edge)

    def add_any(self) -> None:
        """Add one defect of a random kind; another kind where this board has no place for it."""
        for label in self.rng.permutation(LABELS):
            for _ in range(ATTEMPTS_PER_DEFECT):
                if getattr(self, f"_{label}")():
                    return

    def _open(self) -> bool:
        """A cut across a trace."""
        if not self.segments:
            return False
        segment = self.segments[int(self.rng.integers(len(self.segments)))]
        start, end = np.array(segment.start), np.array(segment.end)
        length = float(np.hypot(*(end - start)))
        if length < 40 * self.unit:
            return False
        along = (end - start) / length
        across = np.array([-along[1], along[0]])
        centre = start + along * self.rng.uniform(18 * self.unit, length - 18 * self.unit)
        half = segment.width / 2
        for side in (-1.0, 1.0):
            if not self._is(centre + side * across * (half + 5 * self.unit), copper=False):
                return False
            if not self._is(centre + side * across * max(half - 2 * self.unit, 0), copper=True):
                return False
        slant = along * self.rng.normal(0, 0.35) * half
        reach = half + 2 * self.unit
        ends = (centre - across * reach - slant, centre + across * reach + slant)
        thickness = self.rng.uniform(4, 12) if half < 12 * self.unit else self.rng.uniform(3, 9)
        stroke = self._stroke(ends, thickness, bend=0.15)
        return self._apply("open", stroke, copper=False)

    def _short(self) -> bool:
        """A bridge over the gap between two nets."""
        point, normal = self._edge()
        gap = self._run(point, normal, copper=False, limit=50 * self.unit)
        if gap is None or gap < 7 * self.unit:
            return False
        if self.nets[self._index(point)] == self.nets[self._index(point + normal * gap)]:
            return False
        tilt = np.array([-normal[1], normal[0]]) * self.rng.normal(0, 0.12) * gap
        ends = (point - normal * 3 * self.unit, point + normal * (gap + 3 * self.unit) + tilt)
        stroke = self._stroke(ends, self.rng.uniform(4, 13), bend=0.2)
        return self._apply("short", stroke, copper=True)

    def _mousebite(self) -> bool:
        """A bite into an edge that leaves some copper behind it."""
        point, normal = self._edge()
        thickness = self._run(point - normal, -normal, copper=True, limit=80 * self.unit)
        thickness = 80 * self.unit if thickness is None else thickness
        depth = min(self.rng.uniform(6, 18) * self.unit, 0.6 * thickness)
        if depth < 4.5 * self.unit:
            return False
        ends = (point + normal * self.unit, point - normal * depth + self._jitter(0.3 * depth))
        stroke = self._stroke(ends, self.rng.uniform(5, 11), bend=0.25, cap=False)
        return self._apply("mousebite", stroke, copper=False)

    def _spur(self) -> bool:
        """A thorn on an edge that does not reach other copper."""
        point, normal = self._edge()
        length = self.rng.uniform(7, 18) * self.unit
        gap = self._run(point, normal, copper=False, limit=length + 9 * self.unit)
        if gap is not None:
            return False
        tip = point + normal * length + self._jitter(0.35 * length)
        if not self._in_image(tip) or self.outside[self._index(tip)] < 5:
            return False
        ends = (point - normal * 2 * self.unit, tip)
        stroke = self._stroke(ends, self.rng.uniform(5, 11), bend=0.25, cap=False)
        return self._apply("spur", stroke, copper=True)

    def _copper(self) -> bool:
        """A spot of copper that touches nothing."""
        point = self._anywhere()
        radius = self.rng.uniform(3, 11)
        if self.outside[self._index(point)] < radius + 6:
            return False
        return self._apply("copper", self._blob(point, radius), copper=True)

    def _pin_hole(self) -> bool:
        """A hole inside copper that touches no edge."""
        point = self._anywhere()
        room = float(self.inside[self._index(point)]) - 3
        if room < 3:
            return False
        radius = self.rng.uniform(3, min(10, room))
        return self._apply("pin_hole", self._blob(point, radius), copper=False)

    def _apply(self, label: str, stroke: Image, *, copper: bool) -> bool:
        """Paint the stroke if it is this kind of defect, apart from others; box what it changed."""
        changed = (stroke > 0) & (self.copper == (0 if copper else 1))
        ys, xs = np.nonzero(changed)
        if len(xs) < 12 * self.unit**2:
            return False
        margin = BOX_MARGIN * self.unit
        height, width = self.copper.shape
        x1, y1 = max(float(xs.min()) - margin, 0.0), max(float(ys.min()) - margin, 0.0)
        x2 = min(float(xs.max()) + 1 + margin, float(width))
        y2 = min(float(ys.max()) + 1 + margin, float(height))
        if max(x2 - x1, y2 - y1) > 130 * self.unit:
            return False
        for other in self.defects:
            if x1 < other.x2 and other.x1 < x2 and y1 < other.y2 and other.y1 < y2:
                return False
        window = np.s_[
            max(int(y1 - margin), 0) : int(y2 + margin), max(int(x1 - margin), 0) : int(x2 + margin)
        ]
        after = np.where(changed, 1 if copper else 0, self.copper)[window].astype(np.uint8)
        before = self.copper[window]
        wanted = _PIECES[label]
        if wanted[0] != _pieces(after) - _pieces(before):
            return False
        if wanted[1] not in (None, _pieces(1 - after) - _pieces(1 - before)):
            return False
        self.copper[window] = after
        self.defects.append(BoardDefect(label, x1, y1, x2, y2))
        return True

    def _stroke(
        self,
        ends: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
        thickness: float,
        *,
        bend: float,
        cap: bool = True,
    ) -> Image:
        """Mask (H, W) of a slightly bent line; without `cap` it grows thinner towards its end."""
        mask: Image = np.zeros_like(self.copper)
        start, end = ends
        length = float(np.hypot(*(end - start)))
        middle = (start + end) / 2 + self._jitter(bend * length)
        steps = np.linspace(0, 1, 9)[:, None]
        curve = (1 - steps) ** 2 * start + 2 * steps * (1 - steps) * middle + steps**2 * end
        taper = self.rng.uniform(0.2, 1.0) if not cap else 1.0
        for i in range(8):
            share = 1 - (1 - taper) * i / 7
            wobble = self.rng.uniform(0.8, 1.15)
            width = max(1, round(thickness * self.unit * share * wobble))
            a, b = np.rint(curve[i]).astype(int), np.rint(curve[i + 1]).astype(int)
            cv2.line(mask, (int(a[0]), int(a[1])), (int(b[0]), int(b[1])), 1, width)
        return mask

    def _blob(self, point: npt.NDArray[np.float64], radius: float) -> Image:
        """Mask (H, W) of an irregular spot within `radius` units of the point."""
        mask: Image = np.zeros_like(self.copper)
        kind = self.rng.random()
        if kind < 0.35:
            angle = self.rng.uniform(0, np.pi)
            reach = np.array([np.cos(angle), np.sin(angle)]) * radius * self.unit * 0.7
            return self._stroke((point - reach, point + reach), 0.6 * radius + 1.5, bend=0.3)
        corners = int(self.rng.integers(5, 11))
        angles = np.sort(self.rng.uniform(0, 2 * np.pi, corners))
        if kind < 0.55:
            angles, reach_1d = np.linspace(0, 2 * np.pi, 16), np.full(16, 0.8)
        else:
            reach_1d = self.rng.uniform(0.5, 1.0, corners)
        offsets = np.stack([np.cos(angles), np.sin(angles)], axis=1) * reach_1d[:, None]
        polygon = np.rint(point + offsets * radius * self.unit).astype(np.int32)
        cv2.fillPoly(mask, [polygon], 1)
        return mask

    def _edge(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """A random point (x, y) on a copper edge, and the unit normal away from copper."""
        if len(self.edge_points) == 0:
            return self._anywhere(), np.array([1.0, 0.0])
        y, x = self.edge_points[int(self.rng.integers(len(self.edge_points)))]
        normal = -np.array([self.slope_x[y, x], self.slope_y[y, x]], dtype=np.float64)
        return np.array([float(x), float(y)]), normal / (float(np.hypot(*normal)) + 1e-9)

    def _run(
        self,
        point: npt.NDArray[np.float64],
        direction: npt.NDArray[np.float64],
        *,
        copper: bool,
        limit: float,
    ) -> float | None:
        """Length in pixels of the run of copper (or substrate) along a ray; None beyond `limit`."""
        distance = 2.0 * self.unit
        while distance < limit:
            here = point + direction * distance
            if not self._in_image(here):
                return None
            if not self._is(here, copper=copper):
                return distance
            distance += max(0.7 * self.unit, 1.0)
        return None

    def _anywhere(self) -> npt.NDArray[np.float64]:
        height, width = self.copper.shape
        margin = 14 * self.unit
        return np.array(
            [self.rng.uniform(margin, width - margin), self.rng.uniform(margin, height - margin)]
        )

    def _jitter(self, scale: float) -> npt.NDArray[np.float64]:
        return self.rng.normal(0, max(scale, 1e-6), 2)

    def _in_image(self, point: npt.NDArray[np.float64]) -> bool:
        height, width = self.copper.shape
        return bool(0 <= point[0] < width - 0.5 and 0 <= point[1] < height - 0.5)

    def _index(self, point: npt.NDArray[np.float64]) -> tuple[int, int]:
        return round(float(point[1])), round(float(point[0]))

    def _is(self, point: npt.NDArray[np.float64], *, copper: bool) -> bool:
        """Whether the point lies in the image and on copper (or on substrate)."""
        return self._in_image(point) and bool(self.clean[self._index(point)]) == copper


def _pieces(mask: Image) -> int:
    """Number of connected pieces of a mask."""
    return int(cv2.connectedComponents(mask, connectivity=8)[0]) - 1
