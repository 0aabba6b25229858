"""Resize and Upsample.

Whatever its mode, resizing is a matrix for each axis. ONNX Runtime is asked for it, with the node's
own attributes and a unit matrix as picture, so no rule of coordinates is written here anew. Where
one of PyTorch's own ways has the same matrices it is taken, since devices have kernels for it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..needs import require_onnx, require_onnxruntime, require_torch
from .node import ANY, Inputs, Node, Rule, Table, given, ints, refuse

MODES = ("nearest", "linear", "cubic")
Matrix = NDArray[np.float32]
Options = tuple[tuple[str, Any], ...]

NATIVE: tuple[dict[str, Any], ...] = (
    {"mode": "nearest"},
    {"mode": "linear", "align_corners": False},
    {"mode": "linear", "align_corners": True},
)


def resizing() -> Table:
    """The operators by name."""
    coordinates = (
        "half_pixel",
        "half_pixel_symmetric",
        "pytorch_half_pixel",
        "align_corners",
        "asymmetric",
        "tf_half_pixel_for_nn",
    )
    known = {
        "mode": MODES,
        "coordinate_transformation_mode": coordinates,
        "nearest_mode": ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"),
        "cubic_coeff_a": ANY,
        "exclude_outside": (0, 1),
        "antialias": (0, 1),
        "keep_aspect_ratio_policy": ("stretch",),
        "extrapolation_value": ANY,  # only of tf_crop_and_resize
        "axes": ANY,
    }
    return {
        "Resize": Rule(_resize, known, numbers_from=1),
        "Upsample": Rule(_resize, {"mode": MODES[:2], "scales": ANY}, numbers_from=1),
    }


def _resize(x: Inputs, node: Node) -> Any:
    scales, sizes = _targets(x, node)
    axes = node.get("axes", None)
    axes = list(range(x[0].ndim)) if axes is None else [a % x[0].ndim for a in axes]
    options = tuple(
        (name, value)
        for name, value in node.attributes.items()
        if name not in ("axes", "scales", "extrapolation_value")
    )
    matrices: dict[int, Matrix] = {}
    grown = False
    for i, axis in enumerate(axes):
        scale = 0.0 if scales is None else scales[i]
        size = 0 if sizes is None else sizes[i]
        if axis == 0 and scale in (0.0, 1.0):
            continue  # the batch stays as it is, and its size may be open while this is traced
        side = int(x[0].shape[axis])
        matrix = _matrix(node, options, side, scale, size)
        grown = grown or len(matrix) != side
        if len(matrix) != side or not np.array_equal(matrix, np.eye(side)):
            matrices[axis] = matrix
    return _applied(x[0], matrices) if grown else x[0]


def _targets(x: Inputs, node: Node) -> tuple[list[float] | None, list[int] | None]:
    """The scales, or the sizes, for each of the axes."""
    if node.kind == "Resize" and len(x) > 2:
        sizes, scales = given(x, 3), given(x, 2)
    else:  # Upsample, and Resize of opset 10
        sizes, scales = None, given(x, 1)
        scales = node.get("scales", None) if scales is None else scales
    if sizes is not None:
        return None, ints(sizes)
    if scales is None:
        raise refuse(node, "it has neither scales nor sizes")
    return [float(one) for one in np.asarray(scales).reshape(-1)], None


def _matrix(node: Node, options: Options, side: int, scale: float, size: int) -> Matrix:
    try:
        return _asked(node.kind, node.opset, options, side, scale, size)
    except Exception as error:  # ONNX Runtime's errors have no common base
        text = " ".join(str(error).split())
        raise refuse(node, f"ONNX Runtime says {text:.160}") from error


@lru_cache(maxsize=256)
def _asked(kind: str, opset: int, options: Options, side: int, scale: float, size: int) -> Matrix:
    """What ONNX Runtime makes of the last axis of unit vectors: (places, side).

    The axis before it, of one place, is doubled: where all sides stay, the runtime only copies.
    """
    onnx, runtime = require_onnx(), require_onnxruntime()
    from onnx import TensorProto, helper, numpy_helper

    def constant(name: str, values: list[Any], dtype: Any) -> Any:
        return numpy_helper.from_array(np.array(values, dtype), name)

    attributes = dict(options)
    weights, names = [], ["x"]
    if kind == "Upsample" and opset < 9:
        attributes["scales"] = [1.0, 1.0, 2.0, scale]
    elif kind == "Upsample" or opset < 11:
        weights.append(constant("scales", [1.0, 1.0, 2.0, scale], np.float32))
        names.append("scales")
    else:
        weights.append(constant("roi", [], np.float32))
        factors = [1.0, 1.0, 2.0, scale] if scale else []
        weights.append(constant("scales", factors, np.float32))
        names += ["roi", "scales"]
        if size:
            weights.append(constant("sizes", [side, 1, 2, size], np.int64))
            names.append("sizes")
    graph = helper.make_graph(
        [helper.make_node(kind, names, ["y"], **attributes)],
        "axis",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [side, 1, 1, side])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [side, 1, 2, None])],
        weights,
    )
    opsets = [onnx.helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    quiet = runtime.SessionOptions()
    quiet.log_severity_level = 3
    session = runtime.InferenceSession(
        model.SerializeToString(), quiet, providers=["CPUExecutionProvider"]
    )
    (made,) = session.run(None, {"x": np.eye(side, dtype=np.float32).reshape(side, 1, 1, side)})
    return np.ascontiguousarray(made[:, 0, 0].T)


def _applied(x: Any, matrices: dict[int, Matrix]) -> Any:
    """The picture with its axes multiplied by their matrices."""
    torch = require_torch()
    if x.ndim == 4 and set(matrices) <= {2, 3}:
        size = [len(matrices[a]) if a in matrices else int(x.shape[a]) for a in (2, 3)]
        for way in NATIVE:
            if all(_is_native(matrix, way) for matrix in matrices.values()):
                mode = "bilinear" if way["mode"] == "linear" else way["mode"]
                return torch.nn.functional.interpolate(x, size=size, **{**way, "mode": mode})
    for axis, matrix in matrices.items():
        if ((matrix == 0) | (matrix == 1)).all() and (matrix.sum(1) == 1).all():
            x = x.index_select(axis, torch.from_numpy(matrix.argmax(1)))
        else:
            rows = torch.from_numpy(np.ascontiguousarray(matrix.T))
            x = torch.matmul(x.transpose(axis, -1), rows).transpose(axis, -1)
    return x


def _is_native(matrix: Matrix, way: dict[str, Any]) -> bool:
    """Whether PyTorch's own way has this matrix. Worked out here, since it may be traced now."""
    places, side = matrix.shape
    at = np.arange(places, dtype=np.float32)
    if way["mode"] == "nearest":
        at = np.floor(at * np.float32(side / places))
    elif way["align_corners"]:
        at = at * np.float32((side - 1) / max(places - 1, 1))
    else:
        at = np.maximum((at + 0.5) * np.float32(side / places) - 0.5, 0)
    low = np.minimum(np.floor(at), side - 1).astype(int)
    high = np.minimum(low + 1, side - 1)
    made, rows = np.zeros((places, side), np.float32), np.arange(places)
    np.add.at(made, (rows, low), 1 - (at - low))
    np.add.at(made, (rows, high), at - low)
    return bool(np.allclose(made, matrix, atol=1e-5))
