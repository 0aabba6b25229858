"""Hands sweeps to the bridge: begin and end as records, frames for the set of the sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..msg import Record as RecordMsg
from ..pipeline.ultrasound.sweep import SweepBegin, SweepEnd, TrackedFrame
from ..types import Packet
from . import convert
from .lifecycle import LASTING

if TYPE_CHECKING:
    from .lifecycle import StageNode


class SweepTopics:
    """A SweepSink over the topics of the bridge."""

    def __init__(self, node: StageNode) -> None:
        self._records = node.advertise(RecordMsg, "record", LASTING)

    def begin(self, begin: SweepBegin) -> None:
        """See SweepSink."""
        self._records.publish(convert.record_to_ros(begin.record()))

    def frame(self, frame: TrackedFrame, packet: Packet) -> None:
        """See SweepSink."""

    def end(self, end: SweepEnd) -> None:
        """See SweepSink."""
        self._records.publish(convert.record_to_ros(end.record()))
