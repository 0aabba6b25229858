"""Hands sweeps to the bridge: begin and end as records, frames as durable frames of a set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rclpy.qos import QoSProfile, ReliabilityPolicy

from ..msg import Packet as PacketMsg
from ..msg import Record as RecordMsg
from ..pipeline.ultrasound.sweep import SweepBegin, SweepEnd, TrackedFrame
from ..sets import SetFrame
from ..types import Packet
from . import convert
from .lifecycle import LASTING

if TYPE_CHECKING:
    from .lifecycle import StageNode

WHOLE = QoSProfile(depth=300, reliability=ReliabilityPolicy.RELIABLE)
"""Ten seconds of frames: the bridge may be busy with its disk."""


class SweepTopics:
    """A SweepSink over the topics of the bridge; the set has the name of the sweep."""

    def __init__(self, node: StageNode) -> None:
        self._records = node.advertise(RecordMsg, "record", LASTING)
        self._packets = node.advertise(PacketMsg, "packet", WHOLE)
        self._last = 0  # sequence of the frame that was handed on last

    def begin(self, begin: SweepBegin) -> None:
        """See SweepSink."""
        self._last = 0
        self._records.publish(convert.record_to_ros(begin.record()))

    def frame(self, frame: TrackedFrame, packet: Packet) -> None:
        """See SweepSink."""
        self._last = frame.sequence
        told = SetFrame(frame.sweep, frame.sequence, packet)
        self._packets.publish(convert.set_frame_to_ros(told, "ultrasound"))

    def end(self, end: SweepEnd) -> None:
        """See SweepSink. The end of the set lies behind all frames, that of the sweep says why."""
        self._records.publish(convert.record_to_ros(end.record()))
        ends = SetFrame(end.sweep, self._last + 1)
        self._packets.publish(convert.set_frame_to_ros(ends, "ultrasound"))
