"""The project's own reader of plates."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np

from mastra_ros.errors import ConfigError, ModelError
from mastra_ros.inference.engines.onnx import OnnxEngine
from mastra_ros.share import share_file

from .reading import Floats, Image, Reading, of_places

FILE = "models/traffic/plate_reader.onnx"
SIZE_PX = (160, 48)
NOTHING_LEAST = 0.1
"""It learned from drawn plates only, and takes seals and marks of countries for letters so often:
any letter may be left out at this chance."""


class OwnReader:
    """See `Reader`. Any file with the same input and output serves."""

    name = "own"
    whole = True

    def __init__(self, path: Path | None = None, *, threads: int = 1) -> None:
        if path is None:
            try:
                path = share_file(FILE)
            except ConfigError as error:
                raise ModelError(f"reader own: {error}") from error
        self.digest = hashlib.sha256(path.read_bytes()).hexdigest()
        self._engine = OnnxEngine(path, threads=threads)

    def read(self, plates: list[Image]) -> list[Reading]:
        if not plates:
            return []
        outputs = self._engine.run(np.stack([_evened(plate) for plate in plates])[:, None])
        chances = outputs[0]
        if chances.ndim != 3 or chances.shape[2] != 37 or not np.isfinite(chances).all():
            raise ModelError(f"reader own: expected chances (n, places, 37), got {chances.shape}")
        return [_doubted(of_places(np.asarray(one, np.float32))) for one in chances]

    def close(self) -> None:
        self._engine.close()


def _doubted(reading: Reading) -> Reading:
    (places,) = reading.views
    places = places.copy()
    places[:, -1] = np.maximum(places[:, -1], NOTHING_LEAST)
    return Reading(reading.letters, (places,))


def _evened(plate: Image) -> Floats:
    """Grey (48, 160), of mean 0 and spread 1."""
    grey = plate if plate.ndim == 2 else cv2.cvtColor(plate, cv2.COLOR_BGR2GRAY)
    how = cv2.INTER_AREA if grey.shape[0] > SIZE_PX[1] else cv2.INTER_LINEAR
    values = cv2.resize(grey, SIZE_PX, interpolation=how).astype(np.float32) / 255
    return np.asarray((values - values.mean()) / (values.std() + 0.02), np.float32)
