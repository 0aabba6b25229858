"""ONNX and TensorFlow Lite models, by OpenVINO."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ...errors import ModelError
from .engine import OpenedModel, Tensor, TensorSpec
from .reporting import load_openvino
from .tflite_scales import scales_of

_log = logging.getLogger(__name__)

CPU = "CPU"
FRONT_ENDS = {".onnx": "onnx", ".tflite": "tflite"}
DTYPES = (np.float32, np.float16, np.float64, np.uint8, np.int8, np.int64, np.int32)


class OpenVinoEngine(OpenedModel):
    """An .onnx or .tflite model. `device`: CPU, GPU, NPU or whatever OpenVINO names.

    Float models are computed in bfloat16 where the processor multiplies that faster, which is
    OpenVINO's own default; models that are fed integers are not, so that what is left in float
    between their integer layers answers as in LiteRT. `precision` (f32, bf16, f16) says otherwise.
    Where the device is not there the CPU runs, and `missing` names it. Threads are not bound to
    cores, because the cores are shared with other nodes.
    """

    name = "openvino"

    def __init__(
        self, path: Path, *, threads: int = 1, device: str = CPU, precision: str = ""
    ) -> None:
        runtime = load_openvino()
        if not path.is_file():
            raise ModelError(f"{path}: model file not found")
        self._failures = _failures(runtime)
        core = runtime.Core()
        known = {name.partition(".")[0] for name in core.available_devices}
        there = _is_there(device, known)
        self._missing = () if there else (device,)
        self._providers = (device if there else CPU,)
        try:
            model = _read(runtime, path)
            options = _options(self._providers[0], threads)
            if precision or not all(port.get_element_type().is_real() for port in model.inputs):
                options["INFERENCE_PRECISION_HINT"] = precision or "f32"
            compiled = core.compile_model(model, self._providers[0], options)
            self._request = compiled.create_infer_request()
        except self._failures as error:
            raise ModelError(
                f"{path}: not a model that OpenVINO can run: {_reason(error)}"
            ) from error
        self._path = path
        scales = scales_of(path) if path.suffix == ".tflite" else {}
        self._inputs = _specs(path, model.inputs, scales)
        self._outputs = _specs(path, model.outputs, scales)
        self._check_one_input()
        if self._missing:
            _log.warning("%s: device %s not available, running on %s", path, device, CPU)

    def run(self, tensor: Tensor) -> list[Tensor]:
        self._check_run(self._request, tensor)
        try:
            answers = self._request.infer([tensor], share_inputs=True, share_outputs=True)
            # Copied, because the next run writes into the same memory.
            return [np.array(answers[at]) for at in range(len(self._outputs))]
        except self._failures as error:
            raise ModelError(f"{self._path}: OpenVINO failed: {_reason(error)}") from error

    def close(self) -> None:
        self._request = None


def _is_there(device: str, known: set[str]) -> bool:
    """Whether every device named, as in AUTO:GPU,CPU, is one of this machine's."""
    first, _, rest = device.partition(":")
    wanted = rest.split(",") if rest else [first]
    return all(name.partition(".")[0] in known | {"AUTO"} for name in wanted)


def _options(device: str, threads: int) -> dict[str, Any]:
    options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    if device == CPU:
        options |= {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,
        }
    return options


def _read(runtime: ModuleType, path: Path) -> Any:
    """The model, by the reader of its own format: the others would try, and print, in vain."""
    kind = FRONT_ENDS.get(path.suffix)
    if kind is None:
        raise ValueError(f"expected a file {' or '.join(FRONT_ENDS)}")
    reader = runtime.frontend.FrontEndManager().load_by_framework(kind)
    model = reader.convert(reader.load(str(path)))
    if not model.outputs:
        raise ValueError("it gives nothing")
    return model


def _failures(runtime: ModuleType) -> tuple[type[Exception], ...]:
    """What OpenVINO raises: the classes of its readers have no common base but Exception."""
    own = [value for value in vars(runtime.frontend).values() if isinstance(value, type)]
    raised = [value for value in own if issubclass(value, Exception)]
    return (*raised, RuntimeError, ValueError, TypeError)


def _specs(
    path: Path, ports: Sequence[Any], scales: dict[str, tuple[float, int]]
) -> tuple[TensorSpec, ...]:
    specs = []
    for port in ports:
        names = sorted(port.get_names())
        name = next((known for known in names if known in scales), names[0] if names else "")
        dtype = np.dtype(port.get_element_type().to_dtype())
        if dtype not in DTYPES:
            raise ModelError(f"{path}: {name}: expected a number of 8 to 64 bits, got {dtype}")
        sides = (None if side.is_dynamic else side.get_length() for side in port.partial_shape)
        scale, zero_point = scales.get(name, (0.0, 0))
        specs.append(TensorSpec(name, tuple(sides), dtype, scale, zero_point))
    return tuple(specs)


def _reason(error: BaseException) -> str:
    """The last line: those before tell where in OpenVINO it happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
