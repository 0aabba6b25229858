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

from ...errors import DataError, DependencyError, ModelError
from ...inference.bundle import BundleInput
from ...inference.engines.engine import TensorSpec
from ...inference.preprocess import fill, fit, value_table
from ..dataset import Dataset
from ..needs import INSTALL
from ..progress import Progress, silent
from ..quiet import quiet
from ..tflite_file import name_of, read_model, write_model
from .export import reason

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


def limits_of(spec: BundleInput) -> tuple[float, float]:
    """The least and greatest value that a pixel can become in the network's input."""
    mean, std = np.array(spec.mean), np.array(spec.std)
    ends = np.stack([-mean / std, (255 - mean) / std])
    return float(ends.min()), float(ends.max())


def widest(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """The range of all pictures so far.

    The quantiser's own rule, a moving average, cuts off half of what residual networks reach.
    """
    return {
        **before,
        "min": np.minimum(before["min"], now["min"]),
        "max": np.maximum(before["max"], now["max"]),
    }


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
    limits: tuple[float, float] | None = None,
    progress: Progress = silent,
) -> None:
    """Write the int8 model of a float one.

    Args:
        limits: the input's range, where it is known better than from the tensors.

    Raises:
        DependencyError: ai-edge-quantizer is not installed.
        ModelError: the model cannot be quantised.
    """
    if not tensors:
        raise DataError("calibration needs at least one picture")
    try:
        with quiet():
            from ai_edge_litert.interpreter import Interpreter
            from ai_edge_quantizer import calibrator, quantizer, recipe, recipe_manager
    except ImportError as error:
        raise DependencyError(f"quantising needs ai-edge-quantizer: {INSTALL}") from error
    signatures: dict[str, Any] = Interpreter(str(float_path)).get_signature_list()
    if not signatures:
        raise ModelError(f"{float_path.name}: has no signature, which quantising needs")
    key = next(iter(signatures))
    name = signatures[key]["inputs"][0]
    graph = read_model(float_path).subgraphs[0]
    name_in = name_of(graph.tensors[int(graph.inputs[0])])
    try:
        tool = quantizer.Quantizer(str(float_path))
        tool.load_quantization_recipe(recipe.static_wi8_ai8())
        with quiet():
            rules = recipe_manager.RecipeManager()
            rules.load_quantization_recipe(recipe.static_wi8_ai8())
            watcher = calibrator.Calibrator(str(float_path), qsv_update_func=widest)
            watcher.calibrate({key: _Batches(name, tensors, progress)}, rules)
            ranges = watcher.get_model_qsvs()
            if limits is not None and name_in in ranges:
                low, high = (np.full_like(ranges[name_in]["min"], value) for value in limits)
                ranges[name_in] = {**ranges[name_in], "min": low, "max": high}
            content = tool.quantize(ranges, enable_progress_report=False).quantized_model
    except (RuntimeError, ValueError, KeyError, NotImplementedError) as error:
        raise ModelError(f"{float_path.name}: cannot be quantised: {reason(error)}") from error
    out.write_bytes(bytes(content))
    write_model(read_model(out), out)
