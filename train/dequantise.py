"""The convolutions of an int8 .tflite file, as float weights to train on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mastra_ros.model.layers import operator_names
from mastra_ros.model.tflite_file import read_model
from train.network import STRIDE_PX, Detector

LAYOUTS = {"CONV_2D": (0, 3, 1, 2), "DEPTHWISE_CONV_2D": (3, 0, 1, 2)}
"""From the file's axes to PyTorch's; a layer of one input channel is exported as the second."""
STORED = {0: np.float32, 2: np.int32, 9: np.int8}
"""Kinds of number of the file format."""


def dequantised(path: Path, model: Detector) -> dict[str, Tensor]:
    """Weights and biases of an exported detector, under the names of `model`'s.

    Layers are paired by shape, those of one shape in the order in which both compute them.

    Raises:
        ValueError: the file is not of a network of this configuration.
    """
    free = _convolutions(path)
    found: dict[str, Tensor] = {}
    for name, shape in _in_order(model):
        at = next((i for i, (weight, _) in enumerate(free) if weight.shape == shape), None)
        if at is None:
            raise ValueError(f"{path}: expected a convolution {shape} for {name}, got none more")
        weight, bias = free.pop(at)
        found[f"{name}.weight"] = torch.from_numpy(np.ascontiguousarray(weight))
        found[f"{name}.bias"] = torch.from_numpy(bias)
    if free:
        raise ValueError(f"{path}: has {len(free)} convolutions more than the network")
    return found


def _convolutions(path: Path) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Weights (outputs, inputs, height, width) and biases of each, in order of running."""
    model = read_model(path)
    graph = model.subgraphs[0]
    found = []
    for operator, kind in zip(graph.operators, operator_names(model), strict=True):
        if kind in LAYOUTS:
            weight, bias = (
                _value(model, graph.tensors[int(i)])
                for i in (operator.inputs[1], operator.inputs[2])
            )
            found.append((weight.transpose(LAYOUTS[kind]), bias))
    return found


def _value(model: Any, tensor: Any) -> NDArray[np.float32]:
    """A stored tensor in float; the zero points of weights and biases are 0."""
    data = np.frombuffer(bytes(model.buffers[tensor.buffer].data), STORED[tensor.type])
    steps = data.reshape(tensor.shape)
    quantised = tensor.quantization
    if quantised is None or quantised.scale is None or not len(quantised.scale):
        return np.asarray(steps, np.float32)
    scale = np.asarray(quantised.scale, np.float64)
    along = [1] * steps.ndim
    along[quantised.quantizedDimension if len(scale) > 1 else 0] = len(scale)
    return np.asarray(steps * scale.reshape(along), np.float32)


def _in_order(model: Detector) -> list[tuple[str, tuple[int, ...]]]:
    """Names and shapes of the convolutions, as the forward pass comes to them."""
    order: list[tuple[str, tuple[int, ...]]] = []
    hooks = []
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d):
            shape = tuple(layer.weight.shape)

            def note(*_: object, one: tuple[str, tuple[int, ...]] = (name, shape)) -> None:
                order.append(one)

            hooks.append(layer.register_forward_hook(note))
    training = model.training
    with torch.no_grad():
        model.eval()(torch.zeros(1, 1, 4 * STRIDE_PX, 4 * STRIDE_PX))
    model.train(training)
    for hook in hooks:
        hook.remove()
    return order
