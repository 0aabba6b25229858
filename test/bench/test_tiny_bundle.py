"""The bundle that `bench.switching` lets a gateway serve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.tiny_bundle import make_tiny_bundle
from mastra_ros.inference import Detector, load_bundle
from mastra_ros.types import Frame, FrameKey


def test_every_part_of_it_opens_and_the_gateways_finds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).resolve().parents[2])
    bundle = load_bundle(str(make_tiny_bundle(tmp_path / "bundle")))
    assert set(bundle.parts) == {"local", "cloud"}
    image = np.random.default_rng(0).integers(0, 256, (640, 640), np.uint8)
    found = {}
    for part in bundle.parts:
        detector = Detector.open(bundle, part)
        found[part] = detector.detect(Frame(FrameKey("main", 1), image, "mono8"))
        detector.close()
    assert len(found["cloud"].scores) == 0
