"""The clean copper of a synthetic board: traces, bundles of traces, pads, vias and poured areas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]

# The eight directions that traces take, 45 degrees apart.
_DIRECTIONS = np.array([[np.cos(k * np.pi / 4), np.sin(k * np.pi / 4)] for k in range(8)])


@dataclass(frozen=True)
class Segment:
    """A straight piece of a trace: its ends (x, y) and its width, all in pixels."""

    start: tuple[float, float]
    end: tuple[float, float]
    width: float


@dataclass(frozen=True)
class Layout:
    """`copper` (H, W) uint8, 1 on copper; the trace segments; `unit_px` = longer side / 640."""

    copper: Mask
    segments: tuple[Segment, ...]
    unit_px: float


def go_on() -> None:
    """The pause of those who are in a hurry."""


def draw_layout(
    rng: np.random.Generator,
    width_px: int,
    height_px: int,
    *,
    links: bool = False,
    pause: Callable[[], None] = go_on,
) -> Layout:
    """Draw a clean board of one of three styles: fine traces, wide traces with pours, or pads.

    With `links`, short traces join pads to their neighbours, much like shorts do. `pause` is
    called every millisecond or so of work.
    """
    pen = _Pen(rng, width_px, height_px, pause)
    style = rng.choice(["fine", "wide", "pads"])
    area = width_px * height_px / (640 * pen.unit) ** 2
    if style == "wide":
        pen.pours(max(1, round(rng.integers(2, 5) * area)))
        pen.bundles(round(24 * area), widths=(18, 60), gaps=(16, 40), most=3)
    elif style == "pads":
        pen.pad_rows(max(1, round(rng.integers(2, 6) * area)))
        pen.bundles(round(45 * area), widths=(7, 14), gaps=(12, 26), most=3)
    else:
        if rng.random() < 0.5:
            pen.pours(1)
        pen.bundles(round(60 * area), widths=(6, 16), gaps=(9, 22), most=6)
    pen.vias(max(2, round(rng.integers(4, 16) * area)))
    if links:
        pen.links()
    return Layout(_roughen(rng, pen.copper, pen.unit), tuple(pen.segments), pen.unit)


class _Pen:
    """Draws elements where they keep clear of what is already there."""

    def __init__(
        self, rng: np.random.Generator, width_px: int, height_px: int, pause: Callable[[], None]
    ) -> None:
        self.rng = rng
        self.pause = pause
        self.size = np.array([width_px, height_px], dtype=np.float64)
        self.unit = max(width_px, height_px) / 640
        self.copper: Mask = np.zeros((height_px, width_px), np.uint8)
        self.blocked: Mask = np.zeros((height_px, width_px), np.uint8)
        self.segments: list[Segment] = []
        self.pads: list[tuple[Points, float]] = []

    def bundles(
        self, tries: int, *, widths: tuple[float, float], gaps: tuple[float, float], most: int
    ) -> None:
        """Parallel traces with bends of 45 degrees, cut short before they meet other copper."""
        base = self.rng.uniform(*widths) * self.unit
        for _ in range(tries):
            self.pause()
            width = base * self.rng.uniform(0.8, 1.25)
            pitch = width + self.rng.uniform(*gaps) * self.unit
            route = self._route(pitch)
            count = int(self.rng.integers(1, most + 1))
            end = int(self.rng.integers(0, 4))
            for k in range(count):
                self._trace(_offset(route, (k - (count - 1) / 2) * pitch), width, end)

    def pours(self, count: int) -> None:
        """Large areas of copper with bevelled corners."""
        for _ in range(count):
            self.pause()
            centre = self._point()
            half = self.rng.uniform(40, 150, 2) * self.unit
            bevel = self.rng.uniform(0, 0.6) * float(half.min())
            shape = _bevelled(centre, half, bevel)
            self._polygon(shape, clear=14 * self.unit)
            if self.rng.random() < 0.4:
                radius = self.rng.uniform(0.15, 0.35) * float(half.min())
                self._disc(centre, max(radius, 6 * self.unit), value=0)

    def pad_rows(self, count: int) -> None:
        """Rows of equal pads: rings, ovals with a hole, or rectangles."""
        for _ in range(count):
            self.pause()
            kind = self.rng.choice(["ring", "slot", "rectangle"])
            radius = self.rng.uniform(14, 30) * self.unit
            pitch = radius * self.rng.uniform(2.7, 4.0)
            step = _DIRECTIONS[int(self.rng.choice([0, 2]))] * pitch
            at = self._point()
            for _ in range(int(self.rng.integers(3, 9))):
                half = (
                    np.array([0.7, 1.2]) * radius if kind != "ring" else np.array([1, 1]) * radius
                )
                corner = 0.1 * radius if kind == "rectangle" else 0.55 * radius
                shape = _round(at, radius) if kind == "ring" else _bevelled(at, half, corner)
                if self._polygon(shape, clear=10 * self.unit) and kind != "rectangle":
                    self.pads.append((at, radius))
                    hole = self.rng.uniform(0.42, 0.6) * radius
                    self._disc(at, hole if kind == "ring" else 0.8 * hole, value=0)
                at = at + step

    def vias(self, count: int) -> None:
        """Single round pads, with or without a hole."""
        for _ in range(count):
            self.pause()
            radius = self.rng.uniform(9, 20) * self.unit
            at = self._point()
            if self._polygon(_round(at, radius), clear=10 * self.unit):
                self.pads.append((at, radius))
                if radius > 13 * self.unit:
                    self._disc(at, 0.5 * radius, value=0)

    def links(self) -> None:
        """Short straight traces that join single pads to the copper beside them."""
        for at, radius in self.pads:
            if self.rng.random() < 0.5:
                continue
            for k in self.rng.permutation(8):
                reach = self._gap(at, radius, _DIRECTIONS[k])
                if reach is not None:
                    width = min(self.rng.uniform(6, 14) * self.unit, radius)
                    ends = (at + _DIRECTIONS[k] * 0.85 * radius, at + _DIRECTIONS[k] * reach)
                    points = [np.rint(end).astype(np.int32) for end in ends]
                    cv2.line(self.copper, points[0].tolist(), points[1].tolist(), 1, round(width))
                    break

    def _gap(self, at: Points, radius: float, along: Points) -> float | None:
        """Distance in px from a pad's centre to other copper, if 10 to 60 units beyond its edge."""
        steps = np.arange(radius + 4 * self.unit, radius + 60 * self.unit, max(self.unit, 1.0))
        line = np.rint(at + steps[:, None] * along).astype(int)
        inside = ((line >= 0) & (line < self.size)).all(axis=1)
        hit = np.zeros(len(steps), bool)
        hit[inside] = self.copper[line[inside, 1], line[inside, 0]] > 0
        if not hit.any() or hit[0]:
            return None
        reach = float(steps[int(hit.argmax())])
        return reach + 3 * self.unit if reach > radius + 10 * self.unit else None

    def _trace(self, route: Points, width: float, end: int) -> None:
        """Draw the longest free beginning of a route; `end` chooses how a cut trace ends."""
        kept = [route[0]]
        whole = True
        for target in route[1:]:
            reach = self._free_until(kept[-1], target, width)
            if reach is not None:
                kept.append(reach)
                whole = False
                break
            kept.append(target)
        if len(kept) < 2 or float(np.hypot(*(kept[1] - kept[0]))) < 3 * width:
            return
        points = np.rint(np.array(kept)).astype(np.int32)
        thick = max(1, round(width))
        cv2.polylines(self.copper, [points], False, 1, thick)
        clear = max(1, round(width + 2 * 9 * self.unit))
        cv2.polylines(self.blocked, [points], False, 1, clear)
        self.segments += [
            Segment((float(a[0]), float(a[1])), (float(b[0]), float(b[1])), float(thick))
            for a, b in pairwise(kept)
        ]
        for tip, shown in ((kept[0], True), (kept[-1], not whole)):
            if shown and end > 0:
                radius = max(width * 0.9, 9 * self.unit)
                self._disc(tip, radius, value=1)
                if end > 1 and radius > 11 * self.unit:
                    self._disc(tip, 0.45 * radius, value=0)
                self._disc(tip, radius + 9 * self.unit, value=1, mask=self.blocked)

    def _free_until(self, start: Points, target: Points, width: float) -> Points | None:
        """Where a trace has to stop before blocked ground; None if it reaches its target."""
        length = float(np.hypot(*(target - start)))
        along = (target - start) / max(length, 1e-6)
        across = np.array([-along[1], along[0]]) * width / 2
        steps = np.arange(0, length, max(3 * self.unit, 1))
        line = start + steps[:, None] * along
        hit = np.zeros(len(steps), bool)
        for side in (-1.0, 0.0, 1.0):
            at = np.rint(line + side * across).astype(int)
            inside = ((at >= 0) & (at < self.size)).all(axis=1)
            hit[inside] |= self.blocked[at[inside, 1], at[inside, 0]] > 0
        if not hit.any():
            return None
        stop = max(float(steps[int(hit.argmax())]) - 12 * self.unit - width, 0.0)
        return np.asarray(start + along * stop)

    def _route(self, pitch: float) -> Points:
        """A polyline (K, 2) that starts anywhere, often on the border, and bends by 45 degrees."""
        heading = int(self.rng.choice([0, 2, 4, 6, 0, 2, 4, 6, 1, 3, 5, 7]))
        at = self._point()
        if self.rng.random() < 0.5:
            at = np.clip(
                at - _DIRECTIONS[heading] * 2000 * self.unit,
                -20 * self.unit,
                self.size + 20 * self.unit,
            )
        points = [at]
        for _ in range(int(self.rng.integers(1, 5))):
            length = self.rng.uniform(60, 320) * self.unit + 2 * pitch
            points.append(points[-1] + _DIRECTIONS[heading] * length)
            heading = (heading + int(self.rng.choice([-1, 1]))) % 8
        return np.array(points)

    def _polygon(self, shape: Points, clear: float) -> bool:
        """Fill the polygon (K, 2) unless it touches blocked ground; block `clear` px around it."""
        points = np.rint(shape).astype(np.int32)
        mask = np.zeros_like(self.copper)
        cv2.fillPoly(mask, [points], 1)
        if (mask & self.blocked).any():
            return False
        self.copper |= mask
        cv2.fillPoly(self.blocked, [points], 1)
        cv2.polylines(self.blocked, [points], True, 1, max(1, round(2 * clear)))
        return True

    def _disc(self, at: Points, radius: float, *, value: int, mask: Mask | None = None) -> None:
        centre = (round(float(at[0])), round(float(at[1])))
        target = self.copper if mask is None else mask
        cv2.circle(target, centre, max(1, round(radius)), value, -1)

    def _point(self) -> Points:
        return np.asarray(self.rng.uniform(0, 1, 2) * self.size)


