"""Reading bundle.yaml, and saying everything that is wrong with it at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mastra_ros.errors import ModelError
from mastra_ros.inference import load_bundle
from mastra_ros.inference.bundle import FORMAT
from mastra_ros.inference.fields import Fields


def test_a_good_bundle_is_read_whole(make_bundle: Any) -> None:
    folder = make_bundle()
    bundle = load_bundle(str(folder))
    assert (bundle.name, bundle.version, bundle.task) == ("bright_cells", "1.0.0", "detection")
    assert bundle.labels == ("spot", "shade", "nothing")
    assert (bundle.input.colour, bundle.input.channels, bundle.input.std) == ("gray", 1, (255.0,))
    assert (bundle.output.kind, bundle.output.stride_px, bundle.output.nms) == (
        "anchor_free",
        8,
        "all",
    )
    part = bundle.part("local")
    assert part.path == folder / "local.tflite"
    assert part.score_threshold == 0.4
    assert part.measurements == {"f_score": 1.0}


def test_the_shipped_bundle_is_found_by_path_and_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_bundle("models/board_defects") == load_bundle("board_defects")


@pytest.mark.parametrize("name", ["no_such_bundle", "/nowhere/no_such_bundle"])
def test_a_bundle_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(ModelError, match=r"no_such_bundle.*not found"):
        load_bundle(name)


def test_a_part_that_is_not_there_is_named(make_bundle: Any) -> None:
    bundle = load_bundle(str(make_bundle(parts__cloud=None)))
    with pytest.raises(ModelError, match="no part 'cloud', it has local"):
        bundle.part("cloud")


def test_a_newer_format_says_so_and_nothing_else(make_bundle: Any) -> None:
    folder = make_bundle(format=FORMAT + 1, input={"unheard_of": True})
    said = rf"bundle\.yaml: format {FORMAT + 1} is newer than {FORMAT}, please update"
    with pytest.raises(ModelError, match=said):
        load_bundle(str(folder))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 0}, "format: expected an integer of 1"),
        ({"format": None}, "format: missing"),
        ({"name": ""}, "name: expected a text, got ''"),
        ({"task": "telepathy"}, "task: expected one of detection, classification, got 'telepathy'"),
        ({"labels": []}, "labels: expected a list of different texts"),
        ({"labels": ["a", "a"]}, "labels: expected different texts, got 'a' at 0, 1"),
        (
            {"labels": ["crane", "dog", "maillot", "crane", "maillot"]},
            "labels: expected different texts, got 'crane' at 0, 3; 'maillot' at 2, 4",
        ),
        ({"input__width_px": 0}, "input.width_px: expected an integer of 1 to 16384, got 0"),
        ({"input__width_px": True}, "input.width_px: expected an integer"),
        ({"input__colour": "mauve"}, "input.colour: expected one of gray, rgb, bgr"),
        ({"input__mean": [0.0] * 3}, "input.mean: expected a list of 1 numbers"),
        ({"input__std": [0.0]}, "input.std: expected no zero"),
        ({"input__std": [float("nan")]}, "input.std: expected a list of 1 numbers"),
        ({"output__nms_iou": 1.5}, "output.nms_iou: expected a number of 0 to 1, got 1.5"),
        ({"output__nms": "some"}, "output.nms: expected one of per_class, all"),
        ({"output__sride_px": 8}, "output.sride_px: unknown field"),
        ({"parts": {}}, "parts: expected at least one of local, cloud"),
        ({"parts__nearby": {}}, "parts.nearby: unknown field"),
        ({"parts__local": "local.tflite"}, "parts.local: expected a mapping"),
        ({"parts__local__engine": "abacus"}, "parts.local.engine: expected one of litert"),
        ({"parts__local__file": "../local.tflite"}, "expected a name inside the bundle's folder"),
        ({"parts__local__file": "gone.tflite"}, "gone.tflite cannot be read: No such file"),
        ({"parts__local__sha256": "0" * 64}, "local.tflite is not the file described"),
    ],
)
def test_each_wrong_field_is_named_with_what_was_expected(
    make_bundle: Any, changes: dict[str, Any], message: str
) -> None:
    folder = make_bundle(**changes)
    with pytest.raises(ModelError) as caught:
        load_bundle(str(folder))
    assert str(caught.value).startswith(f"{folder}/bundle.yaml: ")
    assert message in str(caught.value)


def test_all_problems_are_said_in_one_error(make_bundle: Any) -> None:
    folder = make_bundle(name=7, output__kind="runes", parts__cloud__sha256="beef", version=None)
    with pytest.raises(ModelError) as caught:
        load_bundle(str(folder))
    for place in ("name:", "version: missing", "output.kind:", "parts.cloud.sha256:"):
        assert place in str(caught.value)


def test_a_changed_model_file_is_noticed(make_bundle: Any) -> None:
    folder = make_bundle()
    with (folder / "cloud.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(ModelError, match=r"cloud\.onnx is not the file described"):
        load_bundle(str(folder))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_said(make_bundle: Any) -> None:
    folder = make_bundle()
    (folder / "local.tflite").chmod(0)
    with pytest.raises(ModelError, match=r"local\.tflite cannot be read: Permission denied"):
        load_bundle(str(folder))


@pytest.mark.parametrize(
    "text", ["", "- a\n- b\n", "{a: [", "\x00", "format: !!python/object:x {}"]
)
def test_what_is_no_yaml_mapping_is_one_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "bundle.yaml").write_text(text)
    with pytest.raises(ModelError, match=r"bundle\.yaml: ") as caught:
        load_bundle(str(tmp_path))
    assert "\n" not in str(caught.value)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(values)
def test_no_value_whatever_breaks_a_reader(value: object) -> None:
    fields = Fields({"x": value})
    fields.text("x")
    fields.choice("x", ("a",))
    fields.integer("x", 1, 2)
    fields.number("x", 0.0, 1.0)
    fields.numbers("x", 2)
    fields.strings("x")
    fields.section("x").text("y")
    assert fields.problems


@given(st.dictionaries(st.sampled_from(["format", "labels", "input", "parts"]), values))
def test_no_document_whatever_is_read_without_a_complaint(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, object]
) -> None:
    folder = tmp_path_factory.mktemp("bundle")
    (folder / "bundle.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(ModelError):
        load_bundle(str(folder))
