"""The state of a tracked ultrasound -> mastra_ros/UltrasoundState."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from std_msgs.msg import Header

from ...msg import UltrasoundState
from ...pipeline.ultrasound.sweep import SweepFeedback
from .image import stamp_to_ros


@dataclass(frozen=True)
class UltrasoundTold:
    """See UltrasoundState.msg."""

    sweep: str = ""
    sweeps: int = 0
    pictures: int = 0
    told: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)  # pictures, by reason
    poses: int = 0
    poses_refused: Mapping[str, int] = field(default_factory=dict)
    tracked: bool = False
    lag_ms: float = 0.0
    live_age_ms: float = math.nan
    live_age_p99_ms: float = math.nan
    feedback: SweepFeedback | None = None
    calibration: str = ""
    withheld: str = ""


def ultrasound_to_ros(told: UltrasoundTold, stamp_ns: int, frame_id: str) -> UltrasoundState:
    """UltrasoundTold -> mastra_ros/UltrasoundState."""
    poses = {f"pose: {reason}": count for reason, count in told.poses_refused.items()}
    feedback = told.feedback
    return UltrasoundState(
        header=Header(stamp=stamp_to_ros(stamp_ns), frame_id=frame_id),
        sweep=told.sweep,
        sweeps=told.sweeps,
        pictures=told.pictures,
        told=told.told,
        refused=sum(told.refused.values()),
        refused_reasons=json.dumps({**told.refused, **poses}),
        poses=told.poses,
        poses_refused=sum(told.poses_refused.values()),
        tracked=told.tracked,
        lag_ms=told.lag_ms,
        live_age_ms=told.live_age_ms,
        live_age_p99_ms=told.live_age_p99_ms,
        speed_mm_s=-1.0 if feedback is None else feedback.speed_mm_s,
        too_fast=feedback is not None and feedback.too_fast,
        gaps=0 if feedback is None else feedback.gaps_total,
        calibration=told.calibration,
        withheld=told.withheld,
    )
