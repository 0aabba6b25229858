"""Runs ONNX models that are not in a file, in ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...inference.engines.reporting import load_onnxruntime
from .graph import Model


class Session:
    """A model of one input, held in memory; set up as `inference.onnx` does it."""

    def __init__(self, model: Model, threads: int = 1) -> None:
        onnxruntime = load_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        for kind in ("intra", "inter"):
            options.add_session_config_entry(f"session.{kind}_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._feed = self._session.get_inputs()[0].name

    def run(self, value: Any) -> Sequence[Any]:
        """The outputs in order."""
        outputs: Sequence[Any] = self._session.run(None, {self._feed: value})
        return outputs
