"""Bundles from every kind of source, by the real converters, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.tiny_classifier import SIDE_PX, write_classifier
from mastra_ros.cli import main as cli
from mastra_ros.inference import load_bundle
from mastra_ros.inference.engines.onnx import OnnxEngine
from mastra_ros.model.convert.source import source_of

pytestmark = pytest.mark.timeout(600)  # converters load slowly where the machine is busy

FACTORY = """
import torch
from torch import nn

class Colours(nn.Module):
    def __init__(self, sharpness):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1, bias=False)
        self.norm = nn.BatchNorm2d(3)
        self.last = nn.Linear(3, 3, bias=False)
        with torch.no_grad():
            self.conv.weight.copy_(torch.eye(3)[:, :, None, None])
            self.last.weight.copy_(torch.eye(3) * sharpness)

    def forward(self, image):
        return self.last(torch.relu(self.norm(self.conv(image))).mean((2, 3)))

class Loud(nn.Module):
    # A channel of no use is 1200 times as loud as those that tell, and sets their int8 step.
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1, bias=False)
        self.last = nn.Linear(4, 3, bias=False)
        with torch.no_grad():
            self.conv.weight.fill_(20.0)
            self.conv.weight[:3] = torch.eye(3)[:, :, None, None] * 0.05
            self.last.weight.zero_()
            self.last.weight[:, :3] = torch.eye(3) * 200.0

    def forward(self, image):
        return self.last(torch.relu(self.conv(image)).mean((2, 3)))

class Strange(nn.Module):
    def forward(self, image):
        return torch.linalg.det(image[:, :, :3, :3])

def strange():
    return nn.Sequential(nn.Identity(), Strange())

def sharp():
    return Colours(10.0)

def loud():
    return Loud()

def numbers():
    return [1, 2, 3]
