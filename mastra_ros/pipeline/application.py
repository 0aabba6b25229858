"""An application's half at the gateway: pure code that sees what devices tell, and answers.

Its state is whatever it makes of the records that it has seen, in the order of their commits. It is
rebuilt after a restart: from its last snapshot, and the records that came after. So `on_record`
must do the same again for the same records, and ask no clock but their stamps. What it answers is
told apart by the record that it answers, so an answer that is given again counts once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mastra_ros.artefacts import Artefact
from mastra_ros.records import Record
from mastra_ros.types import Result


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


class Application:
    """The base of all: sees nothing and answers nothing. Use it from one thread."""

    kinds: tuple[str, ...] | None = None
    """Kinds of records that it wants to see; None all of them."""
    sees: tuple[str, ...] = ()
    """What else: `frames` of sets, `results`."""

    def on_record(self, record: SeenRecord) -> Iterable[Answer]:  # noqa: ARG002 - to be overridden
        """Take in one record, and answer it. An exception costs the answers to this record."""
        return ()

    def on_frame(self, frame: SeenFrame) -> Iterable[Answer]:  # noqa: ARG002
        """Take in one frame of a set, likewise. Frames and records have an order each."""
        return ()

    def on_result(self, result: SeenResult) -> Iterable[Answer]:  # noqa: ARG002
        """Take in one result, likewise."""
        return ()

    def snapshot(self) -> bytes:
        """All of the state, such that `restore` brings it back."""
        return b""

    def restore(self, snapshot: bytes) -> None:
        """Take over a snapshot of this or an older version. Raises where that cannot be done."""
