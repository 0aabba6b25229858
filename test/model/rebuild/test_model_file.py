"""ONNX files: with weights beside them, damaged, or with more than one input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mastra_ros.errors import ModelError
from mastra_ros.model.rebuild.model_file import load_onnx
from mastra_ros.model.rebuild.network import network_of

onnx = pytest.importorskip("onnx", reason="onnx is not installed: no files to read")
runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

KERNEL = np.random.default_rng(1).normal(size=(4, 3, 3, 3)).astype(np.float32)
NODES = [("Conv", "x w", "y", {})]


@pytest.fixture
def apart(graph: Any, tmp_path: Path) -> Path:
    """A file whose weights lie in another one beside it."""
    model = onnx.load(graph(NODES, {"w": KERNEL}))
    folder = tmp_path / "somewhere"
    folder.mkdir()
    onnx.save_model(
        model,
        str(folder / "net.onnx"),
        save_as_external_data=True,
        location="net.onnx.data",
        size_threshold=0,
    )
    return folder / "net.onnx"


def test_weights_beside_the_file_are_found_from_any_folder(
    apart: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    monkeypatch.chdir(tmp_path)
    network = network_of(load_onnx(Path("somewhere/net.onnx")), (3, 6, 8))
    image = np.random.default_rng(2).normal(size=(1, 3, 6, 8)).astype(np.float32)
    wanted = runtime.InferenceSession(str(apart)).run(None, {"x": image})[0]
    with torch.no_grad():
        np.testing.assert_allclose(network(torch.from_numpy(image)), wanted, atol=1e-5)


def test_they_are_written_into_one_file(apart: Path, tmp_path: Path) -> None:
    load_onnx(apart).write(tmp_path / "one.onnx")
    (apart.parent / "net.onnx.data").unlink()
    image = np.ones((1, 3, 6, 8), np.float32)
    (got,) = runtime.InferenceSession(str(tmp_path / "one.onnx")).run(None, {"x": image})
    np.testing.assert_allclose(got[0, :, 0, 0], KERNEL.sum((1, 2, 3)), rtol=1e-4)


def test_a_file_that_is_one_already_is_written_as_it_was(graph: Any, tmp_path: Path) -> None:
    path = graph(NODES, {"w": KERNEL})
    load_onnx(path).write(tmp_path / "copy.onnx")
    assert (tmp_path / "copy.onnx").read_bytes() == path.read_bytes()


def test_weights_that_are_not_there_are_named(apart: Path) -> None:
    (apart.parent / "net.onnx.data").unlink()
    with pytest.raises(
        ModelError, match=r"its weights are in net\.onnx\.data, which is not beside"
    ):
        load_onnx(apart)


def test_weights_cut_short_are_one_line(apart: Path) -> None:
    data = apart.parent / "net.onnx.data"
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(ModelError, match="not an ONNX model") as caught:
        load_onnx(apart)
    assert "\n" not in str(caught.value)


def test_weights_outside_the_folder_are_not_read(apart: Path, tmp_path: Path) -> None:
    model = onnx.load(str(apart), load_external_data=False)
    (tmp_path / "secret").write_bytes((apart.parent / "net.onnx.data").read_bytes())
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = "../secret"
    onnx.save_model(model, str(apart))
    with pytest.raises(ModelError, match="secret"):
        load_onnx(apart)


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02", b"no model at all"])
def test_what_is_no_model_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"net\.onnx") as caught:
        load_onnx(tmp_path / "net.onnx")
    assert "\n" not in str(caught.value)


def test_two_inputs_are_named(graph: Any, tmp_path: Path) -> None:
    model = onnx.load(graph(NODES, {"w": KERNEL}))
    model.graph.input.append(onnx.helper.make_tensor_value_info("im_shape", 1, [1, 2]))
    onnx.save(model, tmp_path / "two.onnx")
    with pytest.raises(ModelError, match="expected one input, got 2: x, im_shape"):
        load_onnx(tmp_path / "two.onnx")


def test_weights_that_also_stand_among_the_inputs_are_none(graph: Any, tmp_path: Path) -> None:
    model = onnx.load(graph(NODES, {"w": KERNEL}))
    model.graph.input.append(onnx.helper.make_tensor_value_info("w", 1, KERNEL.shape))
    onnx.save(model, tmp_path / "old.onnx")
    assert load_onnx(tmp_path / "old.onnx").feed == "x"


def test_functions_of_the_file_itself_are_written_out(tmp_path: Path) -> None:
    helper = onnx.helper
    twice = helper.make_function(
        "mine",
        "Twice",
        ["a"],
        ["b"],
        [helper.make_node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 17)],
    )
    graph = helper.make_graph(
        [helper.make_node("Twice", ["x"], ["y"], domain="mine")],
        "g",
        [helper.make_tensor_value_info("x", 1, [1, 3, 6, 8])],
        [helper.make_tensor_value_info("y", 1, [1, 3, 6, 8])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    model = helper.make_model(graph, functions=[twice], opset_imports=opsets, ir_version=8)
    onnx.save(model, tmp_path / "net.onnx")
    assert [node.op_type for node in load_onnx(tmp_path / "net.onnx").proto.graph.node] == ["Add"]
