"""A tiny classifier of colours and pictures for it, made anew for the tests."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from bench.tiny_classifier import LABELS, describe, write_classifier
from mastra_ros.inference import Bundle, load_bundle
from mastra_ros.model.writer import BundleWriter


def picture(label: str, rng: np.random.Generator, lead: int = 60) -> np.ndarray:
    """A noisy picture (24, 32, 3) whose channel of this colour is brighter by `lead`."""
    image = rng.integers(0, 150, (24, 32, 3))
    image[..., LABELS.index(label)] += lead
    return image.clip(0, 255).astype(np.uint8)


@pytest.fixture
def colours(tmp_path: Path) -> Bundle:
    """A bundle with a sure model (cloud) and one of flat scores (local), both ONNX."""
    pytest.importorskip("onnx", reason="onnx is not installed: no models to test with")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    with BundleWriter(tmp_path / "colours") as writer:
        write_classifier(writer.path("local.onnx"), sharpness=4.0)
        write_classifier(writer.path("cloud.onnx"), sharpness=40.0)
        writer.describe(describe(local="local.onnx", cloud="cloud.onnx"))
        writer.commit()
    return load_bundle(str(tmp_path / "colours"))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Labelled data: a folder per colour with eight pictures each."""
    rng = np.random.default_rng(3)
    for label in LABELS:
        folder = tmp_path / "pictures" / label
        folder.mkdir(parents=True)
        for i in range(8):
            cv2.imwrite(str(folder / f"{i}.png"), picture(label, rng))
    return tmp_path / "pictures"
