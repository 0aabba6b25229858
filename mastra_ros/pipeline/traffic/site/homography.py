"""From px to metres on the road, by points that somebody has measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mastra_ros.errors import ConfigError

Floats = NDArray[np.float64]

FLAT = 0.01
"""Three points whose triangle is smaller than this share of their span squared are on a line."""
POINTS_MIN, POINTS_MAX = 4, 64


@dataclass(frozen=True)
class Homography:
    """Takes px of a plane road to metres on it, and back."""

    matrix: Floats = field(repr=False)  # (3, 3)

    @classmethod
    def of_points(cls, px: Sequence[Sequence[float]], m: Sequence[Sequence[float]]) -> Homography:
        """The best one for these pairs, 4 or more. ConfigError where they do not tell it."""
        a, b = np.array(px, np.float64), np.array(m, np.float64)
        if a.shape != b.shape or a.ndim != 2 or a.shape[1] != 2 or len(a) < POINTS_MIN:
            raise ConfigError(f"homography: expected {POINTS_MIN} or more pairs px and m")
        for name, points in (("px", a), ("m", b)):
            if not np.isfinite(points).all():
                raise ConfigError(f"homography: {name}: expected finite numbers")
            if not _spans(points):
                raise ConfigError(
                    f"homography: {name}: expected four points of which no three are on one line, "
                    f"got {_told(points)}"
                )
        ta, tb = _centred(a), _centred(b)
        ha, hb = _apply(ta, a), _apply(tb, b)
        rows = []
        for (x, y), (u, v) in zip(ha, hb, strict=True):
            rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y, -u])
            rows.append([0, 0, 0, x, y, 1, -v * x, -v * y, -v])
        _, _, turned = np.linalg.svd(np.array(rows))
        matrix = np.linalg.inv(tb) @ turned[-1].reshape(3, 3) @ ta
        # On the side of the horizon where the measured points are, the divisor is above 0.
        divisors = np.hstack([a, np.ones((len(a), 1))]) @ matrix[2]
        made = cls(matrix / np.linalg.norm(matrix) * np.sign(np.median(divisors)))
        if not np.isfinite(made.matrix).all() or abs(np.linalg.det(made.matrix)) < 1e-18:
            raise ConfigError("homography: the points tell no plane")
        apart = np.abs(made.to_road(a) - b).max()
        if apart > 0.1 * np.ptp(b, axis=0).max():
            raise ConfigError(
                f"homography: the points contradict each other by {apart:.1f} m; are two mixed up?"
            )
        return made

    def to_road(self, px: Floats) -> Floats:
        """Places (n, 2) in m of px (n, 2); not a number at and above the horizon."""
        flat = np.hstack([px, np.ones((len(px), 1))]) @ self.matrix.T
        below = flat[:, 2] > 1e-12
        road = flat[:, :2] / np.where(below, flat[:, 2], 1.0)[:, None]
        return np.where(below[:, None], road, np.nan)

    def distance_m(self, a: Sequence[float], b: Sequence[float]) -> float:
        """Between two px, along the road."""
        road = self.to_road(np.array([a, b], np.float64))
        return float(np.hypot(*(road[1] - road[0])))


def _apply(matrix: Floats, points: Floats) -> Floats:
    flat = np.hstack([points, np.ones((len(points), 1))]) @ matrix.T
    return np.asarray(flat[:, :2] / flat[:, 2:])


def _centred(points: Floats) -> Floats:
    middle, spread = points.mean(0), max(float(points.std()), 1e-9)
    return np.array(
        [[1 / spread, 0, -middle[0] / spread], [0, 1 / spread, -middle[1] / spread], [0, 0, 1]]
    )


def _spans(points: Floats) -> bool:
    """Whether there are four of which no three are on one line."""
    span = float(np.ptp(points, axis=0).max())
    if span <= 0:
        return False
    least = FLAT * span**2
    count = len(points)

    def area(i: int, j: int, k: int) -> float:
        (ax, ay), (bx, by) = points[j] - points[i], points[k] - points[i]
        return abs(float(ax * by - ay * bx))

    for i in range(count):
        for j in range(i + 1, count):
            for k in range(j + 1, count):
                if area(i, j, k) <= least:
                    continue
                for n in range(k + 1, count):
                    if min(area(i, j, n), area(i, k, n), area(j, k, n)) > least:
                        return True
    return False


def _told(points: Floats) -> str:
    return ", ".join(f"({x:g}, {y:g})" for x, y in points[:6])
