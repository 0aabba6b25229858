"""Takes the constant part out of what rounding the weights adds to a layer.

A rounded weight is off by a little, and where its input is not zero on average, as behind a ReLU,
so is the layer's result, always to the same side; sums of many such weights add up, layer after
layer. That part is known once the mean input is: it is taken from the bias. After Nagel et al.,
2019 (arXiv:1906.04721, section 4.2), with means from the calibration pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..layers import interpreter, invoke, operator_names
from ..needs import require_torch
from ..progress import Progress, silent
from ..tflite_file import name_of, read_model, schema, write_model

PICTURES = 24
"""So many pictures are enough for means over whole maps."""

# The axes of weights that are neither of output nor of input channels. TFLite keeps convolutions
# as (out, height, width, in), those by channel as (1, height, width, out), the rest as (out, in).
SUMMED = {"CONV_2D": (1, 2), "DEPTHWISE_CONV_2D": (0, 1, 2), "FULLY_CONNECTED": ()}

Floats = NDArray[np.float64]


def correct_biases(
    float_path: Path,
    int8_path: Path,
    tensors: Sequence[NDArray[np.float32]],
    progress: Progress = silent,
) -> int:
    """Change the biases of the int8 model, in its file; how many layers were corrected.

    `tensors` are float inputs (1, height, width, channels); the first PICTURES are used. Borders,
    where padding stands for a part of the input, count like the rest. Layers without a bias, and
    weights that several layers share, stay as they are.
    """
    exact, coarse = read_model(float_path), read_model(int8_path)
    theirs = {_name(coarse, op.outputs[0]): op for op in coarse.subgraphs[0].operators}
    pairs = [
        (kind, op, theirs[_name(exact, op.outputs[0])])
        for kind, op in zip(operator_names(exact), exact.subgraphs[0].operators, strict=True)
        if kind in SUMMED and _name(exact, op.outputs[0]) in theirs
    ]
    pairs = [pair for pair in pairs if _has_int8(coarse, pair[2])]
    means = _mean_inputs(float_path, [int(op.inputs[0]) for _, op, _ in pairs], tensors, progress)
    uses = [tensor.buffer for tensor in coarse.subgraphs[0].tensors]
    corrected = 0
    for kind, op, rounded in pairs:
        bias = coarse.subgraphs[0].tensors[int(rounded.inputs[2])]
        if uses.count(bias.buffer) > 1:
            continue
        weights = _stored(exact, int(op.inputs[1]), np.dtype(np.float32)).astype(np.float64)
        error = _real_weights(coarse, int(rounded.inputs[1])) - weights
        shift = _shift(kind, error, means[int(op.inputs[0])])
        buffer = coarse.buffers[bias.buffer]
        whole = np.frombuffer(bytes(buffer.data), _integer(bias)).astype(np.int64)
        steps = np.rint(shift / np.asarray(bias.quantization.scale, np.float64)).astype(np.int64)
        limits = np.iinfo(_integer(bias))
        moved = np.clip(whole - steps, limits.min, limits.max).astype(_integer(bias))
        buffer.data = np.frombuffer(moved.tobytes(), np.uint8)
        corrected += 1
    write_model(coarse, int8_path)
    return corrected


def settle_biases(student: Any, weights: Sequence[tuple[Any, str]], pictures: Any) -> int:
    """The same for a PyTorch graph whose `weights` are rounded by parametrisations, in place.

    Fine-tuning then begins where post-training quantisation ends. `pictures` are (n, channels,
    height, width); how many layers were corrected.
    """
    torch = require_torch()
    rounded = {f"{_path(student, module)}{name}": (module, name) for module, name in weights}
    means: dict[Any, Any] = {}

    class Watcher(torch.fx.Interpreter):  # type: ignore[misc, name-defined, unused-ignore]
        """Keeps the mean of each channel of what convolutions and dense layers are fed with."""

        def run_node(self, n: Any) -> Any:
            if _takes_weights(n, rounded):
                x = self.fetch_args_kwargs_from_env(n)[0][0]
                channels = 1 if "conv" in str(n.target) else x.ndim - 1
                means[n] = x.transpose(0, channels).flatten(1).mean(1)
            return super().run_node(n)

    with torch.no_grad():
        Watcher(student).run(pictures)
        for node, mean in means.items():
            module, name = rounded[str(node.args[1].target)]
            error = getattr(module, name) - module.parametrizations[name].original
            bias = student.get_parameter(str(node.args[2].target))
            each = error.flatten(2).sum(2) if error.ndim > 2 else error  # (out, in of its group)
            groups = mean.reshape(-1, each.shape[1])  # one row for each group of channels
            own = groups.repeat_interleave(len(each) // len(groups), 0)
            bias -= (each * own).sum(1)
    return len(means)


def _path(student: Any, module: Any) -> str:
    """Where a module stands in another, with a dot behind; nothing for the other itself."""
    name = next(name for name, one in student.named_modules() if one is module)
    return f"{name}." if name else ""


def _takes_weights(node: Any, rounded: Mapping[str, object]) -> bool:
    """Whether a node convolves or multiplies with rounded weights and adds a bias of its own."""
    if not str(node.target).startswith(("aten.conv2d", "aten.linear")) or len(node.args) < 3:
        return False
    weight, bias = node.args[1:3]
    return bias is not None and str(weight.target) in rounded and bias.op == "get_attr"


def _shift(kind: str, error: Floats, mean: Floats) -> Floats:
    """What the errors of the weights add on average to each output channel."""
    summed = error.sum(axis=SUMMED[kind])
    if kind == "DEPTHWISE_CONV_2D":
        return np.asarray(summed * np.repeat(mean, len(summed) // len(mean)), np.float64)
    # Behind a flattened map the means of its channels repeat.
    return np.asarray(summed @ np.tile(mean, summed.shape[1] // len(mean)), np.float64)


def _mean_inputs(
    path: Path, indices: Sequence[int], tensors: Sequence[NDArray[np.float32]], progress: Progress
) -> dict[int, Floats]:
    """The mean of each channel of some tensors of the float model, by index."""
    runner = interpreter(path)
    sums: dict[int, Floats] = {}
    chosen = tensors[:PICTURES]
    for tensor in progress(chosen, "mean inputs"):
        invoke(runner, tensor)
        for index in set(indices):
            value = runner.get_tensor(index)
            mean = value.reshape(-1, value.shape[-1]).mean(axis=0, dtype=np.float64)
            sums[index] = sums.get(index, np.zeros_like(mean)) + mean / len(chosen)
    return sums


def _has_int8(model: Any, operator: Any) -> bool:
    """Whether the operator has int8 weights and a bias in the file."""
    tensors = model.subgraphs[0].tensors
    if len(operator.inputs) < 3 or int(operator.inputs[2]) < 0:
        return False
    weights, bias = (tensors[int(i)] for i in operator.inputs[1:3])
    kinds = schema().TensorType
    stored = all(model.buffers[one.buffer].data is not None for one in (weights, bias))
    return stored and weights.type == kinds.INT8 and bias.type in (kinds.INT32, kinds.INT64)


def _real_weights(model: Any, index: int) -> Floats:
    """int8 weights as the numbers that they stand for."""
    tensor = model.subgraphs[0].tensors[index]
    steps = _stored(model, index, np.dtype(np.int8)).astype(np.float64)
    scale = np.asarray(tensor.quantization.scale, np.float64)
    sides = [1] * steps.ndim
    sides[tensor.quantization.quantizedDimension] = -1
    return np.asarray(steps * (scale.reshape(sides) if len(scale) > 1 else scale), np.float64)


def _stored(model: Any, index: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    tensor = model.subgraphs[0].tensors[index]
    flat = np.frombuffer(bytes(model.buffers[tensor.buffer].data), dtype)
    return np.asarray(flat.reshape(tensor.shape))


def _integer(tensor: Any) -> type[np.int32] | type[np.int64]:
    return np.int64 if tensor.type == schema().TensorType.INT64 else np.int32


def _name(model: Any, index: int) -> str:
    return name_of(model.subgraphs[0].tensors[int(index)])
