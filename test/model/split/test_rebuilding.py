"""Plates are rebuilt from a shallow cut and not from a deep one, and that is measured."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from mastra_ros.camera.drawn.plate_samples import PlateSamples
from mastra_ros.cli.main import main
from mastra_ros.cli.model.split_privacy import lines
from mastra_ros.inference import load_bundle
from mastra_ros.model.split.cuts import Cut
from mastra_ros.model.split.graph import load_graph
from mastra_ros.model.split.rebuilding import Counts, measure_rebuilding, window_of
from mastra_ros.model.split.split import split_bundle
from mastra_ros.privacy.rebuilt import KEY, SAMPLES_MIN, why_not

pytest.importorskip("onnx", reason="onnx is not installed: nothing to cut with")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

WIDE_PX, HIGH_PX = 96, 64
CELLS = (WIDE_PX // 8) * (HIGH_PX // 8)
COUNTS = Counts(train=300, validation=60, held_out=SAMPLES_MIN, epochs=40)

DOCUMENT = """\
format: 1
name: pooling
version: 1.0.0
task: detection
labels: [spot, shade]
input: {width_px: 96, height_px: 64, colour: gray, resize: letterbox, pad_value: 0,
  mean: [0.0], std: [255.0]}
output: {kind: anchor_free, stride_px: 8, nms_iou: 0.4}
parts:
  cloud: {file: cloud.onnx, engine: onnxruntime, sha256: DIGEST, model: pooling_cloud,
    version: 1.2.3, score_threshold: 0.6}
"""


def write_network(path: Path) -> None:
    """`shallow`: each cell holds its 2x2 px as they are; `deep`: the mean of each channel."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(3)
    fold = np.eye(4, dtype=np.float32).reshape(4, 1, 2, 2)
    values = [
        numpy_helper.from_array(fold, "fold"),
        numpy_helper.from_array(rng.normal(0, 0.1, (2 * CELLS, 4, 1, 1)).astype("f4"), "scores_w"),
        numpy_helper.from_array(rng.uniform(1, 2, (4 * CELLS, 4, 1, 1)).astype("f4"), "boxes_w"),
        numpy_helper.from_array(np.array([0, CELLS, 2], np.int64), "scores_shape"),
        numpy_helper.from_array(np.array([0, CELLS, 4], np.int64), "boxes_shape"),
    ]
    nodes = [
        helper.make_node("Conv", ["image", "fold"], ["raw"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Relu", ["raw"], ["shallow"]),
        helper.make_node("GlobalAveragePool", ["shallow"], ["deep"]),
        helper.make_node("Conv", ["deep", "scores_w"], ["scores_map"], kernel_shape=[1, 1]),
        helper.make_node("Conv", ["deep", "boxes_w"], ["boxes_map"], kernel_shape=[1, 1]),
        helper.make_node("Reshape", ["scores_map", "scores_shape"], ["scores"]),
        helper.make_node("Reshape", ["boxes_map", "boxes_shape"], ["boxes"]),
    ]
    sides = ["n", 1, HIGH_PX, WIDE_PX]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, sides)
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", CELLS, width])
        for name, width in (("scores", 2), ("boxes", 4))
    ]
    graph = helper.make_graph(nodes, "pooling", [image], outputs, values)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path
    )


def write_bundle(folder: Path) -> Path:
    folder.mkdir()
    write_network(folder / "cloud.onnx")
    digest = hashlib.sha256((folder / "cloud.onnx").read_bytes()).hexdigest()
    (folder / "bundle.yaml").write_text(DOCUMENT.replace("DIGEST", digest))
    return folder


def cut_of(name: str, *shape: int) -> Cut:
    nothing: dict[int, float] = {256: 0.0}
    return Cut(name, shape, 0.0, 0.0, 0.0, 1.0, nothing, nothing, 256, 0.0, 0.0)


SHALLOW, DEEP = cut_of("shallow", 4, HIGH_PX // 2, WIDE_PX // 2), cut_of("deep", 4, 1, 1)


def read_by_none(plates: list[Any]) -> list[set[str]]:
    return [set() for _ in plates]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("rebuilding") / "whole")


@pytest.fixture(scope="module")
def measured(whole: Path) -> dict[str, dict[str, Any]]:
    pytest.importorskip("torch", reason="PyTorch is not installed: no decoder can be trained")
    return measure_rebuilding(
        load_bundle(str(whole)),
        "cloud",
        load_graph(whole / "cloud.onnx"),
        [SHALLOW, DEEP],
        PlateSamples(WIDE_PX, HIGH_PX),
        counts=COUNTS,
        read=read_by_none,
    )


