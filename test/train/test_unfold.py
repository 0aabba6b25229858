"""Taking up an exported network again, and the widths of lines that crops are drawn with."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from train.augment import random_crop
from train.data import Sample

ROOT = Path(__file__).resolve().parents[2]
CLOUD = ROOT / "models/board_defects/cloud.onnx"
LOCAL = ROOT / "models/board_defects/local.tflite"
NEEDS_TORCH = "needs torch and onnx: pip install -r train/requirements.txt"


def test_an_exported_network_goes_on_as_the_one_it_was() -> None:
    torch = pytest.importorskip("torch", reason=NEEDS_TORCH)
    pytest.importorskip("onnx", reason=NEEDS_TORCH)
    from train.network import build
    from train.runner import open_runner
    from train.unfold import unfold

    image = np.random.default_rng(1).integers(0, 2, (640, 640)).astype(np.uint8) * 255
    pixels = torch.from_numpy(image.astype(np.float32) / 255)[None, None]
    model = build("gateway")
    unfold(model, CLOUD, pixels)
    with torch.inference_mode():
        scores, boxes = model.eval()(pixels)
    expected_scores, expected_boxes = open_runner(CLOUD)(image)
    assert np.allclose(scores[0].numpy(), expected_scores, atol=1e-3)
    assert np.allclose(boxes[0].numpy(), expected_boxes, atol=1e-3)
    # In training the batch's own statistics count: they are those that were put in.
    with torch.inference_mode():
        trained, _ = model.train()(pixels)
    assert np.allclose(trained[0].numpy(), expected_scores, atol=0.05)


def test_the_devices_int8_file_goes_on_as_the_network_it_was() -> None:
    torch = pytest.importorskip("torch", reason=NEEDS_TORCH)
    pytest.importorskip("onnx", reason=NEEDS_TORCH)
    from train.data import synthetic_sample
    from train.network import build
    from train.runner import open_runner
    from train.unfold import unfold

    image = synthetic_sample(np.random.default_rng(1)).image
    pixels = torch.from_numpy(image.astype(np.float32) / 255)[None, None]
    model = build("device")
    unfold(model, LOCAL, pixels)
    with torch.inference_mode():
        scores, _ = model.eval()(pixels)
    expected, _ = open_runner(LOCAL)(image)
    # The network in float rounds no activations: the same, but for what those steps cost.
    error = float(np.sqrt(np.square(scores[0].numpy() - expected).mean()))
    assert error < 0.1 * float(expected.std())


def test_an_int8_file_of_another_network_is_refused() -> None:
    torch = pytest.importorskip("torch", reason=NEEDS_TORCH)
    pytest.importorskip("onnx", reason=NEEDS_TORCH)
    from train.network import build
    from train.unfold import unfold

    with pytest.raises(ValueError, match=re.escape("expected a convolution (16, 1, 3, 3)")):
        unfold(build("gateway"), LOCAL, torch.zeros(1, 1, 64, 64))


def test_weights_of_another_network_are_refused() -> None:
    torch = pytest.importorskip("torch", reason=NEEDS_TORCH)
    pytest.importorskip("onnx", reason=NEEDS_TORCH)
    from train.network import build
    from train.unfold import unfold

    device = build("device")
    expected = f"expected stem.0.weight {tuple(device.state_dict()['stem.0.weight'].shape)}"
    with pytest.raises(ValueError, match=re.escape(expected)):
        unfold(device, CLOUD, torch.zeros(1, 1, 64, 64))


def test_a_crop_keeps_its_boxes_whatever_the_width_of_its_lines() -> None:
    image = np.zeros((640, 640), np.uint8)
    image[300:304] = 255
    boxes = np.array([[200, 290, 240, 314]], np.float32)
    sample = Sample(image, boxes, np.array([1]))
    widths = set()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        crop = random_crop(rng, sample, 320, scales=(1.0, 1.0), spot=(220.0, 302.0))
        assert len(crop.boxes) + len(crop.ignored) <= 1
        if set(np.unique(crop.image)) <= {0.0, 1.0}:
            lines = (crop.image == 1).sum(axis=0).max(), (crop.image == 1).sum(axis=1).max()
            widths.add(min(lines))
    assert {2, 4, 6} <= widths
