"""A network is cut where it may be, and its halves give the answers of the whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from mastra_ros.cli.main import main
from mastra_ros.compression import FeatureEncoder, decode_features
from mastra_ros.errors import ModelError
from mastra_ros.inference import Head, Tail, load_bundle
from mastra_ros.model.split.cuts import profile, quantisation
from mastra_ros.model.split.graph import (
    extract,
    input_names,
    load_graph,
    output_names,
    single_tensor_cuts,
    split_graph,
)
from mastra_ros.model.split.same import same_boxes
from mastra_ros.model.split.session import Session
from mastra_ros.model.split.split import split_bundle
from mastra_ros.privacy import hiding_nothing
from mastra_ros.types import Detections, Frame

pytest.importorskip("onnx", reason="onnx is not installed: nothing to cut with")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

CUTS = ["stem", "half", "sum", "deep"]
SIDE_PX = 64


def test_all_single_tensor_cuts_are_found_and_no_others(bundle: Path) -> None:
    assert single_tensor_cuts(load_graph(bundle / "cloud.onnx")) == CUTS


@pytest.mark.parametrize("cut", CUTS)
def test_head_and_tail_in_float_are_exactly_the_whole(bundle: Path, cut: str) -> None:
    model = load_graph(bundle / "cloud.onnx")
    image = np.random.default_rng(1).random((3, 1, SIDE_PX, SIDE_PX), np.float32)
    head = Session(extract(model, input_names(model), [cut]))
    tail = Session(extract(model, [cut], output_names(model)))
    whole = Session(model).run(image)
    for mine, theirs in zip(tail.run(head.run(image)[0]), whole, strict=True):
        assert np.array_equal(mine, theirs)


@pytest.mark.parametrize("cut", CUTS)
def test_the_int8_tensor_is_within_half_a_step_of_the_whole_s(bundle: Path, cut: str) -> None:
    model = load_graph(bundle / "cloud.onnx")
    image = np.random.default_rng(2).random((2, 1, SIDE_PX, SIDE_PX), np.float32)
    true = Session(extract(model, input_names(model), [cut])).run(image)[0]
    scale, zero_point = quantisation(float(true.min()), float(true.max()), 256)
    head, tail = split_graph(model, cut, true.shape[1:], scale, zero_point)
    given = Session(head).run(image)[0]
    assert given.dtype == np.int8
    real = (given.astype(np.float32) - zero_point) * scale
    assert np.abs(real - true).max() <= scale / 2 * 1.001
    whole = Session(extract(model, [cut], output_names(model))).run(real)
    for mine, theirs in zip(Session(tail).run(given), whole, strict=True):
        assert np.allclose(mine, theirs, atol=1e-5)


def test_what_lies_beyond_the_range_seen_saturates(bundle: Path) -> None:
    model = load_graph(bundle / "cloud.onnx")
    head, _ = split_graph(model, "half", (6, 16, 16), 1e-4, -128)
    image = np.random.default_rng(3).random((1, 1, SIDE_PX, SIDE_PX), np.float32)
    true = Session(extract(model, input_names(model), ["half"])).run(image)[0]
    given = Session(head).run(image)[0]
    assert true.max() > 0.1
    assert np.array_equal(given == 127, np.rint(true / np.float32(1e-4)) >= 255)


@pytest.mark.parametrize(
    ("low", "high", "levels"), [(0.0, 6.0, 256), (-1.0, 3.0, 64), (-2.0, -0.5, 16), (0.0, 0.0, 8)]
)
def test_zero_is_a_value_of_its_own_whatever_the_range(
    low: float, high: float, levels: int
) -> None:
    scale, zero_point = quantisation(low, high, levels)
    assert -128 <= zero_point <= 127
    span = (max(high, 0.0) - min(low, 0.0)) / scale
    assert round(span) in (0, levels - 1)


def test_a_split_bundle_answers_as_the_whole_does(
    bundle: Path, frames: list[Frame], tmp_path: Path
) -> None:
    whole = load_bundle(str(bundle))
    model = load_graph(whole.part("cloud").path)
    measured = profile(whole, "cloud", model, frames, levels=(256,))
    assert [cut.name for cut in measured.cuts] == CUTS
    assert sum(map(len, measured.answers)) > 0
    for cut in measured.cuts:
        out = tmp_path / cut.name
        told = split_bundle(whole, model, cut.split(), out, frames=frames, answers=measured.answers)
        made = load_bundle(str(out))
        assert made.split is not None
        assert made.split.measurements["bytes"] == told["bytes"] > 0
        assert (out / "README.md").exists()
        assert same_boxes(through(made, frames), measured.answers) == 1.0
        assert told["agreement"] == 1.0
        assert main(["model", "verify", str(out)]) == 0


def through(bundle: Any, frames: list[Frame]) -> list[Detections]:
    """Head, coding, decoding and, for all frames in one batch, the tail."""
    head, tail, encoder = Head.open(bundle), Tail.open(bundle), FeatureEncoder()
    gate = hiding_nothing("pictures made for this test")
    cleared = [gate.clear_features(head.run(f)) for f in frames]
    return tail.detect_batch([decode_features(encoder.encode(one)) for one in cleared])


def test_a_network_of_a_fixed_batch_is_split_too(
    make_bundle: Callable[..., Path], frames: list[Frame], tmp_path: Path
) -> None:
    whole = load_bundle(str(make_bundle("single", batch=1)))
    model = load_graph(whole.part("cloud").path)
    measured = profile(whole, "cloud", model, frames, levels=(256,))
    split_bundle(whole, model, measured.cut("half").split(), tmp_path / "out")
    assert same_boxes(through(load_bundle(str(tmp_path / "out")), frames), measured.answers) == 1.0


def test_a_tail_refuses_what_another_head_has_made(
    bundle: Path, frames: list[Frame], tmp_path: Path
) -> None:
    whole = load_bundle(str(bundle))
    model = load_graph(whole.part("cloud").path)
    measured = profile(whole, "cloud", model, frames, levels=(256, 64))
    for name in ("half", "sum"):
        split_bundle(whole, model, measured.cut(name).split(), tmp_path / name)
    features = Head.open(load_bundle(str(tmp_path / "half"))).run(frames[0])
    with pytest.raises(ModelError, match="device and gateway need the same bundle"):
        Tail.open(load_bundle(str(tmp_path / "sum"))).detect_batch([features])


def test_a_bundle_that_is_not_split_has_neither_head_nor_tail(bundle: Path) -> None:
    whole = load_bundle(str(bundle))
    for half in (Head, Tail):
        with pytest.raises(ModelError, match="no parts head and tail"):
            half.open(whole)


def edited(folder: Path, *changes: tuple[str, str]) -> None:
    path = folder / "bundle.yaml"
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


@pytest.mark.parametrize(
    ("changes", "complaints"),
    [
        ([("split:\n", "spilt:\n")], ["split: missing", "spilt: unknown field"]),
        (
            [("  head:\n", "  heed:\n")],
            ["split: expected the parts head and tail", "heed: unknown"],
        ),
        ([("zero_point: -128", "zero_point: -129")], ["split.zero_point: expected an integer"]),
        ([("shape: [6, 16, 16]", "shape: [6, 0]")], ["split.shape: expected a list"]),
        ([("shape: [6, 16, 16]", "shape: [6, 16, 16, 1, 1]")], ["at most 4 sides, got 5"]),
        (
            [("cut: half", "cut: ''"), ("zero_point: -128", "zero_point: x")],
            ["split.cut: expected a text", "split.zero_point: expected an integer"],
        ),
    ],
)
def test_everything_wrong_with_the_section_split_is_told_at_once(
    halved: Path,
    changes: list[tuple[str, str]],
    complaints: list[str],
) -> None:
    edited(halved, *changes)
    with pytest.raises(ModelError) as failure:
        load_bundle(str(halved))
    assert [text for text in complaints if text not in str(failure.value)] == []


@pytest.mark.parametrize("half", ["head", "tail"])
def test_halves_that_do_not_fit_the_section_split_are_refused(halved: Path, half: str) -> None:
    edited(halved, ("shape: [6, 16, 16]", "shape: [6, 16, 8]"))
    opened = {"head": Head, "tail": Tail}[half]
    with pytest.raises(ModelError, match=r"expected int8 \[n, 6, 16, 8\], got half/int8 int8"):
        opened.open(load_bundle(str(halved)))


def test_what_is_no_model_or_cannot_be_cut_is_one_clear_error(
    make_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(ModelError, match="not an ONNX model"):
        load_graph(tmp_path / "text.onnx")
    old = load_graph(make_bundle("old", opset=9) / "cloud.onnx")
    with pytest.raises(ModelError, match="opset 10 or newer"):
        split_graph(old, "half", (6, 16, 16), 0.1, -128)


def test_the_detector_that_ships_can_be_cut_at_many_places() -> None:
    bundle = load_bundle("models/board_defects")
    assert len(single_tensor_cuts(load_graph(bundle.part("cloud").path))) > 5


def test_the_whole_beside_its_halves_sees_a_frame_once_as_they_do(
    make_bundle: Callable[..., Path], pictures: Path, tmp_path: Path
) -> None:
    folder = make_bundle("twice")
    description = folder / "bundle.yaml"
    text = description.read_text()
    description.write_text(text.replace("score_threshold: 0.6", "score_threshold: 0.6, views: 2"))
    out = tmp_path / "out"
    command = ["model", "split", str(folder), "--out", str(out), "--at", "half"]
    assert main([*command, "--data", str(pictures), "--frames", "2"]) == 0
    assert load_bundle(str(folder)).part("cloud").views == 2
    assert {part.views for part in load_bundle(str(out)).parts.values()} == {1}


def test_the_int8_form_of_the_whole_stays_beside_the_halves(
    make_bundle: Callable[..., Path], pictures: Path, tmp_path: Path
) -> None:
    """It was dropped, and with it what `engine: auto` could have served faster."""
    folder, out = make_bundle("forms"), tmp_path / "out"
    document = yaml.safe_load((folder / "bundle.yaml").read_text())
    cloud = document["parts"]["cloud"]
    shutil.copy(folder / cloud["file"], folder / "cloud_int8.onnx")
    small = {k: v for k, v in cloud.items() if k != "score_threshold"}
    small |= {"file": "cloud_int8.onnx", "views": 2, "score_thresholds": {1: 0.61, 2: 0.5}}
    document["parts"]["cloud_int8"] = small
    (folder / "bundle.yaml").write_text(yaml.safe_dump({**document, "format": 2}))
    command = ["model", "split", str(folder), "--out", str(out), "--at", "half"]
    assert main([*command, "--data", str(pictures), "--frames", "2"]) == 0
    kept = load_bundle(str(out)).part("cloud_int8")
    assert (kept.views, kept.score_threshold) == (1, 0.61)
    assert (out / "cloud_int8.onnx").read_bytes() == (folder / "cloud_int8.onnx").read_bytes()