def _offset(route: Points, distance: float) -> Points:
    """The route moved sideways by `distance` px, with mitred corners."""
    along = np.diff(route, axis=0)
    along /= np.hypot(along[:, 0], along[:, 1])[:, None]
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1)
    before = np.concatenate([normal[:1], normal])
    after = np.concatenate([normal, normal[-1:]])
    mitre = (before + after) / (1 + (before * after).sum(axis=1))[:, None]
    return np.asarray(route + mitre * distance)


def _bevelled(centre: Points, half: Points, bevel: float) -> Points:
    """Corners (8, 2) of a rectangle with bevelled corners."""
    w, h = float(half[0]), float(half[1])
    b = min(bevel, 0.9 * min(w, h))
    ring = [(-w + b, -h), (w - b, -h), (w, -h + b), (w, h - b)]
    ring += [(w - b, h), (-w + b, h), (-w, h - b), (-w, -h + b)]
    return np.asarray(centre + np.array(ring))


def _round(centre: Points, radius: float) -> Points:
    """Corners (24, 2) of a circle."""
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return np.asarray(centre + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1))


def _roughen(rng: np.random.Generator, copper: Mask, unit: float) -> Mask:
    """Make the edges slightly uneven, as in a binarised scan."""
    height, width = copper.shape
    small = (max(2, round(height / unit / 2)), max(2, round(width / unit / 2)))
    noise = rng.standard_normal(small, dtype=np.float32) * np.float32(rng.uniform(0.03, 0.14))
    uneven = cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)
    soft = cv2.GaussianBlur(copper.astype(np.float32), (0, 0), 1.2 * unit)
    return np.asarray(soft + uneven > 0.5).astype(np.uint8)
