"""A bundle: the folder that holds a model's parts and says what they need and give."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from ..errors import ConfigError, ModelError
from ..share import home_path, share_file
from .fields import Fields

FORMAT = 1
"""The newest format of `bundle.yaml` that this code reads."""

FILE_NAME = "bundle.yaml"
TASKS = ("detection", "classification")
COLOURS = {"gray": 1, "rgb": 3, "bgr": 3}
"""Colours that a model may want, and their channels."""
RESIZES = ("letterbox", "stretch")
KINDS = ("anchor_free", "yolox", "classification")
"""How outputs are read: modules postprocess, yolox and classify tell each."""
SCORES = ("logits", "probabilities")
SUPPRESSIONS = ("per_class", "all")
ENGINES = ("litert", "onnxruntime")
PARTS = ("local", "cloud", "head", "tail")
PAIR_DIGITS = 16
RANK_MAX = 4
SIDE_MAX = 65_536


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
    scores: str = "logits"  # of classification: what the model gives


@dataclass(frozen=True)
class BundlePart:
    """One model file of a bundle."""

    name: str  # local, cloud, head or tail
    path: Path
    engine: str
    sha256: str
    model: str  # name of the model in results
    version: str
    score_threshold: float  # least score that counts, unless the user says otherwise; head: 0
    views: int = 1  # 2: each frame is also seen turned by half a turn, see module views
    measurements: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class BundleSplit:
    """Where the network of the part `whole` was cut into the parts `head` and `tail`.

    The head gives the tensor at the cut as int8, and the tail takes it so:
    real = (value - zero_point) * scale.
    """

    cut: str  # name of the tensor in the whole network
    shape: tuple[int, ...]  # of one frame's tensor, without a side for the batch
    scale: float
    zero_point: int
    pair: str  # the first digits of the head's digest; a tail takes only what its own head made
    whole: str = "cloud"
    measurements: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Bundle:
    """A bundle whose every field and file has been checked."""

    path: Path  # of bundle.yaml
    name: str
    version: str
    task: str
    labels: tuple[str, ...]
    input: BundleInput
    output: BundleOutput
    parts: Mapping[str, BundlePart]
    split: BundleSplit | None = None  # None: there are no parts head and tail

    def part(self, name: str) -> BundlePart:
        """The part of this name. Raises ModelError where the bundle has none."""
        if name not in self.parts:
            raise ModelError(f"{self.path}: no part {name!r}, it has {', '.join(self.parts)}")
        return self.parts[name]

    def in_one_view(self) -> Bundle:
        """The same bundle, whose parts see each frame once: as the halves of a split model do."""
        parts = {name: replace(part, views=1) for name, part in self.parts.items()}
        return replace(self, parts=parts)


def load_bundle(path_or_name: str) -> Bundle:
    """Read and check a bundle: a folder, or the name of one among our installed files.

    Raises:
        ModelError: names the file and everything that is wrong with it: not found, not YAML,
            a newer format, fields missing, unknown or out of range, files missing or changed.
    """
    path = _find(path_or_name)
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ModelError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise ModelError(f"{path}: expected a mapping, got {type(document).__name__}")
    version = document.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise ModelError(f"{path}: format {version} is newer than {FORMAT}, please update Mastra")
    fields = Fields(document)
    bundle = _read(path, fields)
    if fields.problems:
        raise ModelError(f"{path}: {'; '.join(fields.problems)}")
    return bundle


def _find(path_or_name: str) -> Path:
    given = home_path(path_or_name)
    if (given / FILE_NAME).is_file():
        return given / FILE_NAME
    if given.is_absolute():
        raise ModelError(f"{given / FILE_NAME}: not found")
    with contextlib.suppress(ConfigError):
        return share_file(f"{path_or_name}/{FILE_NAME}")
    try:
        return share_file(f"models/{path_or_name}/{FILE_NAME}")
    except ConfigError as error:
        raise ModelError(f"bundle {path_or_name}: {error}") from error


def _read(path: Path, fields: Fields) -> Bundle:
    if fields.integer("format", 1, 10**6) != FORMAT:
        fields.problem("format", f"expected {FORMAT}")
    labels = fields.strings("labels")
    task = fields.choice("task", TASKS)
    parts = _read_parts(path.parent, fields.section("parts"))
    bundle = Bundle(
        path=path,
        name=fields.text("name"),
        version=fields.text("version"),
        task=task,
        labels=labels,
        input=_read_input(fields.section("input")),
        output=_read_output(fields.section("output"), task),
        parts=parts,
        split=_read_split(fields, parts),
    )
    fields.nothing_else()
    return bundle


def _read_input(fields: Fields) -> BundleInput:
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


def _read_output(fields: Fields, task: str) -> BundleOutput:
    kind = fields.choice("kind", KINDS)
    if kind and task and (kind == "classification") != (task == "classification"):
        fields.problem("kind", f"{kind} is not for the task {task}")
    if kind == "classification":
        scores = fields.choice("scores", SCORES) if "scores" in fields else "logits"
        made = BundleOutput(kind, scores=scores)
    else:
        made = BundleOutput(
            kind=kind,
            stride_px=fields.integer("stride_px", 1, 1024) if kind != "yolox" else 0,
            nms_iou=fields.number("nms_iou", 0.0, 1.0),
            nms=fields.choice("nms", SUPPRESSIONS) if "nms" in fields else "all",
            strides_px=fields.integers("strides_px", 1, 1024) if kind == "yolox" else (),
        )
    fields.nothing_else()
    return made


def _read_parts(folder: Path, fields: Fields) -> dict[str, BundlePart]:
    names = [name for name in PARTS if name in fields]
    if not names:
        fields.problem("", f"expected at least one of {', '.join(PARTS)}")
    parts = {name: _read_part(folder, name, fields.section(name)) for name in names}
    fields.nothing_else()
    return parts


def _read_split(fields: Fields, parts: Mapping[str, BundlePart]) -> BundleSplit | None:
    """The section `split`, which goes with the parts head and tail: all three, or none."""
    halves = [name for name in ("head", "tail") if name in parts]
    if "split" not in fields:
        if halves:
            fields.problem("split", f"missing, expected beside {' and '.join(halves)}")
        return None
    if len(halves) < 2:
        fields.problem("split", "expected the parts head and tail beside it")
    section = fields.section("split")
    made = BundleSplit(
        cut=section.text("cut"),
        shape=section.integers("shape", 1, SIDE_MAX),
        scale=section.number("scale", 1e-30, 1e30),
        zero_point=section.integer("zero_point", -128, 127),
        pair=parts["head"].sha256[:PAIR_DIGITS] if "head" in parts else "",
        whole=section.choice("whole", ("local", "cloud")) if "whole" in section else "cloud",
        measurements=section.mapping("measurements") if "measurements" in section else {},
    )
    if len(made.shape) > RANK_MAX:
        section.problem("shape", f"expected at most {RANK_MAX} sides, got {len(made.shape)}")
    section.nothing_else()
    return made


def _read_part(folder: Path, name: str, fields: Fields) -> BundlePart:
    file = fields.text("file")
    part = BundlePart(
        name=name,
        path=folder / file,
        engine=fields.choice("engine", ENGINES),
        sha256=fields.text("sha256").lower(),
        model=fields.text("model"),
        version=fields.text("version"),
        score_threshold=0.0 if name == "head" else fields.number("score_threshold", 0.0, 1.0),
        views=fields.integer("views", 1, 2) if "views" in fields else 1,
        measurements=fields.mapping("measurements") if "measurements" in fields else {},
    )
    fields.nothing_else()
    if part.views > 1 and name in ("head", "tail"):
        fields.problem("views", "the halves of a split model see a frame once")
    if file and Path(file).name != file:
        fields.problem("file", f"expected a name inside the bundle's folder, got {file!r}")
    elif file:
        _check_file(part, fields)
    return part


def _check_file(part: BundlePart, fields: Fields) -> None:
    try:
        digest = hashlib.sha256(part.path.read_bytes()).hexdigest()
    except OSError as error:
        fields.problem("file", f"{part.path.name} cannot be read: {error.strerror}")
        return
    if part.sha256 and digest != part.sha256:
        fields.problem(
            "sha256", f"{part.path.name} is not the file described: {digest}, not {part.sha256}"
        )
