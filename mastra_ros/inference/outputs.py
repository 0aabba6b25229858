"""Finds among a model's outputs what its bundle promises."""

from __future__ import annotations

from dataclasses import dataclass

from .bundle import Bundle
from .engines.engine import TensorSpec
from .interface import YOLO
from .yolo import BOX_SIDES, first_class_of


@dataclass(frozen=True)
class Grid:
    """Where a model's answers are among its outputs."""

    scores_at: int  # index among the outputs
    boxes_at: int
    columns: int  # of the grid; 0 where there is none
    turned: tuple[bool, bool] = (False, False)  # scores and boxes: cells stand in the last side


def find_outputs(bundle: Bundle, outputs: tuple[TensorSpec, ...], problems: list[str]) -> Grid:
    """Where the answers are that the bundle promises; what is wrong goes into `problems`."""
    if bundle.output.kind in YOLO:
        return _yolo_outputs(bundle, outputs, problems)
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
        return [i for i, out in enumerate(outputs) if out.fits((batch_of(out), cells, last))]

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
    if len(outputs) != 1 or not outputs[0].fits((batch_of(outputs[0]), *wanted)):
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


def _yolo_outputs(bundle: Bundle, outputs: tuple[TensorSpec, ...], problems: list[str]) -> Grid:
    """One output with a box and scores for each cell, or one of scores and one of boxes.

    Cells may stand in either of the last two sides. With four labels the scores are those that
    come first.
    """
    first_class = first_class_of(bundle.output.kind)
    scores = first_class - BOX_SIDES + len(bundle.labels)
    joint = BOX_SIDES + scores
    usual = bundle.output.kind == "yolov8"  # as its authors' export has it: cells last
    if len(outputs) == 1:
        turned = _turned(outputs[0], joint, usual)
        if turned is not None:
            return Grid(0, 0, 0, (turned, turned))
    elif len(outputs) == 2:
        for scores_at, boxes_at in ((0, 1), (1, 0)):
            ways = (
                _turned(outputs[scores_at], scores, usual),
                _turned(outputs[boxes_at], BOX_SIDES, usual),
            )
            if ways[0] is not None and ways[1] is not None:
                return Grid(scores_at, boxes_at, 0, (ways[0], ways[1]))
    problems.append(
        f"outputs: expected [n, {joint}, cells] or [n, cells, {joint}] for {len(bundle.labels)} "
        f"labels, or their scores and boxes apart, got {', '.join(map(str, outputs)) or 'none'}"
    )
    return Grid(0, 0, 0)


def _turned(output: TensorSpec, values: int, usual: bool) -> bool | None:
    """Whether the cells stand in the last side; None where the output has not `values` a cell."""
    if len(output.shape) != 3:
        return None
    fits = output.shape[1] == values, output.shape[2] == values
    return usual if all(fits) else fits[0] if any(fits) else None


_FINDERS = {
    "anchor_free": _grid_outputs,
    "yolox": _yolox_output,
    "classification": _class_output,
}


def batch_of(tensor: TensorSpec) -> int:
    """Frames in one run, one where any number will do."""
    return (tensor.shape[0] or 1) if tensor.shape else 1
