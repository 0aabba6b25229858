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
from .formats import newer_than
from .interface import (
    LAYOUTS,
    TYPES,
    BundleInput,
    BundleOutput,
    read_input,
    read_output,
)

__all__ = [
    "Bundle",
    "BundleInput",
    "BundleOutput",
    "BundlePart",
    "BundleSplit",
    "load_bundle",
]

FORMAT = 3
"""The newest format of `bundle.yaml` that this code reads; see module formats for what it added."""

FILE_NAME = "bundle.yaml"
TASKS = ("detection", "classification")
ENGINES = ("litert", "onnxruntime", "openvino", "torch")
PARTS = ("local", "cloud", "cloud_int8", "head", "tail")
HALVES = ("head", "tail")
PAIR_DIGITS = 16
RANK_MAX = 4
SIDE_MAX = 65_536
VIEWS_MAX = 2


@dataclass(frozen=True)
class BundlePart:
    """One model file of a bundle."""

    name: str  # one of PARTS
    path: Path
    engine: str
    sha256: str
    model: str  # name of the model in results
    version: str
    score_threshold: float  # least score that counts, unless the user says otherwise; head: 0
    views: int = 1  # 2: each frame is also seen turned by half a turn, see module views
    score_thresholds: Mapping[int, float] = field(default_factory=dict)  # by views, if told apart
    input_type: str = ""  # one of TYPES; "": as the file says
    layout: str = ""  # one of LAYOUTS; "": told by the file's shape
    measurements: Mapping[str, Any] = field(default_factory=dict)

    def seen(self, views: int) -> BundlePart:
        """The same part with this number of views, and the threshold that belongs to it."""
        threshold = self.score_thresholds.get(views, self.score_threshold)
        return replace(self, views=views, score_threshold=threshold)


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
    digest: str = ""  # SHA-256 of bundle.yaml, which names those of its files

    def part(self, name: str) -> BundlePart:
        """The part of this name. Raises ModelError where the bundle has none."""
        if name not in self.parts:
            raise ModelError(f"{self.path}: no part {name!r}, it has {', '.join(self.parts)}")
        return self.parts[name]

    def in_one_view(self) -> Bundle:
        """The same bundle, whose parts see each frame once: as the halves of a split model do."""
        return replace(self, parts={name: part.seen(1) for name, part in self.parts.items()})


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
    if version in (1, 2):
        for place, format_ in newer_than(version, document):
            fields.problem(place, f"is of format {format_}, and this says format {version}")
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
    fields.integer("format", 1, FORMAT)
    labels = fields.strings("labels")
    task = fields.choice("task", TASKS)
    parts = _read_parts(path.parent, fields.section("parts"))
    bundle = Bundle(
        path=path,
        name=fields.text("name"),
        version=fields.text("version"),
        task=task,
        labels=labels,
        input=read_input(fields.section("input")),
        output=read_output(fields.section("output"), task),
        parts=parts,
        split=_read_split(fields, parts),
        digest=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    fields.nothing_else()
    return bundle


def _read_parts(folder: Path, fields: Fields) -> dict[str, BundlePart]:
    names = [name for name in PARTS if name in fields]
    if not names:
        fields.problem("", f"expected at least one of {', '.join(PARTS)}")
    parts = {name: _read_part(folder, name, fields.section(name)) for name in names}
    fields.nothing_else()
    return parts


def _read_split(fields: Fields, parts: Mapping[str, BundlePart]) -> BundleSplit | None:
    """The section `split`, which goes with the parts head and tail: all three, or none."""
    halves = [name for name in HALVES if name in parts]
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
    views = fields.integer("views", 1, VIEWS_MAX) if "views" in fields else 1
    threshold, by_views = _read_thresholds(name, views, fields)
    feed = fields.section("input") if "input" in fields else None
    part = BundlePart(
        name=name,
        path=folder / file,
        engine=fields.choice("engine", ENGINES),
        sha256=fields.text("sha256").lower(),
        model=fields.text("model"),
        version=fields.text("version"),
        score_threshold=threshold,
        views=views,
        score_thresholds=by_views,
        input_type=feed.choice("type", TYPES) if feed is not None and "type" in feed else "",
        layout=feed.choice("layout", LAYOUTS) if feed is not None and "layout" in feed else "",
        measurements=fields.mapping("measurements") if "measurements" in fields else {},
    )
    fields.nothing_else()
    if feed is not None:
        feed.nothing_else()
        if name == "tail":
            fields.problem("input", "a tail is fed what its head gives")
    if part.views > 1 and name in HALVES:
        fields.problem("views", "the halves of a split model see a frame once")
    if file and Path(file).name != file:
        fields.problem("file", f"expected a name inside the bundle's folder, got {file!r}")
    elif file:
        _check_file(part, fields)
    return part


def _read_thresholds(name: str, views: int, fields: Fields) -> tuple[float, dict[int, float]]:
    """The least score at this number of views, and all of them where they are told apart."""
    if name == "head":
        return 0.0, {}
    if "score_thresholds" not in fields:
        return fields.number("score_threshold", 0.0, 1.0), {}
    by_views = fields.numbers_by("score_thresholds", (1, VIEWS_MAX), (0.0, 1.0))
    if "score_threshold" in fields:
        fields.problem("score_threshold", "expected this or score_thresholds, got both")
        fields.number("score_threshold", 0.0, 1.0)
    elif by_views and not {1, views} <= set(by_views):
        known = ", ".join(map(str, by_views))
        fields.problem("score_thresholds", f"expected one for 1 and for {views} views, got {known}")
    return by_views.get(views, 0.0), by_views


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
