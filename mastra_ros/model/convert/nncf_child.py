"""Runs NNCF in a process of its own, in which it cannot report home.

python -m mastra_ros.model.convert.nncf_child EXACT.onnx TENSORS.npz OUT.onnx
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ...inference.engines.reporting import ONNXRUNTIME_SWITCH, OPENVINO_TELEMETRY

MISSING = 3


def main(exact: Path, tensors: Path, out: Path) -> int:
    """Quantise with the preset `mixed`; exit status 3 where NNCF is not installed."""
    silence()
    try:
        import nncf
        import onnx
    except ImportError as error:
        print(error, file=sys.stderr)  # noqa: T201 - read by the process that started this one
        return MISSING
    with np.load(tensors, allow_pickle=False) as given:
        model: Any = onnx.load(str(exact))
        name = model.graph.input[0].name
        feeds = [{name: given[key]} for key in given.files]
    made = nncf.quantize(
        model,
        nncf.Dataset(feeds),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(feeds),
    )
    onnx.save(made, str(out))
    return 0


def silence() -> None:
    """Let what is imported later (NNCF, OpenVINO, ONNX Runtime) find nothing to report with."""
    sys.modules[OPENVINO_TELEMETRY] = None  # type: ignore[assignment]  # `import` finds nothing
    os.environ["NNCF_CI"] = "1"  # NNCF's own word for the same
    os.environ[ONNXRUNTIME_SWITCH] = "1"


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:4])))
