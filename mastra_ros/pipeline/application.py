"""An application's half at the gateway: pure code that sees what devices tell, and answers.

Its state is whatever it makes of the records that it has seen, in the order of their commits. It is
rebuilt after a restart: from its last snapshot, and the records that came after. So `on_record`
must do the same again for the same records, and ask no clock but their stamps. What it answers is
told apart by the record that it answers, so an answer that is given again counts once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mastra_ros.artefacts import Artefact
from mastra_ros.errors import RecordError
from mastra_ros.records import Record
from mastra_ros.types import FrameKey, Result


@dataclass(frozen=True)
class CloseSet:
    """The frames of this set are needed no more: they are forgotten, after a snapshot is kept.

    Empty: device and stream of what is answered.
    """

    set: str
    device: str = ""
    stream: str = ""


Answer = Artefact | Record | CloseSet
"""A record among the answers is for other applications; it carries the name of this one."""


@dataclass(frozen=True)
class SeenRecord:
    """A committed record; `place` grows with the order of commits."""

    place: int
    device: str
    stream: str
    kind: str
    stamp_ns: int
    committed_s: float  # since 1970, by the gateway's clock
    body: Mapping[str, Any]


@dataclass(frozen=True)
class SeenFrame:
    """A committed frame of a set, or the end of a set, which has no image.

    place grows with the order of commits: that of the device within a set, unless it was installed
    anew. image: (height, width) or (height, width, 3), as it left the device, cleared; None where
    it cannot be decoded, for the reason in `error`, and for features.
    """

    place: int
    device: str
    stream: str
    set: str
    sequence: int
    stamp_ns: int
    committed_s: float  # since 1970, by the gateway's clock
    meta: Mapping[str, Any]
    encoding: str = ""  # of the image, as in sensor_msgs/Image
    image: NDArray[np.uint8] | NDArray[np.uint16] | None = None
    ends: bool = False  # the set has ended: all frames before it have been shown
    error: str = ""


@dataclass(frozen=True)
class SeenResult:
    """A committed result of the gateway's model; `place` grows with the order of commits."""

    place: int
    device: str
    committed_s: float  # since 1970, by the gateway's clock
    result: Result


@dataclass(frozen=True)
class SeenLive:
    """A live frame, with what the gateway's model found in it, once that is committed.

    Not every one is shown: of those of a stream that came while the application had no time, or
    within `live_every_s`, the newest. One is never shown again. image: (height, width) or (height,
    width, 3), as it left the device, cleared, and as the gateway has decoded it.
    """

    place: int  # grows
    device: str
    key: FrameKey
    shown_s: float  # since 1970, by the gateway's clock
    encoding: str  # of the image, as in sensor_msgs/Image
    image: NDArray[np.uint8] | NDArray[np.uint16]
    result: Result
    left_out: int  # frames of this stream since the one that was shown before

    @property
    def stream(self) -> str:
        """The stream of the frame."""
        return self.key.stream


@dataclass(frozen=True)
class Question:
    """What somebody asks of an application by `GET /v1/NAME/PATH`.

    query: the parameters, each once. device: who asks may know of this device alone; empty: of all.
    """

    path: str
    query: Mapping[str, str]
    device: str = ""


FIGURE = re.compile(r"[a-z][a-z0-9_]{0,63}")
FIGURES_MAX = 2000
"""Of one application."""


@dataclass(frozen=True)
class Figure:
    """One number for `/metrics`, as `mastra_APPLICATION_NAME{LABELS}`. RecordError: no such name.

    counter: it only grows, and its name there ends with `_total`; else it is a gauge.
    """

    name: str
    doc: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    counter: bool = False

    def __post_init__(self) -> None:
        for name in (self.name, *self.labels):
            if type(name) is not str or not FIGURE.fullmatch(name):
                raise RecordError(f"figure: expected a name {FIGURE.pattern}, got {name!r:.80}")
        if not isinstance(self.value, (int, float)) or not math.isfinite(self.value):
            raise RecordError(f"figure {self.name}: expected a number, got {self.value!r:.80}")


class Application:
    """The base of all: sees nothing and answers nothing. Use it from one thread."""

    kinds: tuple[str, ...] | None = None
    """Kinds of records that it wants to see; None all of them."""
    sees: tuple[str, ...] = ()
    """What else: `frames` of sets, `results`, `live` frames."""
    live_every_s: float = 0.0
    """Live frames: at most one of a stream in so long."""
    paths: tuple[str, ...] = ()
    """What may be asked of it: `flow` is `GET /v1/NAME/flow`."""

    def on_record(self, record: SeenRecord) -> Iterable[Answer]:  # noqa: ARG002 - to be overridden
        """Take in one record, and answer it. An exception costs the answers to this record."""
        return ()

    def on_frame(self, frame: SeenFrame) -> Iterable[Answer]:  # noqa: ARG002
        """Take in one frame of a set, likewise. Frames and records have an order each."""
        return ()

    def on_result(self, result: SeenResult) -> Iterable[Answer]:  # noqa: ARG002
        """Take in one result, likewise."""
        return ()

    def on_live(self, live: SeenLive) -> Iterable[Answer]:  # noqa: ARG002
        """Take in one live frame, likewise; but what it does to the state lasts from a snapshot on.

        What must not be lost is told as a record, which answers it.
        """
        return ()

    def on_get(self, question: Question) -> Mapping[str, Any]:
        """Answer with plain values, which become JSON.

        ValueError or RecordError where the question makes no sense (400), LookupError where there
        is no such thing (404); their texts are told to who asks.
        """
        raise LookupError(f"there is nothing at {question.path!r:.80}")

    def figures(self) -> Iterable[Figure]:
        """Numbers for `/metrics`, as they are now."""
        return ()

    def snapshot(self) -> bytes:
        """All of the state, such that `restore` brings it back."""
        return b""

    def restore(self, snapshot: bytes) -> None:
        """Take over a snapshot of this or an older version. Raises where that cannot be done."""
