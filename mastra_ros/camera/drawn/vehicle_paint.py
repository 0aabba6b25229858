"""Paints drawn vehicles into a picture: what is seen of them, the far before the near."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .plate_drawn import draw_plate
from .road_view import NEAREST_M, Floats, RoadView
from .vehicle_shape import Shape

Image = NDArray[np.uint8]

SHIFT = 4
"""Bits of a px below the point, for OpenCV."""
PLATE_LEAST_PX = 7.0


@dataclass(frozen=True)
class Painted:
    """What was painted of one body: its box in px, not cut at the border, and its plate's corners.

    plate: (4, 2) px from the top left, None where none is seen or it is too small to be one.
    """

    box: tuple[float, float, float, float]
    plate: Floats | None


class Body:
    """A shape with its polygons side by side, ready to be placed; `plate` is its text."""

    def __init__(self, shape: Shape, plate: str = "", country: str = "eu") -> None:
        self.shape = shape
        self.plate = plate
        self._country = country
        faces = sorted(shape.faces, key=lambda face: face.layer)
        self._points = np.concatenate([face.points for face in faces])
        ends = np.cumsum([len(face.points) for face in faces])
        self._faces = list(zip([0, *ends[:-1]], ends, faces, strict=True))
        self._picture: Image | None = None

    def place(self, x_m: float, y_m: float, heading_rad: float, points: Floats) -> Floats:
        """Points of the body, in the world. A heading of 0 looks along x, pi / 2 away."""
        cos, sin = math.cos(heading_rad), math.sin(heading_rad)
        turn = np.array([[cos, sin], [-sin, cos]])
        placed: Floats = points.copy()
        placed[:, :2] = points[:, :2] @ turn + (x_m, y_m)
        return placed

    def paint(
        self,
        image: Image,
        view: RoadView,
        x_m: float,
        y_m: float,
        heading_rad: float,
        light: float = 1.0,
        lamps: bool = False,
    ) -> Painted | None:
        """Paint it there; None where nothing of it is in the picture. lamps: they shine."""
        spots, far = view.project(self.place(x_m, y_m, heading_rad, self._points))
        if far.min() < NEAREST_M:
            return None
        low, high = spots.min(0), spots.max(0)
        tall, wide = image.shape[:2]
        if high[0] <= 0 or high[1] <= 0 or low[0] >= wide or low[1] >= tall:
            return None
        self._shadow(image, view, x_m, y_m, heading_rad)
        fixed = np.round(spots * (1 << SHIFT)).astype(np.int32)
        depth = [
            (face.layer, -far[a:b].mean(), a, b, face)
            for a, b, face in self._faces
            if _area(spots[a:b]) < 0
        ]
        for _, _, a, b, face in sorted(depth, key=lambda one: one[:2]):
            shine = lamps and face.layer == 1 and max(face.colour) > 180 and b - a == 4
            colour = face.colour if shine else tuple(c * light for c in face.colour)
            cv2.fillPoly(image, [fixed[a:b]], colour, cv2.LINE_AA, SHIFT)
        return Painted(
            (low[0], low[1], high[0], high[1]),
            self._put_plate(image, view, x_m, y_m, heading_rad, light),
        )

    def outline(self, view: RoadView, x_m: float, y_m: float, heading_rad: float) -> Floats:
        """The corners (n, 2) in px of the least convex polygon around it."""
        spots, _ = view.project(self.place(x_m, y_m, heading_rad, self._points))
        return np.asarray(cv2.convexHull(spots.astype(np.float32))[:, 0], np.float64)

    def _shadow(self, image: Image, view: RoadView, x: float, y: float, heading: float) -> None:
        half, side = self.shape.length_m / 2 + 0.1, self.shape.width_m / 2 + 0.15
        flat = np.array([(-half, -side, 0), (half, -side, 0), (half, side, 0), (-half, side, 0)])
        spots, far = view.project(self.place(x, y, heading, flat))
        if far.min() < NEAREST_M:
            return
        a, b = np.floor(spots.min(0)).astype(int), np.ceil(spots.max(0)).astype(int) + 1
        a, b = np.maximum(a, 0), np.minimum(b, (image.shape[1], image.shape[0]))
        if (b <= a).any():
            return
        part = image[a[1] : b[1], a[0] : b[0]]
        cover = np.zeros(part.shape[:2], np.uint8)
        fixed = np.round((spots - a) * (1 << SHIFT)).astype(np.int32)
        cv2.fillPoly(cover, [fixed], 255, cv2.LINE_AA, SHIFT)
        dark = cv2.convertScaleAbs(part, alpha=0.42)
        cv2.copyTo(dark, cover, part)

    def _put_plate(
        self, image: Image, view: RoadView, x: float, y: float, heading: float, light: float
    ) -> Floats | None:
        for corners in self.shape.plates if self.plate else ():
            spots, far = view.project(self.place(x, y, heading, corners))
            across = float(np.linalg.norm(spots[1] - spots[0]))
            if far.min() < NEAREST_M or _area(spots) <= 0 or across < PLATE_LEAST_PX:
                continue
            a, b = np.floor(spots.min(0)).astype(int), np.ceil(spots.max(0)).astype(int) + 1
            a, b = np.maximum(a, 0), np.minimum(b, (image.shape[1], image.shape[0]))
            if (b <= a).any():
                return None
            if self._picture is None:
                self._picture = draw_plate(self.plate, self._country)
            picture = self._picture
            high, wide = picture.shape[:2]
            # Halved until it is hardly larger than it will be seen: what is small is not aliased.
            while wide > 2.2 * across and wide > 16:
                picture = np.asarray(
                    cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
                    np.uint8,
                )
                high, wide = picture.shape[:2]
            source = np.array([(0, 0), (wide, 0), (wide, high), (0, high)], np.float32)
            move = cv2.getPerspectiveTransform(source, (spots - a).astype(np.float32))
            size = (int(b[0] - a[0]), int(b[1] - a[1]))
            lit = cv2.convertScaleAbs(picture, alpha=light)
            seen = cv2.warpPerspective(lit, move, size, flags=cv2.INTER_LINEAR)
            cover = np.zeros((size[1], size[0]), np.uint8)
            fixed = np.round((spots - a) * (1 << SHIFT)).astype(np.int32)
            cv2.fillPoly(cover, [fixed], 255, cv2.LINE_8, SHIFT)
            cv2.copyTo(seen, cover, image[a[1] : b[1], a[0] : b[0]])
            return spots
        return None


def _area(spots: Floats) -> float:
    """Twice the area of a polygon in px; below 0 where its points go counter-clockwise."""
    x, y = spots[:, 0], spots[:, 1]
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))