def verdict(told: dict[str, Any]) -> str:
    return why_not({KEY: {**told, "head_sha256": "a1"}}, "a1")


def test_plates_are_rebuilt_from_a_shallow_cut_which_so_is_not_private(
    measured: dict[str, dict[str, Any]],
) -> None:
    assert measured["shallow"]["correlation"] > 0.6
    assert "plates are rebuilt" in verdict(measured["shallow"])


def test_plates_are_not_rebuilt_from_means_and_the_control_shows_that_the_decoder_can_learn(
    measured: dict[str, dict[str, Any]],
) -> None:
    deep = measured["deep"]
    assert verdict(deep) == ""
    assert deep["correlation_upper"] < 0.3
    assert deep["correlation"] < deep["correlation_upper"]
    assert deep["control"] >= 0.7
    assert deep["attackers"] == ["ridge", "network"]
    assert (deep["samples"], deep["readings"]) == (SAMPLES_MIN, 0)


def test_what_was_measured_is_told_a_line_a_cut(measured: dict[str, dict[str, Any]]) -> None:
    told = lines(measured, ["own"])
    assert told[0].endswith("read by own:")
    assert "not private: plates are rebuilt" in told[1]
    assert told[2].endswith("; private")


def test_the_measurement_is_written_into_the_split_with_the_digest_of_its_head(
    whole: Path, measured: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    bundle, model = load_bundle(str(whole)), load_graph(whole / "cloud.onnx")
    split_bundle(bundle, model, DEEP.split(), tmp_path / "split", rebuilt=measured["deep"])
    made = load_bundle(str(tmp_path / "split"))
    assert made.split is not None
    assert why_not(made.split.measurements, made.part("head").sha256) == ""
    assert made.split.measurements[KEY]["control"] == measured["deep"]["control"]


def test_too_many_features_without_places_are_not_measured(whole: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed: no decoder can be trained")
    assert window_of((200, 100), (HIGH_PX, WIDE_PX), (10, 22, 86, 42)) is None
    told = measure_rebuilding(
        load_bundle(str(whole)),
        "cloud",
        load_graph(whole / "cloud.onnx"),
        [cut_of("wide", 200, 100)],
        PlateSamples(WIDE_PX, HIGH_PX),
    )
    assert told["wide"]["samples"] == 0
    assert "at least 200 plates" in verdict(told["wide"])


@pytest.mark.parametrize("size", [(640, 640), (96, 64), (32, 32), (320, 40)])
def test_a_drawn_plate_lies_in_the_picture_and_each_number_is_another(
    size: tuple[int, int],
) -> None:
    samples = PlateSamples(*size)
    left, top, right, bottom = samples.box
    assert 0 <= left < right <= size[0]
    assert 0 <= top < bottom <= size[1]
    (first, text), (again, _), (_, other) = (samples.draw(n) for n in (0, 0, 1))
    assert first.shape == (size[1], size[0], 3)
    assert np.array_equal(first, again)
    assert text != other


def test_the_command_measures_each_cut_and_writes_what_it_found(
    whole: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed: no decoder can be trained")
    short = partial(Counts, validation=20, held_out=8, epochs=2)
    monkeypatch.setattr("mastra_ros.model.split.rebuilding.Counts", short)
    folder = tmp_path / "split"
    options = ["--frames", "1", "--levels", "256", "--at", "shallow", "--out", str(folder)]
    options += ["--measure-privacy", "--privacy-plates", "100"]
    assert main(["model", "split", str(whole), *options]) == 0
    told = capsys.readouterr().out
    assert "shallow: correlation" in told
    deep = next(line for line in told.splitlines() if line.startswith("deep: "))
    assert "not private: expected at least 200 plates measured, got 8" in deep
    written = yaml.safe_load((folder / "bundle.yaml").read_text())["split"]["measurements"][KEY]
    assert (written["samples"], written["readable"] > 0) == (8, True)
    made = load_bundle(str(folder))
    assert made.split is not None
    assert "at least 200" in why_not(made.split.measurements, made.part("head").sha256)


@pytest.mark.parametrize("options", [["--privacy-plates", "500"], ["--privacy-plates", "5"]])
def test_plates_to_learn_from_need_the_measurement_and_must_be_enough(
    whole: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--measure-privacy"] if options[1] == "5" else []
    assert main(["model", "split", str(whole), *options, *more]) != 0
    assert "--privacy-plates: expected at least 100" in capsys.readouterr().err
