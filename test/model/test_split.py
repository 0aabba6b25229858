"""A network is cut where it may be, and its halves give the answers of the whole."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mastra_ros.cli.main import main
from mastra_ros.compression import FeatureEncoder, decode_features
from mastra_ros.errors import ModelError
from mastra_ros.inference import Head, Tail, load_bundle
from mastra_ros.model.cuts import profile, quantisation
from mastra_ros.model.graph import (
    extract,
    input_names,
    load_graph,
    output_names,
    single_tensor_cuts,
    split_graph,
)
from mastra_ros.model.latency import Link, Option, Picture, best_cut, fastest, options
from mastra_ros.model.pictures import JpegPoint, equal_jpeg
from mastra_ros.model.same import same_boxes
from mastra_ros.model.session import Session
from mastra_ros.model.split import split_bundle
from mastra_ros.types import Detections, Frame, FrameKey

onnx = pytest.importorskip("onnx", reason="onnx is not installed: nothing to cut with")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

CUTS = ["stem", "half", "sum", "deep"]
SIDE_PX = 64


def write_network(path: Path, *, batch: int | str = "n", opset: int = 13) -> None:
    """conv - relu - conv - relu - residual - conv - relu - two outputs, and a branch of constants.

    Single-tensor cuts: `stem`, `half`, `sum`, `deep`. What it finds means nothing.
    """
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(7)
    cells = (SIDE_PX // 8) ** 2

    def weights(name: str, *shape: int) -> Any:
        values = rng.normal(0.15, 1.5, shape) / np.prod(shape[1:]) ** 0.5
        return numpy_helper.from_array(values.astype(np.float32), name)

    def conv(name: str, source: str, stride: int = 1) -> list[Any]:
        return [
            helper.make_node(
                "Conv",
                [source, f"{name}_w", f"{name}_b"],
                [f"{name}_raw"],
                kernel_shape=[3, 3],
                pads=[1, 1, 1, 1],
                strides=[stride, stride],
            ),
            helper.make_node("Relu", [f"{name}_raw"], [name]),
        ]

    def rows(name: str, source: str, width: int) -> list[Any]:
        return [
            helper.make_node("Conv", [source, f"{name}_w"], [f"{name}_map"], kernel_shape=[1, 1]),
            helper.make_node("Transpose", [f"{name}_map"], [f"{name}_t"], perm=[0, 2, 3, 1]),
            helper.make_node("Reshape", [f"{name}_t", f"{name}_shape"], [name]),
        ]

    nodes = [
        *conv("stem", "image", 2),
        *conv("half", "stem", 2),
        *conv("side", "half"),
        helper.make_node("Mul", ["one", "one"], ["unity"]),
        helper.make_node("Mul", ["side", "unity"], ["scaled"]),
        helper.make_node("Add", ["half", "scaled"], ["sum"]),
        *conv("deep", "sum", 2),
        *rows("scores", "deep", 2),
        *rows("boxes", "deep", 4),
        helper.make_node("Relu", ["side"], ["unused"]),
    ]
    values = [
        weights("stem_w", 4, 1, 3, 3),
        weights("half_w", 6, 4, 3, 3),
        weights("side_w", 6, 6, 3, 3),
        weights("deep_w", 8, 6, 3, 3),
        numpy_helper.from_array(np.resize(np.float32([8, -8, -8, 8]), (2, 8, 1, 1)), "scores_w"),
        numpy_helper.from_array(np.full((4, 8, 1, 1), 0.8, np.float32), "boxes_w"),
        *(
            numpy_helper.from_array(np.full(n, 0.3, np.float32), f"{name}_b")
            for name, n in (("stem", 4), ("half", 6), ("side", 6), ("deep", 8))
        ),
        numpy_helper.from_array(np.ones(1, np.float32), "one"),
        numpy_helper.from_array(np.array([0, cells, 2], np.int64), "scores_shape"),
        numpy_helper.from_array(np.array([0, cells, 4], np.int64), "boxes_shape"),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 1, SIDE_PX, SIDE_PX])
    outputs = [
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, cells, 2]),
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [batch, cells, 4]),
    ]
    graph = helper.make_graph(nodes, "small", [image], outputs, values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, path)


DOCUMENT = """\
format: 1
name: small
version: 1.0.0
task: detection
labels: [spot, shade]
input: {width_px: 64, height_px: 64, colour: gray, resize: letterbox, pad_value: 0,
  mean: [0.0], std: [255.0]}
output: {kind: anchor_free, stride_px: 8, nms_iou: 0.4}
parts:
  cloud: {file: cloud.onnx, engine: onnxruntime, sha256: DIGEST, model: small_cloud,
    version: 1.2.3, score_threshold: 0.6}
