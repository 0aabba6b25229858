"""What is made from a network computes what it computes, in every form that networks come in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mastra_ros.cli import main as cli
from mastra_ros.inference import Detector, load_bundle
from mastra_ros.model.convert.likeness import Difference, require_alike, worst_difference
from mastra_ros.model.rebuild import network as rebuilding
from mastra_ros.model.rebuild.node import Rule
from mastra_ros.model.rebuild.operators import operators
from mastra_ros.model.verify import read_document
from mastra_ros.types import Frame, FrameKey

runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

pytestmark = pytest.mark.timeout(600)  # converters load slowly where the machine is busy

COLOURS = ("red", "green", "blue")


@pytest.fixture(autouse=True)
def converters() -> None:
    for name in ("torch", "litert_torch", "ai_edge_quantizer", "onnx"):
        pytest.importorskip(name, reason=f"{name} is not installed: the extra convert is needed")


def convert(*more: str, source: str = "net.onnx") -> int:
    given = ["--data", "data", "--labels", "labels.txt", "--out", "made", "--quantize", "none"]
    return cli.main(["model", "convert", source, *given, *more])


def answers(part: str) -> list[tuple[str, float]]:
    """The label and score that a part gives to one picture of each colour."""
    bundle = load_bundle("made")
    detector = Detector.open(bundle, part)
    found = []
    for label in COLOURS:
        image = cv2.imread(f"data/{label}/0.png")
        answer = detector.detect(Frame(FrameKey("test", 1), image, "bgr8"))
        found.append((bundle.labels[answer.classes[0]], float(answer.scores[0])))
    detector.close()
    return found


def scores_by_hand() -> list[np.ndarray]:
    """What the network's scores are, before anything behind them, for the same pictures."""
    made = []
    for label in COLOURS:
        rgb = cv2.imread(f"data/{label}/0.png")[..., ::-1] / 255
        each = [6 * rgb[..., k] - 3 * np.delete(rgb, k, axis=2).sum(2) for k in range(3)]
        made.append(np.array([np.maximum(one, 0).mean() for one in each]))
    return made


def softmax(values: np.ndarray) -> np.ndarray:
    return np.exp(values) / np.exp(values).sum()


FORMS: dict[str, dict[str, Any]] = {
    "weights beside the file": {"apart": True},
    "float16": {"element": "float16"},
    "pixel values in uint8": {"element": "uint8"},
    "channels last": {"nhwc": True},
    "channels last, sides left open": {"nhwc": True, "dynamic": True},
    "sides left open": {"dynamic": True},
    "softmax inside": {"last": "Softmax"},
    "sigmoid inside": {"last": "Sigmoid"},
}


@pytest.mark.parametrize("form", FORMS)
def test_both_parts_give_the_scores_worked_out_by_hand(write_colours: Any, form: str) -> None:
    model = FORMS[form]
    write_colours(**model)
    sized = ("--size", "32x32") if model.get("dynamic") else ()
    assert convert(*sized) == 0
    last = model.get("last", "")
    factor = 255 if model.get("element") == "uint8" else 1
    for part in ("local", "cloud"):
        for (label, score), colour, values in zip(
            answers(part), COLOURS, scores_by_hand(), strict=True
        ):
            wanted = 1 / (1 + np.exp(-values)) if last == "Sigmoid" else softmax(values * factor)
            assert label == colour, (part, form)
            assert score == pytest.approx(wanted.max(), abs=2e-3), (part, form)
    document = read_document(Path("made"))
    assert document["output"].get("scores") == ("probabilities" if last else None)
    feed = document["parts"]["cloud"].get("input", {})
    typed = {"float16", "uint8"} & {model.get("element")}
    assert feed.get("type") == (typed.pop() if typed else None)
    assert document["format"] == (2 if feed else 1)


def test_all_three_inputs_of_a_max_count(write_colours: Any) -> None:
    write_colours(maxout=True)
    assert convert() == 0
    assert [label for label, _ in answers("local")] == list(COLOURS)
    report = json.loads(Path("made/report/report.json").read_text())
    assert report["accuracy_float"] == 1.0
    assert set(report["float_differences"]) == {"the PyTorch network", "the TensorFlow Lite file"}
    assert max(report["float_differences"].values()) < 1e-3


