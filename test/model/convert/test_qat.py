"""Networks traced for fine-tuning."""

from __future__ import annotations

from pathlib import Path

import pytest

from mastra_ros.inference import BundleInput


def test_a_detector_with_more_outputs_a_place_than_pictures_in_a_batch_can_be_traced(
    data_folder: Path,
) -> None:
    for name in ("torch", "litert_torch", "onnx"):
        pytest.importorskip(name, reason=f"{name} is not installed: the extra convert is needed")
    import torch

    from mastra_ros.model.convert.qat import traced
    from mastra_ros.model.rebuild.model_file import load_onnx
    from mastra_ros.model.rebuild.network import network_of

    spec = BundleInput(416, 416, "bgr", "letterbox", 114, mean=(0.0,) * 3, std=(1.0,) * 3)
    network = network_of(load_onnx(data_folder / "models/yolox_nano.onnx"), (3, 416, 416))
    graph = traced(network, spec, 32)
    with torch.no_grad():
        for batch in (1, 3):
            # Its authors exported it for one picture: several stand one after the other.
            assert graph(torch.zeros(batch, 3, 416, 416)).shape[1:] == (batch * 3549, 85)
