"""Pictures of a volume: three slices through a place, the borders of structures drawn in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .reconstruction import Volume
from .structures import Structure

Array = NDArray[Any]
Picture = NDArray[np.uint8]

COLOURS = ((60, 200, 255), (255, 160, 60), (120, 220, 90), (230, 110, 220), (90, 110, 255))
"""Blue, green, red; of the structures in their order."""
PLANES = (("x", "y", 2), ("x", "z", 1), ("y", "z", 0))
"""Across, down, and the axis (x 0, y 1, z 2) that a plane cuts."""
SIDE_PX = 360
BAR_PX = 26
GAP_PX = 6


def through(volume: Volume, found: Sequence[Structure]) -> tuple[int, int, int]:
    """The voxel (x, y, z) that slices go through: the centre of the largest structure, else of the
    box."""
    size = np.asarray(volume.grid.size)
    place = (size - 1) / 2.0
    if found:
        place = np.asarray(found[0].centre_mm) - np.asarray(volume.grid.origin_mm)
        place = place / np.asarray(volume.grid.spacing_mm)
    x, y, z = np.clip(np.floor(place + 0.5), 0, size - 1).astype(int).tolist()
    return x, y, z


def plane_picture(
    volume: Volume, found: Sequence[Structure], at: tuple[int, int, int], plane: int
) -> Picture:
    """One slice, (height, width, 3), every px as large as its mm say; 0 is never seen."""
    across, down, axis = PLANES[plane]
    names = ("x", "y", "z")
    a, d = names.index(across), names.index(down)
    index: list[Any] = [slice(None)] * 3
    index[2 - axis] = at[axis]
    gray = np.clip(np.floor(volume.values[tuple(index)] + 0.5), 0, 255).astype(np.uint8)
    grid = volume.grid
    wide_mm, high_mm = grid.size[a] * grid.spacing_mm[a], grid.size[d] * grid.spacing_mm[d]
    scale = SIDE_PX / max(wide_mm, high_mm)
    wide, high = max(1, round(wide_mm * scale)), max(1, round(high_mm * scale))
    picture = cv2.cvtColor(
        cv2.resize(gray, (wide, high), interpolation=cv2.INTER_LINEAR), cv2.COLOR_GRAY2BGR
    )
    cut_mm = grid.origin_mm[axis] + at[axis] * grid.spacing_mm[axis]
    low = np.array([grid.origin_mm[a], grid.origin_mm[d]])
    half = np.array([grid.spacing_mm[a], grid.spacing_mm[d]]) / 2
    for number, one in enumerate(found):
        for line in _cut(one.mesh.vertices[one.mesh.faces].astype(np.float64), axis, cut_mm, a, d):
            px = np.rint((line - low + half) * scale * 16 - 8).astype(np.int64)
            ends = [(int(x), int(y)) for x, y in px]
            colour = COLOURS[number % len(COLOURS)]
            cv2.line(picture, ends[0], ends[1], colour, 1, cv2.LINE_AA, 4)
    text = f"{across}, {down}   {names[axis]} = {cut_mm:.1f} mm"
    cv2.putText(picture, text, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1)
    return np.asarray(picture, np.uint8)


def three_slices(volume: Volume, found: Sequence[Structure], note: str) -> Picture:
    """Three slices side by side with a bar that says what it is not."""
    at = through(volume, found)
    pictures = [plane_picture(volume, found, at, plane) for plane in range(3)]
    height = max(len(one) for one in pictures)
    width = sum(one.shape[1] for one in pictures) + GAP_PX * (len(pictures) - 1)
    whole = np.zeros((height + BAR_PX, width, 3), np.uint8)
    left = 0
    for one in pictures:
        whole[: len(one), left : left + one.shape[1]] = one
        left += one.shape[1] + GAP_PX
    banner(whole, note)
    return whole


def banner(picture: Picture, note: str) -> None:
    """Write a note onto the lowest part of a picture, as large as fits."""
    picture[-BAR_PX:] = (40, 40, 160)
    scale = 0.5
    (wide, _), _ = cv2.getTextSize(note, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    scale *= min(1.0, (picture.shape[1] - 12) / max(1, wide))
    place = (6, picture.shape[0] - 9)
    cv2.putText(picture, note, place, cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), 1)


def png(picture: Picture) -> bytes:
    """As a file."""
    done, data = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    assert done
    return bytes(data)


def _cut(triangles: Array, axis: int, at_mm: float, across: int, down: int) -> Array:
    """(n, 2, 2): where a plane cuts triangles (m, 3, 3), as lines of two ends."""
    side = triangles[:, :, axis] - at_mm
    lines = []
    cut = triangles[(side.min(1) < 0) & (side.max(1) >= 0)]
    for corners in cut:
        height = corners[:, axis] - at_mm
        ends = []
        for i, j in ((0, 1), (1, 2), (2, 0)):
            if (height[i] < 0) != (height[j] < 0):
                share = height[i] / (height[i] - height[j])
                end = corners[i] + share * (corners[j] - corners[i])
                ends.append((end[across], end[down]))
        if len(ends) == 2:
            lines.append(ends)
    return np.asarray(lines).reshape(-1, 2, 2)
