"""Holds a loaded model against what its bundle promises."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..errors import ModelError
from .bundle import Bundle, BundlePart, BundleSplit
from .engines.engine import Engine, TensorSpec
from .interface import LAYOUTS, TYPES
from .outputs import Grid, batch_of, find_outputs
from .preprocess import pixel_values

__all__ = [
    "Contract",
    "Feed",
    "Grid",
    "TailContract",
    "agree",
    "agree_head",
    "agree_tail",
    "split_of",
]


@dataclass(frozen=True)
class Feed:
    """How frames go into a model."""

    spec: TensorSpec
    layout: str  # nchw or nhwc
    item_shape: tuple[int, int, int]  # of one frame's tensor
    batch: int | None  # frames in one run; None: as many as wanted


@dataclass(frozen=True)
class Contract:
    """Of a whole model."""

    feed: Feed
    grid: Grid


@dataclass(frozen=True)
class TailContract:
    """Of the second half of a split model, which is fed the tensor at the cut."""

    split: BundleSplit
    grid: Grid
    batch: int | None  # frames in one run; None: as many as wanted


def agree(bundle: Bundle, part: BundlePart, engine: Engine) -> Contract:
    """The contract of a bundle and a model that keeps it.

    Raises ModelError naming the file and everything in which the two differ.
    """
    problems: list[str] = []
    feed = _feed(bundle, part, engine.inputs[0], problems)
    outputs = engine.outputs
    if not problems and any(None in output.shape[1:] for output in outputs):
        outputs = _measured(engine, feed.item_shape)
    grid = find_outputs(bundle, outputs, problems)
    if part.views > 1:
        _check_views(bundle, feed, outputs, problems)
    _refuse(bundle, part, problems)
    return Contract(feed, grid)


def _check_views(
    bundle: Bundle, feed: Feed, outputs: tuple[TensorSpec, ...], problems: list[str]
) -> None:
    """Averaging needs a grid that can be turned, real numbers, and room for the second view."""
    if bundle.output.kind != "anchor_free":
        problems.append(f"views: 2 is for the kind anchor_free, this is {bundle.output.kind}")
    elif feed.batch is not None or any(output.dtype.kind != "f" for output in outputs):
        problems.append("views: 2 needs float outputs and any number of frames in a run")


def agree_head(bundle: Bundle, part: BundlePart, engine: Engine) -> Feed:
    """How frames go into the first half of a split model, whose output has been checked.

    Raises ModelError as `agree` does.
    """
    split = split_of(bundle)
    problems: list[str] = []
    feed = _feed(bundle, part, engine.inputs[0], problems)
    outputs = engine.outputs
    if not problems and any(None in output.shape[1:] for output in outputs):
        outputs = _measured(engine, feed.item_shape)
    if len(outputs) != 1 or not _is_cut(outputs[0], split):
        got = ", ".join(map(str, outputs)) or "none"
        problems.append(f"output: expected {_cut_text(split)}, got {got}")
    elif outputs[0].scale and (
        not np.isclose(outputs[0].scale, split.scale, rtol=1e-5)
        or outputs[0].zero_point != split.zero_point
    ):
        got = f"{outputs[0].scale:g} and {outputs[0].zero_point}"
        problems.append(
            f"output: expected scale {split.scale:g} and zero point {split.zero_point}, got {got}"
        )
    _refuse(bundle, part, problems)
    return feed


def agree_tail(bundle: Bundle, part: BundlePart, engine: Engine) -> TailContract:
    """The contract of the second half of a split model. Raises ModelError as `agree` does."""
    split = split_of(bundle)
    problems: list[str] = []
    feed = engine.inputs[0]
    if not _is_cut(feed, split):
        problems.append(f"input: expected {_cut_text(split)}, got {feed}")
    outputs = engine.outputs
    if not problems and any(None in output.shape[1:] for output in outputs):
        outputs = _measured(engine, split.shape)
    grid = find_outputs(bundle, outputs, problems)
    _refuse(bundle, part, problems)
    return TailContract(split, grid, feed.shape[0])


def split_of(bundle: Bundle) -> BundleSplit:
    """Where the bundle's network is split. Raises ModelError where it is not."""
    if bundle.split is None:
        raise ModelError(
            f"{bundle.path}: has no parts head and tail (`mastra model split` makes them)"
        )
    return bundle.split


def _refuse(bundle: Bundle, part: BundlePart, problems: list[str]) -> None:
    if problems:
        raise ModelError(f"{part.path}: does not fit {bundle.path.name}: {'; '.join(problems)}")


def _is_cut(tensor: TensorSpec, split: BundleSplit) -> bool:
    return tensor.dtype == np.int8 and tensor.fits((batch_of(tensor), *split.shape))


def _cut_text(split: BundleSplit) -> str:
    return f"int8 [n, {', '.join(map(str, split.shape))}]"


def _measured(engine: Engine, item_shape: tuple[int, ...]) -> tuple[TensorSpec, ...]:
    """The outputs with their true shapes, which the file does not tell but one run does."""
    feed = engine.inputs[0]
    answers = engine.run(np.zeros((feed.shape[0] or 1, *item_shape), feed.dtype))
    return tuple(
        replace(output, shape=answer.shape)
        for output, answer in zip(engine.outputs, answers, strict=True)
    )


def _feed(bundle: Bundle, part: BundlePart, spec: TensorSpec, problems: list[str]) -> Feed:
    height, width, channels = bundle.input.height_px, bundle.input.width_px, bundle.input.channels
    shapes = {"nchw": (channels, height, width), "nhwc": (height, width, channels)}
    allowed = [part.layout] if part.layout else LAYOUTS
    fitting = [name for name in allowed if spec.fits((batch_of(spec), *shapes[name]))]
    if not fitting:
        wanted = [f"[n, {', '.join(map(str, shapes[name]))}]" for name in allowed]
        problems.append(f"input: expected {' or '.join(wanted)}, got {spec}")
    layout = fitting[0] if fitting else "nchw"
    problems += _wrong_type(bundle, part, spec)
    return Feed(spec, layout, shapes[layout], spec.shape[0] if spec.shape else None)


def _wrong_type(bundle: Bundle, part: BundlePart, spec: TensorSpec) -> Iterator[str]:
    """What is wrong with the type of an input."""
    if part.input_type and spec.dtype != np.dtype(part.input_type):
        yield f"input.type: {part.input_type}, but the file wants {spec}"
    elif spec.dtype not in TYPES:
        yield f"input: expected {', '.join(TYPES)}, got {spec}"
    elif spec.dtype.kind != "f" and not spec.scale:
        values, limits = pixel_values(bundle.input), np.iinfo(spec.dtype)
        if not part.input_type:
            yield f"input: expected integers with a scale, or input.type said, got {spec}"
        elif (values % 1).any() or values.min() < limits.min or values.max() > limits.max:
            reach = f"{values.min():g} to {values.max():g}"
            yield (
                f"input: {spec} takes whole numbers of {limits.min} to {limits.max}, but "
                f"(pixel - mean) / std gives {reach}"
            )
