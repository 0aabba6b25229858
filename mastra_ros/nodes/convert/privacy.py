"""The state of the gate, to and from messages."""

from __future__ import annotations

from std_msgs.msg import Header

from ...errors import MessageError
from ...msg import PrivacyState
from ...types import GateState
from .image import stamp_to_ros
from .result import understood


def privacy_to_ros(state: GateState, stamp_ns: int) -> PrivacyState:
    """GateState -> mastra_ros/PrivacyState; `stamp_ns` is the ROS time at which it is told."""
    return PrivacyState(
        header=Header(stamp=stamp_to_ros(stamp_ns)),
        mode=state.mode,
        open=not state.shut,
        features=state.features,
        reason=state.shut,
        clearance=state.clearance,
        sent=state.sent,
        masked=state.masked,
        withheld=state.withheld,
    )


def privacy_from_ros(msg: PrivacyState) -> GateState:
    """mastra_ros/PrivacyState -> GateState. Raises MessageError."""
    if not msg.open and not msg.reason:
        raise MessageError("privacy: expected a reason beside a gate that is not open, got none")
    with understood("privacy"):
        return GateState(
            msg.mode,
            "" if msg.open else msg.reason[:1024],
            msg.features,
            msg.clearance[:256],
            msg.sent,
            msg.masked,
            msg.withheld,
        )
