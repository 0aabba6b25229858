"""What cannot work is said in one line, before any network is converted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mastra_ros.cli import main as cli
from mastra_ros.model.convert import floats

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def refused(
    write_colours: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Run the converter, and assert that it refuses in one line before the long work."""
    for name in ("torch", "litert_torch", "ai_edge_quantizer", "onnxruntime"):
        pytest.importorskip(name, reason=f"{name} is not installed: the extra convert is needed")
    write_colours()

    def too_late(*_: Any) -> None:
        raise AssertionError("conversion had begun")

    monkeypatch.setattr(floats, "write_tflite", too_late)
    capsys.readouterr()  # what packages say when they are imported first

    def run(*more: str, source: str = "net.onnx", complaint: str) -> None:
        before = sorted(path.name for path in Path.cwd().iterdir())
        given = {"--data": "data", "--labels": "labels.txt", "--out": "made"}
        given |= dict(zip(more[::2], more[1::2], strict=True))
        words = [word for name, value in given.items() if value for word in (name, value)]
        assert cli.main(["model", "convert", source, *words]) in (1, 2)
        said = capsys.readouterr().err
        assert complaint in said
        assert said.count("\n") == 1, said
        assert sorted(path.name for path in Path.cwd().iterdir()) == before

    return run


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("--calibration", "0", "--calibration: expected 1 or more, got 0"),
        ("--limit", "0", "--limit: expected 1 or more, got 0"),
        ("--epochs", "-1", "--epochs: expected 1 or more, got -1"),
        ("--max-loss", "nan", "--max-loss: expected -1 to 1, got nan"),
        ("--threshold", "1.5", "--threshold: expected 0 to 1, got 1.5"),
        ("--rate", "0", "--rate: expected a number above 0, got 0"),
        ("--scores", "marks", "--scores: expected one of logits, probabilities, got 'marks'"),
        ("--layout", "chw", "--layout: expected one of nchw, nhwc, got 'chw'"),
        ("--kind", "yolov9", "output.kind: expected one of classification, anchor_free"),
        ("--kind", "yolov8", "data: no labelled pictures in it"),
        ("--size", "0x32", "input.width_px: expected an integer of 1"),
        ("--size", "64x32", "input: expected [n, 3, 32, 64] or [n, 32, 64, 3], got image"),
        ("--colour", "gray", "input: expected [n, 1, 32, 32] or [n, 32, 32, 1], got image"),
        ("--layout", "nhwc", "input: expected [n, 32, 32, 3], got image"),
        ("--labels", "nowhere.txt", "nowhere.txt: cannot be read"),
        ("--data", "nowhere", "nowhere"),
        ("--spec", "nowhere.yaml", "nowhere.yaml: cannot be read"),
        ("--tensors", "nowhere", "nowhere: no .npy files in it"),
        ("--cloud", "nowhere.onnx", "nowhere.onnx: model file not found"),
        ("--out", "labels.txt", "labels.txt: is there already and is no bundle"),
        ("--out", "labels.txt/made", "labels.txt/made: cannot be written"),
        ("--out", "data", "data: is there already and is no bundle"),
    ],
)
def test_an_option_that_makes_no_sense(
    refused: Any, option: str, value: str, complaint: str
) -> None:
    refused(option, value, complaint=complaint)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("red\ngreen\n\nred\nblue\ngreen", "got 'red' at 0, 2; 'green' at 1, 4"),
        ("\n\n", "expected a line for each label, it has none"),
        ("red\ngreen", "folders blue are no labels of the model, which has red, green"),
        ("red\ngreen\nblue\nwhite", "expected [n, 4] for 4 labels, got scores float32 [any, 3]"),
    ],
)
def test_labels_that_do_not_fit(refused: Any, text: str, complaint: str) -> None:
    Path("labels.txt").write_text(text)
    refused(complaint=complaint)


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        (
            {"labels": ["red", "green", "red"]},
            "expected different texts, got 'red' at 0, 2",
        ),
        (
            {"labels": ["red", True, "blue"]},
            "a list of different texts, got ['red', True, 'blue']",
        ),
        ({"input": {"width": 32}}, "input.width: unknown field"),
        ({"input": {"std": [0, 0, 0]}}, "input.std: expected no zero"),
        ({"input": [32, 32]}, "input: expected a mapping, got [32, 32]"),
        ({"output": "softmax"}, "output: expected a mapping, got 'softmax'"),
        ({"output": {"kind": "yolox", "nms_iou": 0.5}}, "output.kind: yolox is not for the task"),
        ({"output": {"kind": "classification", "iou": 1}}, "output.iou: unknown field"),
        (
            {"task": "counting", "output": {"kind": "classification"}},
            "task: expected one of detection, classification",
        ),
        ({"ouput": {}}, "unknown fields ouput"),
    ],
)
def test_a_description_that_does_not_hold(
    refused: Any, spec: dict[str, Any], complaint: str
) -> None:
    Path("spec.yaml").write_text(json.dumps(spec))
    if "labels" in spec:
        refused("--spec", "spec.yaml", "--labels", "", complaint=complaint)
    else:
        refused("--spec", "spec.yaml", complaint=complaint)


def test_another_model_for_the_server_that_does_not_fit(refused: Any, write_colours: Any) -> None:
    write_colours("five.onnx", labels=5)
    refused("--cloud", "five.onnx", complaint="five.onnx: does not fit bundle.yaml: outputs:")


def test_another_model_for_the_server_whose_scores_are_of_another_form(
    refused: Any, write_colours: Any
) -> None:
    write_colours("soft.onnx", last="Softmax")
    refused("--cloud", "soft.onnx", complaint="soft.onnx: its scores are probabilities, those of")


def test_an_operator_that_cannot_be_rebuilt(refused: Any, write_colours: Any) -> None:
    onnx = pytest.importorskip("onnx")
    odd = onnx.helper.make_node("Det", ["c"], ["unused"], name="odd")
    write_colours("odd.onnx", more=(odd,))
    refused(source="odd.onnx", complaint="odd.onnx: operators that cannot be converted to LiteRT")


def test_a_source_that_is_not_there(refused: Any) -> None:
    refused(source="nowhere.onnx", complaint="nowhere.onnx: model file not found")


def test_weights_that_are_not_there(refused: Any, write_colours: Any) -> None:
    write_colours("apart.onnx", apart=True)
    Path("apart.onnx.data").unlink()
    refused(source="apart.onnx", complaint="its weights are in apart.onnx.data, which is not")
