"""Holds a loaded model against what its bundle promises."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..errors import ModelError
from .bundle import Bundle, BundlePart
from .engine import Engine, TensorSpec

DTYPES = ("float32", "int8", "uint8")
BOX_SIDES = 4


@dataclass(frozen=True)
class Contract:
    """Where things are in a model's input and outputs."""

    feed: TensorSpec
    layout: str  # nchw or nhwc
    item_shape: tuple[int, int, int]  # of one frame's tensor
    batch: int | None  # frames in one run; None: as many as wanted
    scores_at: int  # index among the outputs
    boxes_at: int
    columns: int  # of the grid; 0 where there is none


def agree(bundle: Bundle, part: BundlePart, engine: Engine) -> Contract:
    """The contract of a bundle and a model that keeps it.

    Raises ModelError naming the file and everything in which the two differ.
    """
    problems: list[str] = []
    feed = engine.inputs[0]
    layout = _layout(bundle, feed, problems)
    if feed.dtype not in DTYPES or (feed.dtype.kind != "f" and not feed.scale):
        problems.append(f"input: expected {', '.join(DTYPES)} (integers with a scale), got {feed}")
    outputs = engine.outputs
    if not problems and any(None in output.shape[1:] for output in outputs):
        outputs = _measured(engine, _item_shapes(bundle)[layout])
    scores_at, boxes_at = _FINDERS[bundle.output.kind](bundle, outputs, problems)
    if problems:
        raise ModelError(f"{part.path}: does not fit {bundle.path.name}: {'; '.join(problems)}")
    return Contract(
        feed=feed,
        layout=layout,
        item_shape=_item_shapes(bundle)[layout],
        batch=feed.shape[0],
        scores_at=scores_at,
        boxes_at=boxes_at,
        columns=bundle.input.width_px // stride if (stride := bundle.output.stride_px) else 0,
    )


def _measured(engine: Engine, item_shape: tuple[int, int, int]) -> tuple[TensorSpec, ...]:
    """The outputs with their true shapes, which the file does not tell but one run does."""
    feed = engine.inputs[0]
    answers = engine.run(np.zeros((feed.shape[0] or 1, *item_shape), feed.dtype))
    return tuple(
        replace(output, shape=answer.shape)
        for output, answer in zip(engine.outputs, answers, strict=True)
    )


def _item_shapes(bundle: Bundle) -> dict[str, tuple[int, int, int]]:
    height, width, channels = bundle.input.height_px, bundle.input.width_px, bundle.input.channels
    return {"nchw": (channels, height, width), "nhwc": (height, width, channels)}


def _layout(bundle: Bundle, feed: TensorSpec, problems: list[str]) -> str:
    shapes = _item_shapes(bundle)
    for layout, shape in shapes.items():
        if feed.fits((_batch(feed), *shape)):
            return layout
    wanted = " or ".join(f"[n, {', '.join(map(str, shape))}]" for shape in shapes.values())
    problems.append(f"input: expected {wanted}, got {feed}")
    return ""


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
