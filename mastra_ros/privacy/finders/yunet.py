"""Faces by YuNet (OpenCV zoo, MIT), at the picture's own size and at 1.5 times: by choice.

`mastra model get yunet` brings it. OpenCV runs it, with a decoder of its own.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ...errors import ModelError
from ..region import FACE, Image, Region
from .boxes import bgr, checked, joined, resized, scaled

SCALES = (1.0, 1.5)
LEAST_SIDE_PX = 16


class YuNet:
    """See `Finder`."""

    name = "yunet"

    def __init__(self, model: Path, digest: str, *, score_min: float) -> None:
        self.digest = digest
        try:
            self._network = cv2.FaceDetectorYN.create(str(model), "", (320, 320), score_min)
        except cv2.error as error:
            raise ModelError(f"{model}: OpenCV cannot open it: {error.err}") from error

    def find(self, image: Image) -> list[Region]:
        """All faces, those seen at both sizes once."""
        colours = bgr(image)
        found: list[Region] = []
        for scale in SCALES:
            seen = resized(colours, scale)
            high, wide = seen.shape[:2]
            if min(high, wide) < LEAST_SIDE_PX:
                continue
            self._network.setInputSize((wide, high))
            _, rows = self._network.detect(seen)
            if rows is None:
                continue
            (rows,) = checked(self.name, [np.asarray(rows)])
            for x, y, w, h, *_, score in rows.tolist():
                if w > 0 and h > 0:
                    region = Region(x, y, w, h, FACE, min(1.0, max(0.0, score)))
                    found.append(scaled(region, colours.shape[1] / wide, colours.shape[0] / high))
        return joined(found)

    def close(self) -> None:
        """Free the network."""
        del self._network
