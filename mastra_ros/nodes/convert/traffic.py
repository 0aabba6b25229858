"""Events of traffic -> mastra_ros/VehicleCrossing, TrafficFlow, SignalPlan."""

from __future__ import annotations

import math
from collections.abc import Mapping

from std_msgs.msg import Header

from ...msg import LaneState, TrafficFlow, VehicleCrossing
from ...msg import SignalPlan as SignalPlanMsg
from ...pipeline.traffic.events import Crossing, Presence
from ...pipeline.traffic.junction.guard import Shown
from .image import stamp_to_ros


def crossing_to_ros(event: Crossing, frame_id: str = "camera") -> VehicleCrossing:
    """A crossing -> mastra_ros/VehicleCrossing."""
    return VehicleCrossing(
        header=Header(stamp=stamp_to_ros(event.stamp_ns), frame_id=frame_id),
        track=event.track,
        line=event.line,
        lane=event.lane,
        direction=event.direction,
        type=event.type,
        speed_kmh=_known(event.speed_kmh),
        plate_hash=event.plate_hash or "",
        plate=event.plate or "",
        plate_confidence=event.plate_confidence,
    )


def flow_to_ros(
    event: Presence, crossed: Mapping[str, int], state: str, frame_id: str = "camera"
) -> TrafficFlow:
    """A window of the lanes -> mastra_ros/TrafficFlow. crossed: vehicles by lane, since start."""
    return TrafficFlow(
        header=Header(stamp=stamp_to_ros(event.stamp_ns), frame_id=frame_id),
        window_ms=event.window_ms,
        lanes=[
            LaneState(
                lane=lane.lane,
                vehicles=lane.vehicles,
                queued=lane.queued,
                queue_m=_known(lane.queue_m),
                occupancy=lane.occupancy,
                speed_kmh=_known(lane.speed_kmh),
                crossed=crossed.get(lane.lane, 0),
            )
            for lane in event.lanes
        ],
        camera_state=state,
    )


def signal_to_ros(junction: str, shown: Shown, stamp_ns: int) -> SignalPlanMsg:
    """What a junction shows -> mastra_ros/SignalPlan."""
    return SignalPlanMsg(
        header=Header(stamp=stamp_to_ros(stamp_ns)),
        junction=junction,
        phase=shown.phase,
        green=shown.green,
        colours=shown.colours,
        by_plan=shown.by == "plan",
        reason=shown.reason,
    )


def _known(value: float | None) -> float:
    return math.nan if value is None else float(value)
