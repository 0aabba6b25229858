"""What a bundle says of how its network is fed and read, for all of its parts."""

from __future__ import annotations

from dataclasses import dataclass

from .fields import Fields

COLOURS = {"gray": 1, "rgb": 3, "bgr": 3}
"""Colours that a model may want, and their channels."""
RESIZES = ("letterbox", "stretch")
TYPES = ("float32", "float16", "uint8", "int8")
"""Types of a part's input."""
LAYOUTS = ("nchw", "nhwc")
SCORES = {
    "classification": "logits",
    "anchor_free": "logits",
    "yolox": "probabilities",
    "yolov8": "probabilities",
    "yolov5": "probabilities",
}
"""Kinds of output (modules classify, postprocess, yolox and yolo tell each), and whether their
scores are logits or probabilities unless the bundle says otherwise."""
SCORE_FORMS = ("logits", "probabilities")
KINDS = tuple(SCORES)
YOLO = ("yolov8", "yolov5")
"""Detectors whose rows hold whole boxes."""
BOX_UNITS = ("px", "fraction")
SUPPRESSIONS = ("per_class", "all")


@dataclass(frozen=True)
class BundleInput:
    """What a model is fed: value = (pixel - mean) / std, a mean and std per channel."""

    width_px: int
    height_px: int
    colour: str
    resize: str
    pad_value: int  # 0 to 255, around a letterboxed picture
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def channels(self) -> int:
        return COLOURS[self.colour]


@dataclass(frozen=True)
class BundleOutput:
    """How a model's outputs are read; `kind` names the decoder."""

    kind: str
    stride_px: int = 0  # of anchor_free
    nms_iou: float = 0.0  # of detectors
    nms: str = "all"  # which boxes suppress each other: all, or per_class
    strides_px: tuple[int, ...] = ()  # of yolox, in the order of the model's rows
    scores: str = "logits"  # what the model gives: logits, or probabilities
    box_unit: str = "px"  # of yolov8 and yolov5: px of the input, or fraction of its sides


def read_input(fields: Fields) -> BundleInput:
    """The section `input`."""
    colour = fields.choice("colour", tuple(COLOURS))
    channels = COLOURS.get(colour, 1)
    made = BundleInput(
        width_px=fields.integer("width_px", 1, 16_384),
        height_px=fields.integer("height_px", 1, 16_384),
        colour=colour,
        resize=fields.choice("resize", RESIZES),
        pad_value=fields.integer("pad_value", 0, 255),
        mean=fields.numbers("mean", channels),
        std=fields.numbers("std", channels),
    )
    if 0.0 in made.std:
        fields.problem("std", "expected no zero")
    fields.nothing_else()
    return made


def read_output(fields: Fields, task: str) -> BundleOutput:
    """The section `output` of a bundle for this task."""
    kind = fields.choice("kind", KINDS)
    if kind and task and (kind == "classification") != (task == "classification"):
        fields.problem("kind", f"{kind} is not for the task {task}")
    scores = SCORES.get(kind, "logits")
    if "scores" in fields:
        scores = fields.choice("scores", SCORE_FORMS)
    if kind == "classification":
        made = BundleOutput(kind, scores=scores)
    else:
        made = BundleOutput(
            kind=kind,
            stride_px=fields.integer("stride_px", 1, 1024) if kind == "anchor_free" else 0,
            nms_iou=fields.number("nms_iou", 0.0, 1.0),
            nms=fields.choice("nms", SUPPRESSIONS) if "nms" in fields else "all",
            strides_px=fields.integers("strides_px", 1, 1024) if kind == "yolox" else (),
            scores=scores,
            box_unit=(
                fields.choice("box_unit", BOX_UNITS)
                if kind in YOLO and "box_unit" in fields
                else "px"
            ),
        )
    fields.nothing_else()
    return made
