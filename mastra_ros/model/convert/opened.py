"""A source that has been opened: what it answers, and what the device's network is made from."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ModelError
from ...inference import Bundle, Engine, FakeEngine, TensorSpec, open_engine
from ...inference.bundle import BundlePart
from ...inference.contract import Contract
from ...inference.interface import LAYOUTS, YOLO
from ...inference.yolo import BOX_SIDES, first_class_of
from ..needs import require_torch
from ..rebuild.columns import parted
from ..rebuild.model_file import OnnxModel, load_onnx
from ..rebuild.network import network_of
from .export import output_names, write_onnx
from .promise import keep
from .source import Source, load_module, write_tensorflow

Floats = NDArray[np.float32]
Tensors = list[NDArray[Any]]


@dataclass(frozen=True)
class Opened:
    """A source that keeps what the bundle promises.

    `engine` runs it as it was given. `model` is its ONNX graph, or that of its export; `module` its
    PyTorch network, where it has one, and `file` its float .tflite.
    """

    source: Source
    engine: Engine
    contract: Contract
    model: OnnxModel | None = None
    module: Any = None
    file: Path | None = None

    @property
    def layout(self) -> str:
        return self.contract.feed.layout

    def answer(self, image: Floats) -> Tensors:
        """Its outputs for one picture (1, channels, height, width) of the values that it wants."""
        tensor = image.transpose(0, 2, 3, 1) if self.layout == "nhwc" else image
        spec = self.contract.feed.spec
        batch = self.contract.feed.batch or 1
        if spec.scale:
            limits = np.iinfo(spec.dtype)
            steps = np.rint(tensor / spec.scale) + spec.zero_point
            tensor = np.clip(steps, limits.min, limits.max)
        fed = np.repeat(np.ascontiguousarray(tensor).astype(spec.dtype), batch, axis=0)
        return [np.asarray(one[:1]) for one in self.engine.run(fed)]


def open_source(source: Source, bundle: Bundle, layout: str, scratch: Path) -> Opened:
    """Open a source and hold it against the promised bundle.

    `scratch` is a folder for files in between.

    Raises:
        ModelError: it cannot be read or run, or differs from the promise.
        ConfigError, DependencyError: as they say.
    """
    if source.kind == "onnx":
        return _open_onnx(source, bundle, layout)
    if source.kind in ("tflite", "tensorflow"):
        file = source.path
        if source.kind == "tensorflow":
            file = scratch / "float.tflite"
            write_tensorflow(source.path, file)
        engine = open_file(file, "litert")
        return Opened(source, engine, keep(bundle, engine, source.path, ""), file=file)
    module = load_module(source)
    engine = module_engine(module, bundle)
    contract = keep(bundle, engine, source.path, "nchw")
    exported = scratch / "exported.onnx"
    write_onnx(module, bundle.input, exported)
    return Opened(source, engine, contract, model=load_onnx(exported), module=module)


def _open_onnx(source: Source, bundle: Bundle, layout: str) -> Opened:
    model = load_onnx(source.path)
    engine = open_file(source.path, "onnxruntime")
    layout = layout or _seen_layout(engine, bundle)
    return Opened(source, engine, keep(bundle, engine, source.path, layout), model=model)


def _seen_layout(engine: Engine, bundle: Bundle) -> str:
    """The layout that an input's shape tells; where it leaves both open, the first that runs."""
    spec, size = engine.inputs[0], bundle.input
    batch = (spec.shape[0] or 1) if spec.shape else 1
    shapes = {
        "nchw": (batch, size.channels, size.height_px, size.width_px),
        "nhwc": (batch, size.height_px, size.width_px, size.channels),
    }
    fitting = [layout for layout in LAYOUTS if spec.fits(shapes[layout])]
    if len(fitting) < 2:
        return "".join(fitting)
    for layout in fitting:
        with contextlib.suppress(ModelError):
            engine.run(np.zeros(shapes[layout], spec.dtype))
            return layout
    return fitting[0]


def open_file(path: Path, engine: str) -> Engine:
    """Open a file with a runtime. Raises ModelError, DependencyError."""
    return open_engine(BundlePart("source", path, engine, "", "", "", 0.0))


