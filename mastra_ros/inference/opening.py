"""Opens the model of a part with the runtime that it names, or with another that reads its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from ..errors import ModelError
from .bundle import BundlePart
from .engines.engine import Engine

BUNDLE = "bundle"
"""Instead of an engine: the one that the part names."""

PACKAGES: Mapping[str, tuple[str, ...]] = {
    "litert": ("ai_edge_litert", "tflite_runtime"),
    "onnxruntime": ("onnxruntime",),
    "openvino": ("openvino",),
    "torch": ("torch",),
}
"""Every engine, and the packages of which it needs one."""

SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "litert": (".tflite",),
    "onnxruntime": (".onnx",),
    "openvino": (".tflite", ".onnx"),
    "torch": (".pt2",),
}
"""What each engine reads."""


@dataclass(frozen=True)
class EngineOptions:
    """How engines are opened, whichever it is.

    `delegate` (xnnpack, none or the path of a library) is for LiteRT, `providers` for ONNX
    Runtime, `device` (CPU, GPU, NPU, …) for OpenVINO, `torch_device` (cpu, cuda, …) for PyTorch.
    """

    threads: int = 1
    delegate: str = "xnnpack"
    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    device: str = "CPU"
    torch_device: str = "cpu"


def readers(part: BundlePart) -> tuple[str, ...]:
    """The engines that read the part's file, its own first, installed or not."""
    others = [name for name, suffixes in SUFFIXES.items() if part.path.suffix in suffixes]
    return tuple(dict.fromkeys([part.engine, *others]))


def is_installed(engine: str) -> bool:
    """Whether one of the engine's packages can be found; it is not imported."""
    return any(map(_can_be_found, PACKAGES[engine]))


def _can_be_found(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):  # hidden or half removed
        return False


def open_engine(
    part: BundlePart,
    engine: str = BUNDLE,
    *,
    threads: int = 1,
    delegate: str = "xnnpack",
    providers: Sequence[str] = ("CPUExecutionProvider",),
    device: str = "CPU",
    torch_device: str = "cpu",
) -> Engine:
    """Load the model of a part with a runtime, its own without another; nothing else is imported.

    Raises:
        ModelError: the file is missing or not a model that the runtime can read.
        DependencyError: the runtime is not installed.
    """
    name = part.engine if engine == BUNDLE else engine
    if name not in SUFFIXES:
        raise ModelError(f"{part.path}: expected engine {', '.join(SUFFIXES)}, got {name!r}")
    if engine != BUNDLE and name not in readers(part):
        raise ModelError(
            f"{part.path}: asked for engine {name}, which reads {' or '.join(SUFFIXES[name])}"
        )
    if name == "litert":
        from .engines.litert import LiteRTEngine

        return LiteRTEngine(part.path, threads=threads, delegate=delegate)
    if name == "onnxruntime":
        from .engines.onnx import OnnxEngine

        return OnnxEngine(part.path, threads=threads, providers=providers)
    if name == "torch":
        from .engines.torch import TorchEngine

        return TorchEngine(part.path, threads=threads, device=torch_device)
    from .engines.openvino import OpenVinoEngine

    return OpenVinoEngine(part.path, threads=threads, device=device)
