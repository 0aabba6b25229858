"""Rounded weights shift what a layer gives; its bias takes that back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mastra_ros.inference import BundleInput
from mastra_ros.model.convert.bias import correct_biases
from mastra_ros.model.convert.export import write_tflite
from mastra_ros.model.convert.quantise import quantise
from mastra_ros.model.layers import interpreter, invoke

pytestmark = pytest.mark.timeout(600)  # converters load slowly where the machine is busy

SIDE_PX = 16
SPEC = BundleInput(SIDE_PX, SIDE_PX, "bgr", "stretch", 0, (0.0,) * 3, (255.0,) * 3)


@pytest.fixture
def network() -> Any:
    """Wide layers on what is never negative: a common, by channel, a pointwise and a dense one."""
    for name in ("torch", "litert_torch", "ai_edge_quantizer"):
        pytest.importorskip(name, reason=f"{name} is not installed: the extra convert is needed")
    import torch
    from torch import nn

    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3, padding=1, groups=64),
        nn.ReLU(),
        nn.Conv2d(64, 32, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 8),
    ).eval()


def mean_error(exact: Path, rounded: Path, tensors: list[np.ndarray]) -> np.ndarray:
    """How far each output of the int8 model is off on average."""
    runners = [interpreter(path) for path in (exact, rounded)]
    off = []
    for tensor in tensors:
        given = []
        for runner in runners:
            invoke(runner, tensor)
            (detail,) = runner.get_output_details()
            value = runner.get_tensor(detail["index"]).astype(np.float64)
            scale, zero = detail["quantization"]
            given.append((value - zero) * scale if scale else value)
        off.append(given[1] - given[0])
    return np.asarray(np.mean(off, axis=0))


def test_the_constant_part_of_the_error_goes(network: Any, tmp_path: Path) -> None:
    exact, rounded = tmp_path / "float.tflite", tmp_path / "int8.tflite"
    write_tflite(network, SPEC, exact)
    rng = np.random.default_rng(5)
    pictures = [rng.random((1, SIDE_PX, SIDE_PX, 3), np.float32) for _ in range(16)]
    quantise(exact, rounded, pictures)
    before = mean_error(exact, rounded, pictures[8:])
    size = rounded.stat().st_size
    assert correct_biases(exact, rounded, pictures[:8]) == 4
    after = mean_error(exact, rounded, pictures[8:])
    assert np.square(after).mean() < 0.3 * np.square(before).mean()
    assert rounded.stat().st_size == size
