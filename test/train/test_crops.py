"""The classifier of crops is learnt at any size and width, and its weights load again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed: nothing to train with")

from torch import nn

from train.crops import CLASSES, SIDE_PX, Fitting, fit
from train.mobilenet import defect_crops, defect_crops_full
from train.mobilenet_edgetpu import MobileNetEdgeTpu, defect_crops_edgetpu
from train.mobilenet_v4 import MobileNetV4ConvSmall, defect_crops_v4


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    """Four noisy crops of each class, for learning and for judging."""
    rng = np.random.default_rng(2)
    for part in ("train", "val"):
        for label in CLASSES:
            (tmp_path / part / label).mkdir(parents=True)
            for i in range(4):
                image = rng.integers(0, 256, (SIDE_PX, SIDE_PX)).astype(np.uint8)
                cv2.imwrite(str(tmp_path / part / label / f"{i}.png"), image)
    return tmp_path


def test_weights_of_a_fitting_load_into_the_same_network(crops: Path, tmp_path: Path) -> None:
    out = tmp_path / "small.pt"
    share = fit(crops, out, Fitting(epochs=1, threads=1, batch=8, side_px=64))
    assert 0 <= share <= 1
    assert not defect_crops(str(out)).training
    with pytest.raises(RuntimeError):
        defect_crops_full(str(out))


def test_the_full_network_is_as_large_as_published() -> None:
    """3.4 million parameters with 1000 classes of rgb; here there are seven, of gray."""
    parameters = sum(p.numel() for p in defect_crops_full().parameters())
    assert parameters == pytest.approx(3.4e6 - 993 * 1281, rel=0.05)


@pytest.mark.parametrize(
    ("network", "factory"),
    [("mobilenet_v4", defect_crops_v4), ("mobilenet_edgetpu", defect_crops_edgetpu)],
)
def test_networks_for_processors_of_int8_are_learnt_by_name(
    crops: Path, tmp_path: Path, network: str, factory: Callable[[str], nn.Module]
) -> None:
    out = tmp_path / "weights.pt"
    how = Fitting(epochs=1, threads=1, batch=8, side_px=32, network=network)
    assert 0 <= fit(crops, out, how) <= 1
    assert not factory(str(out)).training


def test_the_fourth_version_is_as_large_as_published() -> None:
    """3.8 million parameters with 1000 classes of rgb (table 4 of its paper)."""
    parameters = sum(p.numel() for p in MobileNetV4ConvSmall(classes=1000).parameters())
    assert parameters == pytest.approx(3.8e6, rel=0.02)


def test_edgetpu_is_as_large_as_published_but_for_the_later_convolution() -> None:
    """4.09 million parameters with 1000 classes of rgb, and 1280 channels before pooling."""
    parameters = sum(p.numel() for p in MobileNetEdgeTpu(classes=1000).parameters())
    later = 960 * (192 + 2) + 1280 * (960 + 2) - 1280 * (192 + 2)
    assert parameters == pytest.approx(4.09e6 + later, rel=0.01)
