"""ROS messages <-> the values between stages: pairs `x_to_ros` and `x_from_ros`.

What cannot be understood raises FrameError (pictures) or MessageError (everything else).
"""

from __future__ import annotations

from .artefact import artefact_to_ros
from .cloud import meshes_to_ros, points_to_ros
from .compressed import compressed_from_ros, compressed_to_ros
from .draw import markers_to_ros
from .image import (
    bytes_to_ros,
    camera_info_to_ros,
    frame_from_ros,
    frame_key_from_ros,
    frame_key_to_ros,
    frame_to_ros,
    header_to_ros,
    key_from_ros,
    stamp_from_ros,
    stamp_to_ros,
)
from .live import live_of_values, live_to_values
from .pose import pose_from_ros, pose_to_ros, probe_to_ros
from .privacy import privacy_from_ros, privacy_to_ros
from .record import record_from_ros, record_to_ros
from .result import (
    SUPERSEDED,
    DecisionRequest,
    check_deadline,
    decision_from_ros,
    decision_to_ros,
    detections_from_ros,
    detections_to_ros,
    result_from_ros,
    result_to_ros,
    superseded_to_ros,
    verdict_to_ros,
)
from .schedule import known, schedule_sections, schedule_to_ros
from .set_frame import set_frame_from_ros, set_frame_to_ros
from .state import (
    LinkStatus,
    diagnostic_to_ros,
    diagnostics_to_ros,
    features_from_ros,
    features_to_ros,
    link_from_ros,
    link_to_ros,
    load_from_ros,
    load_to_ros,
    packet_from_ros,
    packet_to_ros,
)
from .traffic import crossing_to_ros, flow_to_ros, signal_to_ros
from .ultrasound import UltrasoundTold, ultrasound_to_ros
from .vision import detections2d_to_ros, vision_msgs_present

__all__ = [
    "SUPERSEDED",
    "DecisionRequest",
    "LinkStatus",
    "UltrasoundTold",
    "artefact_to_ros",
    "bytes_to_ros",
    "camera_info_to_ros",
    "check_deadline",
    "compressed_from_ros",
    "compressed_to_ros",
    "crossing_to_ros",
    "decision_from_ros",
    "decision_to_ros",
    "detections2d_to_ros",
    "detections_from_ros",
    "detections_to_ros",
    "diagnostic_to_ros",
    "diagnostics_to_ros",
    "features_from_ros",
    "features_to_ros",
    "flow_to_ros",
    "frame_from_ros",
    "frame_key_from_ros",
    "frame_key_to_ros",
    "frame_to_ros",
    "header_to_ros",
    "key_from_ros",
    "known",
    "link_from_ros",
    "link_to_ros",
    "live_of_values",
    "live_to_values",
    "load_from_ros",
    "load_to_ros",
    "markers_to_ros",
    "meshes_to_ros",
    "packet_from_ros",
    "packet_to_ros",
    "points_to_ros",
    "pose_from_ros",
    "pose_to_ros",
    "privacy_from_ros",
    "privacy_to_ros",
    "probe_to_ros",
    "record_from_ros",
    "record_to_ros",
    "result_from_ros",
    "result_to_ros",
    "schedule_sections",
    "schedule_to_ros",
    "set_frame_from_ros",
    "set_frame_to_ros",
    "signal_to_ros",
    "stamp_from_ros",
    "stamp_to_ros",
    "superseded_to_ros",
    "ultrasound_to_ros",
    "verdict_to_ros",
    "vision_msgs_present",
]