"""


@pytest.fixture
def converters() -> None:
    for name in ("torch", "litert_torch", "ai_edge_quantizer", "onnx", "onnxruntime"):
        pytest.importorskip(name, reason=f"{name} is not installed: the extra convert is needed")


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a module of networks in it."""
    (tmp_path / "colour_networks.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def convert(source: str, data: Path, *more: str) -> int:
    arguments = ["--data", str(data), "--size", f"{SIDE_PX}x{SIDE_PX}", "--colour", "bgr"]
    return cli.main(["model", "convert", source, "--out", "made", *arguments, *more])


def check(work: Path, *parts: str) -> dict[str, object]:
    bundle = load_bundle(str(work / "made"))
    assert tuple(bundle.parts) == parts
    assert bundle.labels == ("blue", "green", "red")
    assert cli.main(["model", "verify", str(work / "made")]) == 0
    report: dict[str, object] = json.loads((work / "made/report/report.json").read_text())
    assert report["accuracy_int8"] == 1.0
    return report


@pytest.mark.usefixtures("converters")
def test_a_network_in_pytorch_becomes_a_bundle_with_its_numbers(
    work: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert("colour_networks:sharp", pictures) == 0
    report = check(work, "local", "cloud")
    assert report["loss"] == 0.0
    assert report["layers"]
    assert report["cuts"]
    assert "int8 against float32" in capsys.readouterr().out
    assert sorted(path.name for path in work.iterdir() if path.name.startswith(".")) == []


@pytest.mark.usefixtures("converters")
def test_the_servers_network_becomes_int8_too_where_that_is_asked_for(
    work: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert("colour_networks:sharp", pictures, "--cloud-int8") == 0
    check(work, "local", "cloud", "cloud_int8")
    assert "has the part cloud_int8" in capsys.readouterr().out
    assert load_bundle(str(work / "made")).part("cloud_int8").measurements["accuracy"] == 1.0


@pytest.mark.usefixtures("converters")
def test_an_exported_program_becomes_a_bundle(work: Path, pictures: Path) -> None:
    import colour_networks
    import torch

    example = (torch.zeros(1, 3, SIDE_PX, SIDE_PX),)
    program = torch.export.export(colour_networks.sharp().eval(), example)
    torch.export.save(program, work / "colours.pt2")
    assert convert("colours.pt2", pictures) == 0
    check(work, "local", "cloud")


@pytest.mark.usefixtures("converters")
def test_onnx_becomes_a_bundle_and_so_does_the_tflite_in_it(work: Path, pictures: Path) -> None:
    write_classifier(work / "colours.onnx")
    assert convert("colours.onnx", pictures, "--quantize", "none") == 0
    bundle = load_bundle(str(work / "made"))
    assert bundle.part("cloud").path.read_bytes() == (work / "colours.onnx").read_bytes()
    (work / "float.tflite").write_bytes(bundle.part("local").path.read_bytes())
    assert convert("float.tflite", pictures, "--replace") == 0
    check(work, "local")


@pytest.mark.usefixtures("converters")
def test_fine_tuning_keeps_what_the_network_knew(work: Path, pictures: Path) -> None:
    assert convert("colour_networks:sharp", pictures, "--quantize", "qat", "--epochs", "1") == 0
    check(work, "local", "cloud")


def cloud_scores(bundle: Path) -> np.ndarray:
    """What the server model says of one picture of noise."""
    engine = OnnxEngine(load_bundle(str(bundle)).part("cloud").path)
    shape = (1, 3, SIDE_PX, SIDE_PX)
    return engine.run(np.random.default_rng(3).random(shape, np.float32))[0]


@pytest.mark.usefixtures("converters")
def test_fine_tuning_mends_a_network_that_plain_quantisation_harms(
    work: Path, pictures: Path
) -> None:
    reports, answers = {}, []
    for how, more in (("ptq", ()), ("qat", ("--epochs", "40", "--rate", "0.02"))):
        options = ("--quantize", how, "--allow-loss", "--replace", *more)
        assert convert("colour_networks:loud", pictures, *options) == 0
        reports[how] = json.loads((work / "made/report/report.json").read_text())
        answers.append(cloud_scores(work / "made"))
    assert reports["ptq"]["loss"] > 0.2
    assert reports["qat"]["loss"] < 0.02
    assert np.array_equal(*answers), "fine-tuning has changed the float network"


@pytest.mark.usefixtures("converters")
def test_fine_tuning_at_a_senseless_rate_harms_nothing(work: Path, pictures: Path) -> None:
    options = ("--quantize", "qat", "--epochs", "2", "--rate", "5", "--allow-loss")
    assert convert("colour_networks:sharp", pictures, *options) == 0
    report = json.loads((work / "made/report/report.json").read_text())
    assert report["loss"] < 0.02


@pytest.mark.usefixtures("converters")
def test_too_much_loss_is_refused_with_the_worst_layers_unless_allowed(
    work: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Even no loss at all is more than a limit below zero.
    assert convert("colour_networks:sharp", pictures, "--max-loss", "-1") == 1
    said = capsys.readouterr().err
    assert "more than --max-loss -1; worst layers: " in said
    assert "dB" in said
    assert not (work / "made").exists()
    assert convert("colour_networks:sharp", pictures, "--max-loss", "-1", "--allow-loss") == 0


@pytest.mark.usefixtures("converters")
def test_an_operator_that_cannot_be_converted_is_named_with_its_layer(
    work: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from onnx import TensorProto, helper, save

    shape = ["n", 3, SIDE_PX, SIDE_PX]
    graph = helper.make_graph(
        [helper.make_node("Det", ["image"], ["logits"], name="strange_layer")],
        "odd",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])],
    )
    opset = [helper.make_opsetid("", 13)]
    save(helper.make_model(graph, opset_imports=opset, ir_version=8), work / "odd.onnx")
    assert convert("odd.onnx", pictures) == 1
    assert "Det (layer strange_layer)" in capsys.readouterr().err
    assert not (work / "made").exists()


@pytest.mark.usefixtures("converters")
def test_an_operator_of_pytorch_that_cannot_be_converted_is_named_with_its_layer(
    work: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert("colour_networks:strange", pictures) == 1
    said = capsys.readouterr().err
    assert "linalg_det" in said
    assert "(layer 1)" in said
    assert not (work / "made").exists()


@pytest.mark.usefixtures("converters")
@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("colour_networks:numbers", "expected a torch.nn.Module, got list"),
        ("colour_networks:missing", "cannot be imported"),
        ("colour_networks:sharp:weights.pt", "weights not found"),
    ],
)
def test_a_factory_that_gives_no_network_is_told(
    work: Path, pictures: Path, source: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(source, pictures) in (1, 2)
    assert complaint in capsys.readouterr().err


@pytest.mark.usefixtures("converters")
def test_labels_that_do_not_match_the_outputs_are_told(
    work: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (work / "labels.txt").write_text("blue\ngreen\nred\nyellow\n")
    assert convert("colour_networks:sharp", pictures, "--labels", "labels.txt") == 1
    assert "expected [n, 4] for 4 labels" in capsys.readouterr().err
    assert not (work / "made").exists()


@pytest.mark.usefixtures("converters")
def test_calibration_tensors_of_the_wrong_size_are_told(
    work: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (work / "tensors").mkdir()
    np.save(work / "tensors" / "0.npy", np.zeros((8, 8, 3), np.float32))
    assert convert("colour_networks:sharp", pictures, "--tensors", "tensors") == 1
    assert "expected the shape (16, 16, 3), got (8, 8, 3)" in capsys.readouterr().err


def test_what_is_no_model_is_one_line(
    work: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (work / "notes.txt").write_text("no weights")
    (work / "folder").mkdir()
    for source, complaint in [
        ("notes.txt", "not a model; expected"),
        ("folder", "no TensorFlow SavedModel"),
        ("missing.onnx", "not found"),
    ]:
        assert convert(source, pictures) == 1
        said = capsys.readouterr().err
        assert complaint in said
        assert said.count("\n") == 1


def test_the_kind_of_a_source_is_seen_from_its_form(work: Path) -> None:
    for name in ("a.pt2", "a.onnx", "a.tflite", "a.keras"):
        (work / name).write_bytes(b"")
    (work / "saved").mkdir()
    (work / "saved" / "saved_model.pb").write_bytes(b"")
    kinds = [source_of(s).kind for s in ("a.pt2", "a.onnx", "a.tflite", "a.keras", "saved", "m:f")]
    assert kinds == ["exported", "onnx", "tflite", "tensorflow", "tensorflow", "torch"]


def test_a_description_that_is_missing_is_asked_for(
    work: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write = ["model", "convert", "m:f", "--out", "made", "--data", str(pictures)]
    assert cli.main(write) == 2
    assert "--size" in capsys.readouterr().err
    assert cli.main([*write, "--size", "big"]) == 2
    assert "WIDTHxHEIGHT" in capsys.readouterr().err