def module_engine(module: Any, bundle: Bundle) -> Engine:
    """A PyTorch network as an engine for one frame (1, channels, height, width)."""
    torch = require_torch()
    size = bundle.input
    shape = (1, size.channels, size.height_px, size.width_px)

    def run(tensor: NDArray[Any]) -> Tensors:
        with torch.no_grad():
            return as_list(module(torch.from_numpy(tensor.copy())))

    try:
        with torch.no_grad():
            given = module(torch.zeros(*shape))
        names, answers = output_names(given), as_list(given)
    except Exception as error:  # a network may raise anything
        text = " ".join(str(error).split())
        sides = ", ".join(map(str, shape))
        raise ModelError(f"the network cannot be run on [{sides}]: {text:.200}") from error
    outputs = [
        TensorSpec(name, tuple(answer.shape), answer.dtype)
        for name, answer in zip(names, answers, strict=True)
    ]
    image = TensorSpec("image", shape, np.dtype(np.float32))
    return FakeEngine([image], outputs, run)


def as_list(given: Any) -> Tensors:
    """What a PyTorch network gives, as arrays in its order."""
    if isinstance(given, dict):
        given = list(given.values())
    values = given if isinstance(given, (list, tuple)) else [given]
    return [value.detach().numpy() for value in values]


@dataclass(frozen=True)
class Arranged:
    """An ONNX graph whose first output holds the scores, and its second one boxes, if any.

    Where both were one they are taken apart, so that int8 has a scale for each. `arrange` lays the
    source's own outputs beside these.
    """

    graph: OnnxModel
    names: tuple[str, ...]
    arrange: Callable[[Tensors], Tensors]


def arranged(opened: Opened, bundle: Bundle) -> Arranged | None:
    """The graph of a source, its outputs in order; None where it has none."""
    grid, size, model = opened.contract.grid, bundle.input, opened.model
    if model is None:
        return None
    if bundle.output.kind in YOLO and grid.scores_at == grid.boxes_at:
        axis = 1 if grid.turned[0] else 2
        columns = [(BOX_SIDES, BOX_SIDES + scores_of(bundle)), (0, BOX_SIDES)]
        height, width, channels = size.height_px, size.width_px, size.channels
        nhwc = opened.layout == "nhwc"
        fed = (1, height, width, channels) if nhwc else (1, channels, height, width)
        return Arranged(
            parted(model, axis, columns, fed),
            ("scores", "boxes"),
            lambda given: [np.take(given[0], np.arange(*pair), axis) for pair in columns],
        )
    if len(model.outputs) < 2:
        return Arranged(model, model.outputs, list)
    order = (grid.scores_at, grid.boxes_at)
    names = tuple(model.outputs[i] for i in order)
    graph = replace(model, outputs=names)
    return Arranged(graph, names, lambda given: [given[i] for i in order])


def device_module(opened: Opened, given: Arranged, bundle: Bundle) -> Any:
    """The float network of the device, a torch.nn.Module fed with (n, channels, height, width).

    Raises ModelError naming what cannot be rebuilt.
    """
    joint = len(given.names) > len(opened.engine.outputs)
    if opened.module is None or joint:  # the graph of its own export shows what was joined
        size, batch = bundle.input, opened.contract.feed.batch or 1
        if opened.module is None and batch > 1:
            raise ModelError(
                f"{opened.source.text}: takes {batch} frames in each run; a device has one: export "
                "it for one, or for any number"
            )
        shape = (size.channels, size.height_px, size.width_px)
        return network_of(given.graph, shape, opened.layout)
    if len(given.names) < 2:
        return opened.module
    return _reordered(
        opened.module, (opened.contract.grid.scores_at, opened.contract.grid.boxes_at)
    )


def run_module(module: Any, image: Floats) -> Tensors:
    """A PyTorch network's outputs for one picture (1, channels, height, width)."""
    torch = require_torch()
    with torch.no_grad():
        return as_list(module(torch.from_numpy(image)))


def scores_of(bundle: Bundle) -> int:
    """How many scores a cell of a YOLO has."""
    return first_class_of(bundle.output.kind) - BOX_SIDES + len(bundle.labels)


def _reordered(network: Any, order: Sequence[int]) -> Any:
    torch = require_torch()

    class Reordered(torch.nn.Module):  # type: ignore[misc, name-defined, unused-ignore]
        """A network with its outputs in another order."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, image: Any) -> Any:
            given = self.network(image)
            values = list(given.values()) if isinstance(given, dict) else given
            return tuple(values[i] for i in order)

    made = Reordered()
    made.training = network.training
    return made
