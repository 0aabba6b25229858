"""The int8 form of a server's ONNX model: integers between QuantizeLinear and DequantizeLinear.

ONNX Runtime and OpenVINO both compute such a file in int8. ONNX Runtime's tool makes weights
symmetric, one scale a channel, and of 7 bits: processors without dot products of int8 (AVX2,
early AVX-512) add two products of 8 bits in 16 and would cut off what does not fit.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ...errors import ConfigError, DataError, DependencyError, ModelError
from ...inference.engines.engine import Tensor
from ...inference.engines.reporting import load_onnxruntime
from ...orphans import child_environment
from ..needs import INSTALL
from ..progress import Progress, silent
from ..quiet import quiet
from .export import reason

MAKERS = ("onnxruntime", "nncf")
"""Who quantises: ONNX Runtime's own tool, or OpenVINO's (NNCF)."""


def quantise_onnx(
    exact: Path,
    out: Path,
    tensors: Sequence[Tensor],
    *,
    by: str = MAKERS[0],
    progress: Progress = silent,
) -> None:
    """Write the int8 form of a float ONNX model of one input.

    Args:
        tensors: what calibrates, each as the model is fed.

    Raises:
        DependencyError: the tool is not installed.
        ModelError: the model cannot be quantised.
        DataError: no tensor was given.
    """
    if by not in MAKERS:
        raise ConfigError(f"quantising by: expected {' or '.join(MAKERS)}, got {by!r}")
    if not tensors:
        raise DataError("calibration needs at least one picture")
    made = _by_onnxruntime if by == "onnxruntime" else _by_nncf
    for _ in progress(range(1), f"quantise by {by}"):
        made(exact, out, tensors)
    if not out.is_file():
        raise ModelError(f"{exact.name}: {by} has written nothing")


class _Reader:
    """Feeds ONNX Runtime's calibration, in whose base class there is nothing to inherit."""

    def __init__(self, name: str, tensors: Sequence[Tensor]) -> None:
        self._feeds: Iterator[dict[str, Tensor]] = ({name: tensor} for tensor in tensors)

    def get_next(self) -> dict[str, Tensor] | None:
        return next(self._feeds, None)


def _by_onnxruntime(exact: Path, out: Path, tensors: Sequence[Tensor]) -> None:
    load_onnxruntime()  # silent from now on
    try:
        with quiet():
            import onnx
            from onnxruntime import quantization
            from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise DependencyError(f"quantising needs onnx and onnxruntime: {INSTALL}") from error
    with tempfile.TemporaryDirectory() as folder, quiet():
        ready = Path(folder) / "ready.onnx"
        try:
            name = onnx.load(str(exact), load_external_data=False).graph.input[0].name
            quant_pre_process(str(exact), str(ready), skip_symbolic_shape=True)
            quantization.quantize_static(
                str(ready),
                str(out),
                _Reader(name, tensors),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                reduce_range=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                calibrate_method=quantization.CalibrationMethod.MinMax,
            )
        except Exception as error:  # the tool raises whatever its many passes raise
            raise ModelError(f"{exact.name}: cannot be quantised: {reason(error)}") from error


def _by_nncf(exact: Path, out: Path, tensors: Sequence[Tensor]) -> None:
    """In a child process, where the package that reports home cannot be imported at all."""
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "tensors.npz"
        np.savez(given, *tensors)
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", f"{__package__}.nncf_child", str(exact), str(given), str(out)],
            capture_output=True,
            text=True,
            env=child_environment(),
            check=False,
        )
    if done.returncode == MISSING:
        raise DependencyError("quantising by nncf needs it: pip install nncf onnx")
    if done.returncode:
        last = (done.stderr.strip() or f"status {done.returncode}").splitlines()[-1]
        raise ModelError(f"{exact.name}: cannot be quantised by nncf: {last}")


MISSING = 3
"""Exit status of the child that finds a package missing."""
