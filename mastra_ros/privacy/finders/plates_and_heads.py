"""Plates and heads, by the network that `train/privacy` makes: models/privacy/README.md.

It reads each 4x4 px cell of a picture: the chance of a centre, and the distances to four sides. It
learned plates of 13 to 230 px and heads of 6 to 55 px. So it sees the picture a little enlarged,
where the smallest plates that can be read are plainer to it, and made smaller, for what is large.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .boxes import Floats, best, bgr, checked, joined, resized, scaled
from .network import AUTO, open_network
from .planes import Planes
from .region import HEAD, PLATE, Image, Region
from .second_look import SecondLook

STRIDE_PX = 4
MULTIPLE_PX = 16
KINDS = (PLATE, HEAD)
SCALES = (1.25, 0.4)
LEAST_SIDE_PX = 96
"""A picture is not made smaller than this for the sake of what is large."""
LARGE_PX = {PLATE: 60.0, HEAD: 20.0}
"""In smaller pictures only what is at least so wide there counts: the rest was seen larger."""


class PlatesAndHeads:
    """See `Finder`. scales: the sizes at which the picture is seen, times its own.

    second: looks again at what was taken for plates, and is closed with this.
    """

    name = "plates_and_heads"

    def __init__(
        self,
        model: Path,
        digest: str,
        *,
        score_min: float,
        threads: int = 1,
        engine: str = AUTO,
        scales: Sequence[float] = SCALES,
        second: SecondLook | None = None,
    ) -> None:
        self.digest = digest
        self._engine = open_network(model, engine=engine, threads=threads)
        self._planes = Planes(MULTIPLE_PX)
        self._score_min = score_min
        self._scales = tuple(scales)
        self._second = second

    def find(self, image: Image) -> list[Region]:
        """All plates and heads, those seen at several sizes once."""
        colours = bgr(image)
        found: list[Region] = []
        for scale in self._scales:
            seen = resized(colours, scale)
            if scale < 1.0 and min(seen.shape[:2]) < LEAST_SIDE_PX:
                continue
            across, down = colours.shape[1] / seen.shape[1], colours.shape[0] / seen.shape[0]
            found += [
                scaled(region, across, down)
                for region in self._at(seen)
                if scale >= 1.0 or region.width >= LARGE_PX[region.kind]
            ]
        found = joined(found)
        if self._second is None:
            return found
        plates = [region for region in found if region.kind == PLATE]
        heads = [region for region in found if region.kind != PLATE]
        return [*self._second.sifted(colours, plates), *heads]

    def _at(self, seen: Image) -> list[Region]:
        outputs = self._engine.run(self._planes.of(seen))
        heat, sides = (output[0] for output in checked(self.name, outputs))
        found: list[Region] = []
        for chance, kind in zip(heat, KINDS, strict=True):
            rows, columns = np.nonzero(chance >= self._score_min)
            if len(rows):
                found += best(_boxes(sides, rows, columns), chance[rows, columns], kind)
        return found

    def close(self) -> None:
        """Free the networks."""
        self._engine.close()
        if self._second is not None:
            self._second.close()


def _boxes(sides: Floats, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Floats:
    """(N, 4) left, top, right, bottom in px, of these cells."""
    x, y = (columns + 0.5) * STRIDE_PX, (rows + 0.5) * STRIDE_PX
    left, top, right, bottom = sides[:, rows, columns]
    return np.stack([x - left, y - top, x + right, y + bottom], 1).astype(np.float32)
