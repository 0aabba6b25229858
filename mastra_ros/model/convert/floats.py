"""The float networks of a bundle, which are known to compute what their source does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError, ModelError
from ...inference import Bundle
from ...inference.interface import SCORES, YOLO
from ..dataset import Dataset
from ..layers import interpreter, invoke
from .export import write_tflite
from .forms import form_of, settled
from .likeness import RELATIVE, RELATIVE_HALF, pictures_of, require_alike, worst_difference
from .opened import Arranged, Opened, arranged, device_module, open_file, open_source, run_module
from .options import Options
from .promise import with_scores
from .source import Source, is_quantised

Floats = NDArray[np.float32]
Tensors = list[NDArray[Any]]
Pictures = Sequence[tuple[str, Floats]]
Run = Callable[[Floats], Tensors]


@dataclass(frozen=True)
class FloatModels:
    """What stands before int8 is made.

    device: the float .tflite, or the int8 one that was given.
    module: the PyTorch network that it was made from, where there is one.
    cloud: what the server's file is made from, if anything.
    differences: of each network that was made, the largest, as a share of the output's largest
        value.
    """

    promised: Bundle
    device: Path
    module: Any
    cloud: Opened | None
    differences: dict[str, float]


def make_floats(
    source: Source, promised: Bundle, data: Dataset, options: Options, asked: str, folder: Path
) -> FloatModels:
    """Open a source, hold it against the promise, rebuild it for the device and compare.

    Args:
        asked: the form of scores that the user names, or "".
        folder: for files in between.

    Raises:
        ModelError: as the modules used here say: it is not what was promised, cannot be rebuilt,
            or what was rebuilt computes something else.
        ConfigError: the form of scores that was named cannot be.
    """
    opened = open_source(source, promised, options.layout, folder)
    given = arranged(opened, promised)
    module = None if given is None else device_module(opened, given, promised)
    cloud = opened if given is not None else None
    if options.cloud is not None:
        cloud = _other(options.cloud, promised, options, folder)
    pictures = list(pictures_of(data, promised.input))
    form = _form(opened, given, promised, asked, pictures)
    promised = with_scores(promised, form)
    if options.cloud is not None and cloud is not None:
        _check_form(cloud, promised, pictures)
    if given is None:
        device = opened.file or source.path
        _check_joint(opened, promised, options, device)
        return FloatModels(promised, device, None, cloud, {})
    device = folder / "device.tflite"
    differences = {}
    for name, run in _made(opened, given, module, promised, folder, device):
        found = worst_difference(
            lambda image: _pieces(promised, given.arrange(opened.answer(image))),
            lambda image, run=run: _pieces(promised, run(image)),  # type: ignore[misc]
            ("boxes", "scores") if promised.output.kind == "yolox" else given.names,
            pictures,
        )
        allowed = RELATIVE_HALF if given.graph.halves else RELATIVE
        require_alike(found, allowed, f"{source.text}: {name} made from it")
        differences[name] = float(f"{max(found.share, 0.0):.3g}")
    return FloatModels(promised, device, module, cloud, differences)


def _made(
    opened: Opened, given: Arranged, module: Any, promised: Bundle, folder: Path, device: Path
) -> Iterator[tuple[str, Run]]:
    """Each network in turn, made only when the one before it was found alike."""
    yield "the PyTorch network", lambda image: run_module(module, image)
    if opened.module is not None:
        engine = open_file(folder / "exported.onnx", "onnxruntime")
        yield "the ONNX file", lambda image: given.arrange(engine.run(image))
        engine.close()
    write_tflite(module, promised.input, device)
    runner = interpreter(device)
    places = [one["index"] for one in runner.get_output_details()]

    def run(image: Floats) -> Tensors:
        invoke(runner, np.ascontiguousarray(image.transpose(0, 2, 3, 1)))
        return [runner.get_tensor(place) for place in places]

    yield "the TensorFlow Lite file", run


def _pieces(promised: Bundle, outputs: Tensors) -> Tensors:
    """Boxes and scores of YOLOX apart: their values are of very different size."""
    if promised.output.kind == "yolox":
        return [outputs[0][..., :4], outputs[0][..., 4:]]
    return outputs


def _other(path: Path, promised: Bundle, options: Options, folder: Path) -> Opened:
    """Another model for the server."""
    if not path.is_file():
        raise ModelError(f"{path}: model file not found")
    return open_source(Source("onnx", str(path)), promised, options.layout, folder)


def _form(
    opened: Opened, given: Arranged | None, promised: Bundle, asked: str, pictures: Pictures
) -> str:
    answers = [opened.answer(image) for _, image in pictures]
    seen = form_of(opened, given, promised, answers)
    return settled(promised, asked, seen, opened.source.text)


def _check_form(cloud: Opened, promised: Bundle, pictures: Pictures) -> None:
    """One bundle has one form of scores."""
    answers = [cloud.answer(image) for _, image in pictures]
    seen = form_of(cloud, arranged(cloud, promised), promised, answers)
    if seen and seen != promised.output.scores:
        raise ConfigError(
            f"{cloud.source.text}: its scores are {seen}, those of the device's network "
            f"{promised.output.scores}; a bundle has one form"
        )


def _check_joint(opened: Opened, promised: Bundle, options: Options, device: Path) -> None:
    """Boxes in px and scores in one tensor leave no steps for the scores."""
    grid, output = opened.contract.grid, promised.output
    joint = output.kind in YOLO and grid.scores_at == grid.boxes_at and output.box_unit == "px"
    if joint and options.quantise != "none" and not is_quantised(device):
        raise ModelError(
            f"{opened.source.text}: boxes in px and scores are one output, for which int8 has "
            "one scale; give the ONNX file or PyTorch network, or --quantize none"
        )


def described(document: dict[str, Any], promised: Bundle) -> dict[str, Any]:
    """The document with the form of scores, where it is not the kind's usual one."""
    output = {k: v for k, v in document["output"].items() if k != "scores"}
    if promised.output.scores != SCORES[promised.output.kind]:
        output["scores"] = promised.output.scores
    return {**document, "output": output}


def fed_as(opened: Opened) -> dict[str, str]:
    """The section `input` of the server's part, where its file does not tell by itself."""
    spec = opened.contract.feed.spec
    said = {}
    if spec.dtype == np.float16 or (spec.dtype.kind != "f" and not spec.scale):
        said["type"] = str(spec.dtype)
    if None in spec.shape[1:]:
        said["layout"] = opened.layout
    return said if said.get("type") or said.get("layout") == "nhwc" else {}
