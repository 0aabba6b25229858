"""Reads detections out of a model's outputs."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import ConfigError
from ..types import Detections
from .bundle import Bundle, BundlePart
from .classify import best_class
from .engines.engine import Tensor, TensorSpec
from .interface import YOLO
from .outputs import Grid
from .postprocess import (
    Candidates,
    all_to_detections,
    anchor_free_all,
    suppress,
    to_detections,
)
from .preprocess import Transform
from .yolo import BOX_SIDES, yolo
from .yolox import cells_of, yolox


class Reader:
    """What the bundle says of a detector's outputs, applied; the threshold may be set any time."""

    def __init__(
        self, bundle: Bundle, part: BundlePart, outputs: Sequence[TensorSpec], grid: Grid
    ) -> None:
        self._bundle, self._part, self._places = bundle, part, grid
        self._outputs = tuple(outputs)
        sides = bundle.input.width_px, bundle.input.height_px
        self._grid = cells_of(*sides, bundle.output.strides_px)
        self.score_threshold = 0.0

    @property
    def score_threshold(self) -> float:
        """The least score of a detection, as it is now used."""
        return self._threshold

    @score_threshold.setter
    def score_threshold(self, value: float) -> None:
        if not 0.0 <= value <= 1.0:
            raise ConfigError(f"score_threshold: expected 0 to 1, got {value}")
        self._threshold = value or self._part.score_threshold

    def read_all(
        self, outputs: Sequence[Tensor], transforms: Sequence[Transform]
    ) -> list[Detections]:
        """What each item of a batch shows; items beyond the transforms are empty places."""
        places, output, count = self._places, self._bundle.output, len(transforms)
        if output.kind == "classification" or output.kind == "yolox" or output.kind in YOLO:
            return [self.read(outputs, index, one) for index, one in enumerate(transforms)]
        found = anchor_free_all(
            outputs[places.scores_at][:count],
            outputs[places.boxes_at][:count],
            scores_spec=self._outputs[places.scores_at],
            distances_spec=self._outputs[places.boxes_at],
            columns=places.columns,
            stride_px=output.stride_px,
            threshold=self._threshold,
            form=output.scores,
        )
        per_class = output.nms == "per_class"
        kept = [suppress(one, output.nms_iou, per_class=per_class) for one in found]
        return all_to_detections(found, kept, transforms, self._bundle.labels)

    def read(self, outputs: Sequence[Tensor], index: int, transform: Transform) -> Detections:
        """What item `index` of a batch shows, in px of its frame."""
        places, output = self._places, self._bundle.output
        scores = outputs[places.scores_at][index]
        spec = self._outputs[places.scores_at]
        if output.kind == "classification":
            return best_class(
                scores,
                spec,
                scores=output.scores,
                threshold=self._threshold,
                size_px=(transform.width_px, transform.height_px),
                labels=self._bundle.labels,
            )
        if output.kind == "yolox":
            found = yolox(
                scores, spec, grid=self._grid, threshold=self._threshold, form=output.scores
            )
        elif output.kind in YOLO:
            found = self._read_yolo(scores, outputs[places.boxes_at][index])
        else:
            alone = [one[index : index + 1] for one in outputs]
            return self.read_all(alone, [transform])[0]
        kept = suppress(found, output.nms_iou, per_class=output.nms == "per_class")
        return to_detections(found, kept, transform, self._bundle.labels)

    def _read_yolo(self, scores: Tensor, boxes: Tensor) -> Candidates:
        places, output, size = self._places, self._bundle.output, self._bundle.input
        scores, boxes = (
            value.T if turned else value
            for value, turned in zip((scores, boxes), places.turned, strict=True)
        )
        if places.scores_at == places.boxes_at:  # both in one
            scores, boxes = scores[:, BOX_SIDES:], boxes[:, :BOX_SIDES]
        return yolo(
            scores,
            boxes,
            scores_spec=self._outputs[places.scores_at],
            boxes_spec=self._outputs[places.boxes_at],
            kind=output.kind,
            form=output.scores,
            sides=(1.0, 1.0) if output.box_unit == "px" else (size.width_px, size.height_px),
            threshold=self._threshold,
        )
