"""Format 2 of a bundle: what it adds, when it is written, and that format 1 stays as it was."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from mastra_ros.errors import ModelError
from mastra_ros.inference import load_bundle
from mastra_ros.inference.formats import least_format, of_format_2
from mastra_ros.model.verify import read_document
from mastra_ros.model.writer import BundleWriter

YOLO = {"kind": "yolov8", "nms_iou": 0.7, "box_unit": "fraction", "scores": "logits"}


def entry(folder: Path, file: str, **more: Any) -> dict[str, Any]:
    """A part whose file is in `folder`."""
    digest = hashlib.sha256((folder / file).read_bytes()).hexdigest()
    return {
        "file": file,
        "engine": "onnxruntime",
        "sha256": digest,
        "model": "m",
        "version": "1",
        **more,
    }


def test_each_number_of_views_has_its_own_threshold(make_bundle: Any, tmp_path: Path) -> None:
    make_bundle()
    twice = entry(tmp_path, "cloud.onnx", views=2, score_thresholds={1: 0.47, 2: 0.42})
    bundle = load_bundle(str(make_bundle(format=2, parts__cloud=twice)))
    part = bundle.part("cloud")
    assert (part.views, part.score_threshold) == (2, 0.42)
    once = bundle.in_one_view().part("cloud")
    assert (once.views, once.score_threshold) == (1, 0.47)
    assert once.seen(2) == part


def test_one_threshold_is_that_of_any_number_of_views(make_bundle: Any, tmp_path: Path) -> None:
    make_bundle()
    twice = entry(tmp_path, "cloud.onnx", views=2, score_threshold=0.42)
    bundle = load_bundle(str(make_bundle(parts__cloud=twice)))
    assert bundle.in_one_view().part("cloud").score_threshold == 0.42


def test_a_part_may_say_type_and_layout_of_its_input(make_bundle: Any) -> None:
    changes = {"type": "float16", "layout": "nhwc"}
    bundle = load_bundle(str(make_bundle(format=2, parts__cloud__input=changes)))
    part = bundle.part("cloud")
    assert (part.input_type, part.layout) == ("float16", "nhwc")
    assert (bundle.part("local").input_type, bundle.part("local").layout) == ("", "")


def test_an_int8_part_may_stand_beside_the_gateways_float_part(
    make_bundle: Any, tmp_path: Path
) -> None:
    make_bundle()
    part = entry(tmp_path, "single.onnx", engine="openvino", score_threshold=0.5)
    bundle = load_bundle(str(make_bundle(format=2, parts__cloud_int8=part)))
    assert bundle.part("cloud_int8").path == tmp_path / "single.onnx"
    assert bundle.part("cloud_int8").engine == "openvino"


def test_outputs_of_yolo_may_say_units_and_form_of_scores(make_bundle: Any) -> None:
    output = load_bundle(str(make_bundle(format=2, output=YOLO))).output
    assert (output.kind, output.box_unit, output.scores) == ("yolov8", "fraction", "logits")
    plain = {"kind": "yolov5", "nms_iou": 0.7}
    output = load_bundle(str(make_bundle(format=2, output=plain))).output
    assert (output.kind, output.box_unit, output.scores) == ("yolov5", "px", "probabilities")


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"output": {"kind": "yolov8", "nms_iou": 0.5}}, "output.kind"),
        (
            {"output": {"kind": "anchor_free", "stride_px": 8, "nms_iou": 0.4, "scores": "logits"}},
            "output.scores",
        ),
        ({"parts__cloud__input": {"layout": "nchw"}}, "parts.cloud.input"),
        ({"parts__local__engine": "openvino"}, "parts.local.engine"),
    ],
)
def test_a_field_of_format_2_in_format_1_is_named(
    make_bundle: Any, changes: dict[str, Any], place: str
) -> None:
    folder = make_bundle(**changes)
    with pytest.raises(ModelError, match=f"{place}: is of format 2, and this says format 1"):
        load_bundle(str(folder))
    load_bundle(str(make_bundle(format=2, **changes)))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (
            {"score_thresholds": {1: 0.5}},
            "score_threshold: expected this or score_thresholds, got both",
        ),
        (
            {"score_thresholds": {2: 0.5}, "score_threshold": None},
            "score_thresholds: expected one for 1 and for 1 views, got 2",
        ),
        (
            {"score_thresholds": {1: 0.5}, "views": 2, "score_threshold": None},
            "score_thresholds: expected one for 1 and for 2 views, got 1",
        ),
        ({"score_thresholds": {"1": 0.5}, "score_threshold": None}, "by integers of 1 to 2"),
        ({"score_thresholds": {3: 0.5}, "score_threshold": None}, "by integers of 1 to 2"),
        ({"score_thresholds": {1: 1.5}, "score_threshold": None}, "numbers of 0 to 1"),
        ({"score_thresholds": {}, "score_threshold": None}, "numbers of 0 to 1"),
        ({"input": {"type": "float64"}}, "input.type: expected one of float32, float16"),
        ({"input": {"layout": "hwc"}}, "input.layout: expected one of nchw, nhwc"),
        ({"input": {"size": 3}}, "input.size: unknown field"),
        ({"input": "uint8"}, "input: expected a mapping"),
    ],
)
def test_each_wrong_field_of_format_2_is_named(
    make_bundle: Any, changes: dict[str, Any], complaint: str
) -> None:
    changes = {f"parts__cloud__{name}": value for name, value in changes.items()}
    with pytest.raises(ModelError) as caught:
        load_bundle(str(make_bundle(format=2, **changes)))
    assert complaint in str(caught.value)


def test_the_writer_takes_the_oldest_format_that_will_do(tmp_path: Path, make_bundle: Any) -> None:
    document = yaml.safe_load((make_bundle(format=2) / "bundle.yaml").read_text())
    model = (tmp_path / "cloud.onnx").read_bytes()
    part = {**document["parts"]["cloud"], "score_thresholds": {1: 0.5}}
    del part["score_threshold"]
    for parts, expected in (({"cloud": document["parts"]["cloud"]}, 1), ({"cloud": part}, 2)):
        with BundleWriter(tmp_path / f"format_{expected}") as writer:
            writer.path("cloud.onnx").write_bytes(model)
            writer.describe({**document, "parts": parts})
            folder = writer.commit()
        assert read_document(folder)["format"] == expected
        assert load_bundle(str(folder)).part("cloud").score_threshold in (0.4, 0.5)


def test_the_shipped_bundle_can_be_said_in_the_format_that_it_says() -> None:
    document = read_document(Path(load_bundle("board_defects").path).parent)
    assert least_format(document) == document["format"]


def test_what_is_new_is_listed_by_place() -> None:
    document = {
        "output": YOLO,
        "parts": {"cloud_int8": {"engine": "openvino", "score_thresholds": {1: 0.5}}, "local": 7},
    }
    assert list(of_format_2(document)) == [
        "parts.cloud_int8",
        "parts.cloud_int8.score_thresholds",
        "parts.cloud_int8.engine",
        "output.kind",
        "output.scores",
    ]
