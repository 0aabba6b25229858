"""Classifiers of colours as ONNX files of every form, and labelled pictures for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

SIDE_PX = 32
COLOURS = ("red", "green", "blue")  # of an rgb picture, in this order

WriteColours = Callable[..., Path]


@pytest.fixture
def colour_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with `data` (a folder per colour) and `labels.txt` in it."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for place, label in enumerate(COLOURS):
        (tmp_path / "data" / label).mkdir(parents=True)
        for i in range(4):
            rgb = rng.integers(0, 120, (SIDE_PX, SIDE_PX, 3))
            rgb[..., place] += 100
            cv2.imwrite(str(tmp_path / f"data/{label}/{i}.png"), rgb[..., ::-1].astype(np.uint8))
    (tmp_path / "labels.txt").write_text("\n".join(COLOURS))
    return tmp_path


@pytest.fixture
def write_colours(colour_files: Path) -> WriteColours:
    """Write `net.onnx`: red, green and blue by the mean of relu(6 own - 3 of each other).

    last: an operator behind the scores. element: type of the input, for float16 of everything.
    maxout: three convolutions, one a colour, meet in one Max. labels: how many scores.
    """
    onnx = pytest.importorskip("onnx", reason="onnx is not installed: no models to convert")

    def write(
        name: str = "net.onnx",
        *,
        last: str = "",
        element: str = "float32",
        nhwc: bool = False,
        maxout: bool = False,
        dynamic: bool = False,
        apart: bool = False,
        labels: int = 3,
        more: tuple[Any, ...] = (),
    ) -> Path:
        helper, node = onnx.helper, onnx.helper.make_node
        number = np.float16 if element == "float16" else np.float32
        kernel = np.full((3, 3), -3.0) + 9 * np.eye(3)
        kernel = np.concatenate([kernel, np.zeros((labels - 3, 3))])[:, :, None, None]
        weights = {"w": kernel.astype(number)}
        nodes, fed = [], "image"
        if element == "uint8":
            nodes, fed = [node("Cast", [fed], ["real"], to=1)], "real"
        if nhwc:
            nodes.append(node("Transpose", [fed], ["planes"], perm=[0, 3, 1, 2]))
            fed = "planes"
        if maxout:
            for k in range(3):
                own = np.zeros_like(kernel)
                own[k] = kernel[k]
                weights[f"w{k}"] = own.astype(number)
                nodes.append(node("Conv", [fed, f"w{k}"], [f"b{k}"]))
            nodes.append(node("Max", ["b0", "b1", "b2"], ["m"], name="maxout"))
        else:
            nodes += [node("Conv", [fed, "w"], ["c"]), node("Relu", ["c"], ["m"])]
        nodes += [
            *more,
            node("GlobalAveragePool", ["m"], ["g"]),
            node("Flatten", ["g"], ["scores"]),
        ]
        if last:
            nodes.append(node(last, ["scores"], ["p"]))
        side: int | str = "side" if dynamic else SIDE_PX
        shape = ["n", side, side, 3] if nhwc else ["n", 3, side, side]
        kinds = {"float32": 1, "float16": 10, "uint8": 2}
        output = 10 if element == "float16" else 1
        graph = helper.make_graph(
            nodes,
            "colours",
            [helper.make_tensor_value_info("image", kinds[element], shape)],
            [helper.make_tensor_value_info("p" if last else "scores", output, ["n", labels])],
            [onnx.numpy_helper.from_array(value, key) for key, value in weights.items()],
        )
        opset = [helper.make_opsetid("", 17)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=8)
        beside = {"save_as_external_data": True, "location": f"{name}.data", "size_threshold": 0}
        onnx.save_model(model, str(colour_files / name), **(beside if apart else {}))
        return colour_files / name

    return write
