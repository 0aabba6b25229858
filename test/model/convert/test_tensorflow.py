"""Bundles from Keras and SavedModel, where TensorFlow is installed (not in CI: it is large).

pip install ".[convert,tensorflow]" pytest pytest-timeout
pytest test/model/convert/test_tensorflow.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.tiny_classifier import LABELS, SIDE_PX
from mastra_ros.cli import main as cli
from mastra_ros.inference import load_bundle
from mastra_ros.model.quiet import quiet


@pytest.fixture
def network() -> Any:
    """A Keras network that tells colours apart, its channels last as is usual there."""
    pytest.importorskip("ai_edge_quantizer", reason="the extra convert is needed")
    with quiet():
        tensorflow = pytest.importorskip("tensorflow", reason="the extra tensorflow is needed")
    layers = tensorflow.keras.layers
    made = tensorflow.keras.Sequential(
        [
            layers.Input((SIDE_PX, SIDE_PX, 3)),
            layers.Conv2D(3, 1, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )
    weights = [np.eye(3)[None, None], np.zeros(3), np.eye(3) * 10, np.zeros(3)]
    made.set_weights([value.astype(np.float32) for value in weights])
    return made


@pytest.mark.timeout(600)
@pytest.mark.parametrize("form", ["colours.keras", "colours.h5", "saved"])
def test_a_network_of_tensorflow_becomes_a_bundle(
    network: Any, form: str, pictures: Path, tmp_path: Path
) -> None:
    source, out = tmp_path / form, tmp_path / "made"
    with quiet():
        if form == "saved":
            network.export(str(source))
        else:
            network.save(str(source))
    size = ["--size", f"{SIDE_PX}x{SIDE_PX}", "--colour", "bgr"]
    command = ["model", "convert", str(source), "--out", str(out), "--data", str(pictures)]
    assert cli.main([*command, *size]) == 0
    bundle = load_bundle(str(out))
    assert tuple(bundle.parts) == ("local",)
    assert bundle.labels == LABELS
    report = json.loads((out / "report/report.json").read_text())
    assert report["accuracy_float"] == report["accuracy_int8"] == 1.0
    assert cli.main(["model", "verify", str(out)]) == 0


@pytest.mark.timeout(600)
def test_what_keras_cannot_read_is_one_line(
    network: Any, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.keras").write_bytes(b"no weights")
    command = ["model", "convert", str(tmp_path / "x.keras"), "--out", str(tmp_path / "made")]
    size = ["--size", f"{SIDE_PX}x{SIDE_PX}", "--colour", "bgr"]
    assert cli.main([*command, "--data", str(pictures), *size]) == 1
    said = capsys.readouterr().err
    assert "cannot be converted to LiteRT" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "made").exists()