"""


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The folder of a bundle with the small network as its part cloud."""
    folder = tmp_path / "small"
    folder.mkdir()
    write_network(folder / "cloud.onnx")
    digest = hashlib.sha256((folder / "cloud.onnx").read_bytes()).hexdigest()
    (folder / "bundle.yaml").write_text(DOCUMENT.replace("DIGEST", digest))
    (folder / "README.md").write_text("A small one.\n")
    return folder


@pytest.fixture
def frames() -> list[Frame]:
    """Pictures of some structure, of several sizes."""
    rng = np.random.default_rng(11)
    made = []
    for i, (width, height) in enumerate([(64, 64), (96, 64), (128, 128)]):
        coarse = rng.integers(0, 256, (9, 9)).astype(np.uint8)
        image = np.asarray(cv2.resize(coarse, (width, height)), np.uint8)
        made.append(Frame(FrameKey("main", i + 1), image, "mono8"))
    return made


@pytest.fixture
def pictures(tmp_path: Path, frames: list[Frame]) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for frame in frames:
        cv2.imwrite(str(folder / f"{frame.key.stamp_ns}.png"), frame.image)
    return folder


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
    return tail.detect_batch([decode_features(encoder.encode(head.run(f))) for f in frames])


def test_a_network_of_a_fixed_batch_is_split_too(
    bundle: Path, frames: list[Frame], tmp_path: Path
) -> None:
    write_network(bundle / "cloud.onnx", batch=1)
    redigest(bundle)
    whole = load_bundle(str(bundle))
    model = load_graph(whole.part("cloud").path)
    measured = profile(whole, "cloud", model, frames, levels=(256,))
    split_bundle(whole, model, measured.cut("half").split(), tmp_path / "out")
    assert same_boxes(through(load_bundle(str(tmp_path / "out")), frames), measured.answers) == 1.0


def redigest(folder: Path) -> None:
    digest = hashlib.sha256((folder / "cloud.onnx").read_bytes()).hexdigest()
    (folder / "bundle.yaml").write_text(DOCUMENT.replace("DIGEST", digest))


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
    bundle: Path,
    frames: list[Frame],
    tmp_path: Path,
    changes: list[tuple[str, str]],
    complaints: list[str],
) -> None:
    folder = halved(bundle, frames, tmp_path / "out")
    edited(folder, *changes)
    with pytest.raises(ModelError) as failure:
        load_bundle(str(folder))
    assert [text for text in complaints if text not in str(failure.value)] == []


def halved(bundle: Path, frames: list[Frame], folder: Path) -> Path:
    """A bundle split at `half`."""
    whole = load_bundle(str(bundle))
    model = load_graph(whole.part("cloud").path)
    cut = profile(whole, "cloud", model, frames, levels=(256,)).cut("half")
    split_bundle(whole, model, cut.split(), folder)
    return folder


@pytest.mark.parametrize("half", ["head", "tail"])
def test_halves_that_do_not_fit_the_section_split_are_refused(
    bundle: Path, frames: list[Frame], tmp_path: Path, half: str
) -> None:
    folder = halved(bundle, frames, tmp_path / "out")
    edited(folder, ("shape: [6, 16, 16]", "shape: [6, 16, 8]"))
    opened = {"head": Head, "tail": Tail}[half]
    with pytest.raises(ModelError, match=r"expected int8 \[n, 6, 16, 8\], got half/int8 int8"):
        opened.open(load_bundle(str(folder)))


def test_what_is_no_model_or_cannot_be_cut_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(ModelError, match="not an ONNX model"):
        load_graph(tmp_path / "text.onnx")
    write_network(tmp_path / "old.onnx", opset=9)
    with pytest.raises(ModelError, match="opset 10 or newer"):
        split_graph(load_graph(tmp_path / "old.onnx"), "half", (6, 16, 16), 0.1, -128)


def detections(*boxes: tuple[float, ...], label: int = 0) -> Detections:
    n = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(n, 4),
        np.full(n, 0.9, np.float32),
        np.full(n, label, np.int32),
        ("a", "b"),
    )


def test_boxes_are_the_same_within_two_pixels_and_of_one_class() -> None:
    one = detections((10, 10, 20, 20), (40, 40, 50, 50))
    assert same_boxes([one], [one]) == 1.0
    assert same_boxes([detections((11, 10, 22, 20), (40, 40, 50, 50))], [one]) == 1.0
    assert same_boxes([detections((10, 10, 23, 20), (40, 40, 50, 50))], [one]) == 0.5
    assert same_boxes([detections((10, 10, 20, 20), label=1)], [one]) == 0.0
    assert same_boxes([detections((10, 10, 20, 20), (10, 10, 20, 20))], [one]) == 0.5
    assert same_boxes([Detections.empty()], [Detections.empty()]) == 1.0


