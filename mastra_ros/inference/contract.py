"""Holds a loaded model against what its bundle promises."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..errors import ModelError
from .bundle import Bundle, BundlePart, BundleSplit
from .engines.engine import Engine, TensorSpec

DTYPES = ("float32", "int8", "uint8")
BOX_SIDES = 4


@dataclass(frozen=True)
class Feed:
    """How frames go into a model."""

    spec: TensorSpec
    layout: str  # nchw or nhwc
    item_shape: tuple[int, int, int]  # of one frame's tensor
    batch: int | None  # frames in one run; None: as many as wanted


@dataclass(frozen=True)
class Grid:
    """Where a model's answers are among its outputs."""

    scores_at: int  # index among the outputs
    boxes_at: int
    columns: int  # of the grid; 0 where there is none


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
    feed = _feed(bundle, engine.inputs[0], problems)
    outputs = engine.outputs
    if not problems and any(None in output.shape[1:] for output in outputs):
        outputs = _measured(engine, feed.item_shape)
    grid = _grid(bundle, outputs, problems)
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
    feed = _feed(bundle, engine.inputs[0], problems)
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
    grid = _grid(bundle, outputs, problems)
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
    return tensor.dtype == np.int8 and tensor.fits((_batch(tensor), *split.shape))


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


def _feed(bundle: Bundle, spec: TensorSpec, problems: list[str]) -> Feed:
    height, width, channels = bundle.input.height_px, bundle.input.width_px, bundle.input.channels
    shapes = {"nchw": (channels, height, width), "nhwc": (height, width, channels)}
    layout = next((name for name, s in shapes.items() if spec.fits((_batch(spec), *s))), "")
    if not layout:
        wanted = " or ".join(f"[n, {', '.join(map(str, shape))}]" for shape in shapes.values())
        problems.append(f"input: expected {wanted}, got {spec}")
        layout = "nchw"
    if spec.dtype not in DTYPES or (spec.dtype.kind != "f" and not spec.scale):
        problems.append(f"input: expected {', '.join(DTYPES)} (integers with a scale), got {spec}")
    return Feed(spec, layout, shapes[layout], spec.shape[0] if spec.shape else None)


def _grid(bundle: Bundle, outputs: tuple[TensorSpec, ...], problems: list[str]) -> Grid:
    scores_at, boxes_at = _FINDERS[bundle.output.kind](bundle, outputs, problems)
    stride = bundle.output.stride_px
    return Grid(scores_at, boxes_at, bundle.input.width_px // stride if stride else 0)


def _grid_outputs(
    bundle: Bundle, outputs: tuple[TensorSpec, ...], problems: list[str]
) -> tuple[int, int]:
    """Which output holds the scores and which the boxes, told by the last side.

    With four labels both have the same shape; then names count, and last the order.
    """
    stride, labels = bundle.output.stride_px, len(bundle.labels)
    cells = (bundle.input.width_px // stride) * (bundle.input.height_px // stride)
    if bundle.input.width_px % stride or bundle.input.height_px % stride:
        problems.append(f"stride_px: {stride} does not divide the input's sides")

    def matching(last: int) -> list[int]:
        return [i for i, out in enumerate(outputs) if out.fits((_batch(out), cells, last))]

    if labels == BOX_SIDES:
        found = matching(labels)
        if len(found) == 2 and len(outputs) == 2:
            swapped = "box" in outputs[0].name.lower() or "score" in outputs[1].name.lower()
            return (1, 0) if swapped else (0, 1)
    else:
        scores, boxes = matching(labels), matching(BOX_SIDES)
        if len(scores) == 1 and len(boxes) == 1 and len(outputs) == 2:
            return scores[0], boxes[0]
    problems.append(
        f"outputs: expected scores [n, {cells}, {labels}] and boxes [n, {cells}, {BOX_SIDES}], "
        f"got {', '.join(map(str, outputs)) or 'none'}"
    )
    return 0, 0


def _yolox_output(
    bundle: Bundle, outputs: tuple[TensorSpec, ...], problems: list[str]
) -> tuple[int, int]:
    """The one output with a row per cell: box, objectness, classes."""
    width, height = bundle.input.width_px, bundle.input.height_px
    uneven = [stride for stride in bundle.output.strides_px if width % stride or height % stride]
    problems += [f"strides_px: {stride} does not divide the input's sides" for stride in uneven]
    cells = sum((width // stride) * (height // stride) for stride in bundle.output.strides_px)
    wanted = (cells, BOX_SIDES + 1 + len(bundle.labels))
    if len(outputs) != 1 or not outputs[0].fits((_batch(outputs[0]), *wanted)):
        problems.append(
            f"outputs: expected [n, {wanted[0]}, {wanted[1]}] for {len(bundle.labels)} labels, "
            f"got {', '.join(map(str, outputs)) or 'none'}"
        )
    return 0, 0


def _class_output(
    bundle: Bundle, outputs: tuple[TensorSpec, ...], problems: list[str]
) -> tuple[int, int]:
    """The one output with a score per label; sides of 1 between batch and labels are allowed."""
    labels = len(bundle.labels)
    shape = outputs[0].shape if len(outputs) == 1 else ()
    if len(shape) < 2 or shape[-1] not in (labels, None) or set(shape[1:-1]) - {1, None}:
        problems.append(
            f"outputs: expected [n, {labels}] for {labels} labels, "
            f"got {', '.join(map(str, outputs)) or 'none'}"
        )
    return 0, 0


_FINDERS = {
    "anchor_free": _grid_outputs,
    "yolox": _yolox_output,
    "classification": _class_output,
}


def _batch(tensor: TensorSpec) -> int:
    return (tensor.shape[0] or 1) if tensor.shape else 1
