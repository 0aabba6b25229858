"""The converters, which a device does without: imported where they are used."""

from __future__ import annotations

from typing import Any

from ..errors import DependencyError

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
    """The module onnxruntime. Raises DependencyError without it."""
    try:
        import onnxruntime
    except ImportError as error:
        raise DependencyError("checking ONNX needs it: pip install onnxruntime") from error
    return onnxruntime
