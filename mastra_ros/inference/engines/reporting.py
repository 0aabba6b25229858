"""Keeps runtimes from reporting to their makers.

ONNX Runtime (seen with 1.32 on Linux) keeps an id of the device and a queue of events under
~/.cache and sends them; `onnxruntime.disable_telemetry_events()` comes too late for the id.
OpenVINO sends an event when it is imported.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from types import ModuleType

from ...errors import DependencyError

OPENVINO_TELEMETRY = "openvino_telemetry"
ONNXRUNTIME_SWITCH = "ORT_DISABLE_TELEMETRY"


def load_onnxruntime() -> ModuleType:
    """The package, silent unless the user has set its switch otherwise.

    Raises DependencyError where it is not installed.
    """
    os.environ.setdefault(ONNXRUNTIME_SWITCH, "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise DependencyError(
            "ONNX Runtime is needed to run .onnx models: pip install onnxruntime"
        ) from error
    runtime: ModuleType = onnxruntime
    return runtime


def load_openvino() -> ModuleType:
    """The package and its readers. Raises DependencyError where it is not installed."""
    try:
        with without_openvino_telemetry():
            import openvino
            import openvino.frontend
    except ImportError as error:
        raise DependencyError("OpenVINO is needed for this engine: pip install openvino") from error
    runtime: ModuleType = openvino
    return runtime


@contextlib.contextmanager
def without_openvino_telemetry() -> Iterator[None]:
    """Hide the package that reports: what is imported meanwhile takes its own stub instead."""
    hidden = {name: module for name, module in sys.modules.items() if _reports(name)}
    for name in hidden:
        del sys.modules[name]
    sys.modules[OPENVINO_TELEMETRY] = None  # type: ignore[assignment]  # `import` finds nothing
    try:
        yield
    finally:
        del sys.modules[OPENVINO_TELEMETRY]
        sys.modules.update(hidden)


def _reports(module: str) -> bool:
    return module.partition(".")[0] == OPENVINO_TELEMETRY
