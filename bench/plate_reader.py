"""Reads plates, to see what can still be read under a mask: for benchmarks only.

The recogniser in the wheel rapidocr-onnxruntime (`pip install --no-deps
rapidocr-onnxruntime==1.4.4`), or any such file: lines 48 px high, CTC over the characters that
the file names.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mastra_ros.inference.engines.reporting import load_onnxruntime

HIGH_PX = 48
PLACE = "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx"


class PlateReader:
    """The text on the picture of a plate."""

    def __init__(self, model: Path) -> None:
        options = load_onnxruntime().SessionOptions()
        options.intra_op_num_threads = 1
        self._session: Any = load_onnxruntime().InferenceSession(str(model), options)
        named = self._session.get_modelmeta().custom_metadata_map["character"].splitlines()
        self._letters = ["", *named, " "]

    @classmethod
    def installed(cls) -> PlateReader | None:
        """That of the wheel; None without it."""
        try:
            place = distribution("rapidocr-onnxruntime").locate_file(PLACE)
        except PackageNotFoundError:
            return None
        return cls(Path(str(place)))

    def read(self, plate: NDArray[Any]) -> str:
        """The letters and digits, without anything between."""
        high, wide = plate.shape[:2]
        size = (max(16, round(wide * HIGH_PX / high)), HIGH_PX)
        line = cv2.resize(plate, size, interpolation=cv2.INTER_CUBIC).astype(np.float32)
        values = ((line / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None]
        name = self._session.get_inputs()[0].name
        best = self._session.run(None, {name: values})[0][0].argmax(1)
        kept = [int(b) for a, b in zip([-1, *best], best, strict=False) if b and a != b]
        return plain("".join(self._letters[k] for k in kept if k < len(self._letters)))


def plain(text: str) -> str:
    """A plate's text as it is compared."""
    return "".join(letter for letter in text.upper() if letter.isascii() and letter.isalnum())