PICTURE = Picture(400e3, 400e3, 40e3, 85, 1.0, 1.0)


@pytest.mark.parametrize(
    ("link", "winner"),
    [
        (Link(1e5, 400.0, 1.0), "local"),
        (Link(1e9, 1.0, 50.0), "cloud"),
        (Link(2e6, 1.0, 3.0), "half"),
    ],
    ids=["bad link", "slow device", "between"],
)
def test_the_fastest_way_depends_on_link_and_device(
    bundle: Path, frames: list[Frame], link: Link, winner: str
) -> None:
    whole = load_bundle(str(bundle))
    measured = profile(whole, "cloud", load_graph(whole.part("cloud").path), frames, levels=(256,))
    sizes = {"stem": 30e3, "half": 10e3, "sum": 20e3, "deep": 15e3}
    cuts = [
        replace(cut, head_ms=10.0 * i, tail_ms=100 - 10.0 * i, bytes_at={256: sizes[cut.name]})
        for i, cut in enumerate(measured.cuts, 1)
    ]
    ways = options(replace(measured, cuts=tuple(cuts), whole_ms=100.0), PICTURE, link)
    assert [way.name for way in ways] == ["cloud", *CUTS, "local"]
    assert fastest(ways).name == winner
    assert best_cut(ways).name in CUTS


def test_of_equally_fast_ways_the_one_that_sends_least_is_taken() -> None:
    ways = [Option("cloud", 1, 2, 3, 100), Option("a", 2, 2, 2, 50), Option("local", 6, 0, 0, 0)]
    assert fastest(ways).name == "local"
    assert best_cut(ways).name == "a"


def test_the_equal_jpeg_is_the_smallest_before_the_answers_change() -> None:
    curve = [JpegPoint(95, 90, 1.0), JpegPoint(80, 50, 0.99), JpegPoint(50, 20, 0.9)]
    curve.append(JpegPoint(10, 5, 1.0))  # by luck
    assert equal_jpeg(curve, 0.95) == curve[1]
    assert equal_jpeg(curve, 0.9) == curve[3]
    assert equal_jpeg(curve[1:], 1.0) is None


def test_the_command_writes_a_bundle_and_all_its_numbers(
    bundle: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, told = tmp_path / "out", tmp_path / "told.json"
    command = ["model", "split", str(bundle), "--data", str(pictures), "--json", str(told)]
    assert main([*command, "--out", str(out), "--at", "best"]) == 0
    shown = capsys.readouterr().out
    assert "4 single-tensor cuts, measured on 3 frames" in shown
    assert f"wrote {out}" in shown
    document = json.loads(told.read_text())
    split = load_bundle(str(out)).split
    assert split is not None
    assert document["chosen"] == split.cut
    assert [cut["name"] for cut in document["cuts"]] == CUTS
    assert document["measured"]["frames"] == 3
    assert main([*command, "--out", str(out), "--at", "deep"]) == 1
    assert "--replace" in capsys.readouterr().err
    assert main([*command, "--out", str(out), "--at", "deep", "--replace"]) == 0
    made = load_bundle(str(out)).split
    assert made is not None
    assert made.cut == "deep"


def test_without_a_better_cut_nothing_is_written(
    bundle: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["model", "split", str(bundle), "--data", str(pictures), "--out", str(out)]
    assert main([*command, "--rtt", "60s", "--uplink", "1kbit"]) == 0
    assert "no split: local is predicted to be faster" in capsys.readouterr().out
    assert not out.exists()


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        (["--uplink", "5"], "number with unit"),
        (["--uplink", "0mbit"], "expected more than 0"),
        (["--rtt", "40"], "number with unit"),
        (["--levels", "1"], "auto or 2 to 256"),
        (["--device-slowdown", "0"], "more than 0"),
        (["--at", "nowhere"], "no single-tensor cut of the network; these are: stem, half"),
        (["--frames", "0"], "at least 1"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    bundle: Path,
    pictures: Path,
    option: list[str],
    complaint: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["model", "split", str(bundle), "--data", str(pictures), *option]) != 0
    shown = capsys.readouterr().err
    assert complaint in shown.splitlines()[-1]


def test_latency_is_drawn_where_matplotlib_is_there(
    bundle: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: no plots")
    plot = tmp_path / "latency.png"
    command = ["model", "split", str(bundle), "--data", str(pictures), "--plot", str(plot)]
    assert main(command) == 0
    assert cv2.imread(str(plot)) is not None
    assert "no plot" not in capsys.readouterr().out


def test_the_detector_that_ships_can_be_cut_at_many_places() -> None:
    bundle = load_bundle("models/board_defects")
    assert len(single_tensor_cuts(load_graph(bundle.part("cloud").path))) > 5
