"""The converters, which a device does without: imported where they are used."""

from __future__ import annotations

from typing import Any

from ..errors import DependencyError
from ..inference.engines.reporting import load_onnxruntime

INSTALL = 'pip install "mastra-ros[convert]"'


def require_torch() -> Any:
    """The module torch. Raises DependencyError without it."""
    try:
        import torch
    except ImportError as error:
        raise DependencyError(f"converting needs PyTorch: {INSTALL}") from error
    return torch


def require_onnx() -> Any:
    """The module onnx. Raises DependencyError without it."""
    try:
        import onnx
    except ImportError as error:
        raise DependencyError(f"reading and writing ONNX needs onnx: {INSTALL}") from error
    return onnx


def require_onnxruntime() -> Any:
    """The module onnxruntime, which reports nothing. Raises DependencyError without it."""
    return load_onnxruntime()
