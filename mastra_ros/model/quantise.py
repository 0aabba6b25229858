"""Post-training quantisation to full-integer int8, calibrated on the user's pictures.

Weights are quantised per channel and symmetrically, activations per tensor with the range that
calibration saw (Jacob et al., 2018, arXiv:1712.05877), by ai-edge-quantizer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, DependencyError, ModelError
from ..inference import Bundle
from ..inference.bundle import BundleInput
from ..inference.engine import TensorSpec
from ..inference.preprocess import fill, fit, value_table
from .dataset import Dataset
from .export import INSTALL, reason
from .progress import Progress, silent
from .quiet import quiet
from .tflite_file import read_model, write_model

FLOAT = np.dtype(np.float32)
Floats = NDArray[np.float32]


def feed_of(frame_source: Dataset, index: int, spec: BundleInput) -> Floats:
    """A picture as the network's float input (1, height, width, channels)."""
    tensor = TensorSpec("image", (1, spec.height_px, spec.width_px, spec.channels), FLOAT)
    image, _ = fit(frame_source.frame(index), spec)
    out = np.zeros((spec.height_px, spec.width_px, spec.channels), np.float32)
    fill(image, value_table(spec, tensor), out, "nhwc")
    return out[None]


def calibration_tensors(
    data: Dataset, spec: BundleInput, progress: Progress = silent
) -> list[Floats]:
    """What calibration feeds: every picture of `data`, prepared as frames are."""
    return [feed_of(data, i, spec) for i in progress(range(len(data)), "calibration pictures")]


def read_tensors(folder: Path, spec: BundleInput) -> list[Floats]:
    """Calibration tensors as .npy files, (height, width, channels) float32, ready for the network.

    Raises DataError where there is none, or one has another size.
    """
    wanted = (spec.height_px, spec.width_px, spec.channels)
    tensors = []
    for path in sorted(folder.glob("*.npy")):
        try:
            tensor = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: cannot be read: {error}") from error
        if tensor.shape != wanted:
            raise DataError(f"{path}: expected the shape {wanted}, got {tensor.shape}")
        tensors.append(tensor[None].astype(np.float32))
    if not tensors:
        raise DataError(f"{folder}: no .npy files in it")
    return tensors


def span(tensors: Sequence[Floats], spec: BundleInput) -> list[Floats]:
    """The tensors with one more that spans every value a pixel can have.

    So the input's scale does not depend on which pictures were drawn for calibration.
    """
    pixels = np.resize(np.array([0, 255], np.uint8), (spec.height_px, spec.width_px))
    mean, std = np.array(spec.mean), np.array(spec.std)
    ends = (pixels[..., None] - mean) / std
    extreme = tensors[0].copy()
    extreme[0, :2] = ends[:2].astype(np.float32)
    return [*tensors, extreme]


class _Batches:
    """Feeds the quantiser with one picture after the other."""

    def __init__(self, name: str, tensors: Sequence[Floats], progress: Progress) -> None:
        self._name, self._tensors, self._progress = name, tensors, progress

    def __iter__(self) -> Iterator[dict[str, Floats]]:
        for tensor in self._progress(self._tensors, "calibrate"):
            yield {self._name: tensor}


def quantise(
    float_path: Path,
    out: Path,
    tensors: Sequence[Floats],
    *,
    progress: Progress = silent,
) -> None:
    """Write the int8 model of a float one.

    Raises:
        DependencyError: ai-edge-quantizer is not installed.
        ModelError: the model cannot be quantised.
    """
    if not tensors:
        raise DataError("calibration needs at least one picture")
    try:
        with quiet():
            from ai_edge_litert.interpreter import Interpreter
            from ai_edge_quantizer import quantizer, recipe
    except ImportError as error:
        raise DependencyError(f"quantising needs ai-edge-quantizer: {INSTALL}") from error
    signatures: dict[str, Any] = Interpreter(str(float_path)).get_signature_list()
    if not signatures:
        raise ModelError(f"{float_path.name}: has no signature, which quantising needs")
    key = next(iter(signatures))
    name = signatures[key]["inputs"][0]
    try:
        tool = quantizer.Quantizer(str(float_path))
        tool.load_quantization_recipe(recipe.static_wi8_ai8())
        with quiet():
            ranges = tool.calibrate({key: _Batches(name, tensors, progress)})
            content = tool.quantize(ranges, enable_progress_report=False).quantized_model
    except (RuntimeError, ValueError, KeyError, NotImplementedError) as error:
        raise ModelError(f"{float_path.name}: cannot be quantised: {reason(error)}") from error
    out.write_bytes(bytes(content))
    write_model(read_model(out), out)


def picked(bundle: Bundle, data: Dataset, number: int, progress: Progress) -> list[Floats]:
    """Calibration tensors from `number` pictures of a dataset, with one of all pixel values."""
    return span(calibration_tensors(data.some(number), bundle.input, progress), bundle.input)
