"""Opens the network of a finder with the runtime that computes it fastest here.

OpenVINO computes in bfloat16 where the processor multiplies that: 0.55 of ONNX Runtime's time. On
others it is no faster, so there it is not taken.
"""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path

from ...errors import DependencyError
from ...inference.engines.engine import Engine
from ...inference.engines.onnx import OnnxEngine
from ...inference.engines.openvino import OpenVinoEngine
from ...inference.engines.reporting import load_openvino
from ...inference.opening import is_installed

_log = logging.getLogger(__name__)

AUTO, ONNX_RUNTIME, OPENVINO = "auto", "onnxruntime", "openvino"


def open_network(path: Path, *, engine: str = AUTO, threads: int = 1) -> Engine:
    """`engine`: auto, onnxruntime or openvino.

    Raises ModelError for a file that is no model, DependencyError for a runtime that is asked for
    and not installed.
    """
    if engine == OPENVINO or (engine == AUTO and _is_faster()):
        return OpenVinoEngine(path, threads=threads)
    return OnnxEngine(path, threads=threads)


@cache
def _is_faster() -> bool:
    """Whether OpenVINO is here, and computes in bfloat16."""
    if not is_installed(OPENVINO):
        return False
    try:
        core = load_openvino().Core()
        return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    except (DependencyError, RuntimeError) as error:  # a half-removed or foreign runtime
        _log.warning("OpenVINO cannot be used, ONNX Runtime is: %s", error)
        return False
