"""Opens the model of a part with the runtime that it names."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import ModelError
from .bundle import BundlePart
from .engines.engine import Engine


def open_engine(
    part: BundlePart,
    *,
    threads: int = 1,
    delegate: str = "xnnpack",
    providers: Sequence[str] = ("CPUExecutionProvider",),
) -> Engine:
    """Load the model of a part with its own runtime; nothing else is imported.

    `delegate` (xnnpack, none or the path of a library) is for LiteRT, `providers` for ONNX Runtime.

    Raises:
        ModelError: the file is missing or not a model that the runtime can read.
        DependencyError: the runtime is not installed.
    """
    if part.engine == "litert":
        from .engines.litert import LiteRTEngine

        return LiteRTEngine(part.path, threads=threads, delegate=delegate)
    if part.engine == "onnxruntime":
        from .engines.onnx import OnnxEngine

        return OnnxEngine(part.path, threads=threads, providers=providers)
    raise ModelError(f"{part.path}: expected engine litert or onnxruntime, got {part.engine!r}")