def test_a_network_that_computes_something_else_is_refused(
    write_colours: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def forgetful() -> Any:  # the third input of Max forgotten
        import torch

        return {**operators(), "Max": Rule(lambda x, _: torch.maximum(x[0], x[1]))}

    monkeypatch.setattr(rebuilding, "operators", forgetful)
    write_colours(maxout=True)
    assert convert() == 1
    said = capsys.readouterr().err
    assert "net.onnx: the PyTorch network made from it computes something else" in said
    assert "output scores differs by" in said
    assert "of its largest value" in said
    assert said.count("\n") == 1
    assert not Path("made").exists()


def test_a_file_that_litert_makes_wrong_is_refused(
    write_colours: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mastra_ros.model.convert import floats

    right = floats.write_tflite
    monkeypatch.setattr(
        floats, "write_tflite", lambda net, spec, out: right(Halved(net), spec, out)
    )
    import torch

    class Halved(torch.nn.Module):
        def __init__(self, network: Any) -> None:
            super().__init__()
            self.network = network
            self.training = False

        def forward(self, image: Any) -> Any:
            return self.network(image) * 0.5

    write_colours()
    assert convert() == 1
    said = capsys.readouterr().err
    assert "the TensorFlow Lite file made from it computes something else" in said
    assert "differs by 0.5 of its largest value" in said
    assert not Path("made").exists()


@pytest.mark.parametrize(
    ("last", "asked", "complaint"),
    [
        ("Softmax", "logits", "said to be logits, but are probabilities: they come from a softmax"),
        ("", "probabilities", "said to be probabilities, but are logits: some of them are below 0"),
    ],
)
def test_what_is_said_of_scores_and_cannot_be_is_refused(
    write_colours: Any, last: str, asked: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_colours(last=last)
    if not last:
        onnx = pytest.importorskip("onnx")
        model = onnx.load(path)
        weights = onnx.numpy_helper.to_array(model.graph.initializer[0]) * 9  # scores above 1
        model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weights, "w"))
        onnx.save(model, path)
    assert convert("--scores", asked) == 2
    assert complaint in capsys.readouterr().err
    assert not Path("made").exists()


def test_probabilities_asked_for_are_believed_where_they_may_be(write_colours: Any) -> None:
    write_colours(last="Abs")  # nothing shows what these are, and all are within 0 and 1
    onnx = pytest.importorskip("onnx")
    model = onnx.load("net.onnx")
    weights = onnx.numpy_helper.to_array(model.graph.initializer[0]) / 6
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weights, "w"))
    onnx.save(model, "net.onnx")
    assert convert("--scores", "probabilities") == 0
    for (_, score), values in zip(answers("local"), scores_by_hand(), strict=True):
        assert score == pytest.approx(values.max() / 6, abs=2e-3)


def test_labels_in_another_order_than_the_outputs_are_doubted(
    write_colours: Any, caplog: pytest.LogCaptureFixture
) -> None:
    write_colours()
    Path("labels.txt").write_text("green\nblue\nred")
    assert convert() == 0
    assert "are the labels in the order of the network's outputs (green, blue, red)?" in caplog.text


def test_a_softmax_in_pytorch_is_seen(colour_files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (colour_files / "soft_network.py").write_text(
        "import torch\n"
        "class Soft(torch.nn.Module):\n"
        "    def forward(self, image):\n"
        "        return torch.softmax(image.mean((2, 3)) * 4, 1)\n"
    )
    monkeypatch.syspath_prepend(str(colour_files))
    assert convert("--size", "32x32", source="soft_network:Soft") == 0
    assert read_document(Path("made"))["output"]["scores"] == "probabilities"


def test_boxes_and_scores_that_look_alike_are_not_mixed_up(
    colour_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Four labels: scores and boxes have one shape, and the network gives the boxes first.
    (colour_files / "grid_network.py").write_text(
        "import torch\n"
        "class Grid(torch.nn.Module):\n"
        "    def forward(self, image):\n"
        "        cell = torch.nn.functional.avg_pool2d(image, 8).flatten(2).permute(0, 2, 1)\n"
        "        scores = torch.cat([cell * 40 - 20, cell[..., :1] * 0 - 9], 2)\n"
        "        return {'boxes': cell.repeat(1, 1, 2)[..., :4] * 0 + 0.5, 'scores': scores}\n"
    )
    monkeypatch.syspath_prepend(str(colour_files))
    (colour_files / "labels.txt").write_text("red\ngreen\nblue\nnothing")
    for folder in ("images", "labels"):
        (colour_files / "boxes" / folder).mkdir(parents=True)
    image = np.zeros((32, 32, 3), np.uint8)
    image[8:16, 16:24, 1] = 255
    cv2.imwrite("boxes/images/0.png", image)
    Path("boxes/labels/0.txt").write_text("16 8 24 16 2")
    output = {"kind": "anchor_free", "stride_px": 8, "nms_iou": 0.4}
    size = {"width_px": 32, "height_px": 32, "colour": "rgb"}
    Path("spec.yaml").write_text(json.dumps({"output": output, "input": size}))
    given = ["--data", "boxes", "--labels", "labels.txt", "--spec", "spec.yaml", "--out", "made"]
    command = ["model", "convert", "grid_network:Grid", *given, "--quantize", "none"]
    assert cli.main(command) == 0
    bundle = load_bundle("made")
    for part in ("local", "cloud"):
        detector = Detector.open(bundle, part)
        found = detector.detect(Frame(FrameKey("test", 1), image, "bgr8"))
        detector.close()
        assert [bundle.labels[i] for i in found.classes] == ["green"], part
        np.testing.assert_allclose(found.boxes, [[12 + 4, 8, 24, 16]], atol=0.1)


def test_the_worst_output_of_the_worst_picture_is_told() -> None:
    pictures = [("a", np.ones((1, 3, 2, 2), np.float32)), ("b", np.zeros((1, 3, 2, 2), np.float32))]

    def one(image: np.ndarray) -> list[np.ndarray]:
        return [image * 8, image.sum((1, 2, 3)) + 4]

    def other(image: np.ndarray) -> list[np.ndarray]:
        first, second = one(image)
        return [first, second + (0 if image.any() else 1)]

    found = worst_difference(one, other, ["maps", "sums"], pictures)
    assert found == Difference("sums", 0.25, 4.0, "b")
    with pytest.raises(Exception, match=r"output sums differs by 0\.25 of its largest value 4"):
        require_alike(found, 1e-3, "x: it")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_differs_from_any(value: float) -> None:
    pictures = [("a", np.ones((1, 3, 2, 2), np.float32))]
    odd = worst_difference(lambda x: [x], lambda x: [x * value], ["y"], pictures)
    with pytest.raises(Exception, match="computes something else"):
        require_alike(odd, 1e-3, "x: it")
    same = worst_difference(lambda x: [x * value], lambda x: [x * value], ["y"], pictures)
    require_alike(same, 1e-3, "x: it")
