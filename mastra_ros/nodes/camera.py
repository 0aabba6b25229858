"""The camera node: a source of frames -> `image_raw`, `camera_info`, `image_raw/compressed`."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

from sensor_msgs.msg import CameraInfo, CompressedImage

from ..camera import CameraEvent, CaptureLoop
from ..camera.events import FINAL
from ..camera.opening import check_source
from ..config import CameraConfig
from ..types import Frame
from . import convert
from .frames import PUBLISHED, STREAM, FramePublisher
from .intake import Intake
from .lifecycle import Health, StageNode, settings_text
from .process import run
from .transport import compressed_topic

PASSING_S = 60.0
"""How long diagnostics show that the clock jumped back."""
LEVELS = {"info": "ok", "warning": "warn", "error": "error"}


class CameraNode(StageNode):
    """Publishes the frames of one source."""

    stage = "camera"
    config: CameraConfig

    def __init__(self, **node_options: Any) -> None:
        self.captured = 0
        self.failure = ""  # why the source cannot be used any more
        self.trouble = ""  # why a live source gives nothing just now; it will be tried again
        self.ended = threading.Event()  # a finite source has given its last frame
        self.loop: CaptureLoop | None = None
        self._event: tuple[str, str] = ("ok", "")
        self._intake = Intake()
        self._passes_s = math.inf  # when the event is forgotten
        super().__init__(**node_options)

    def set_up(self) -> None:
        check_source(self.config)
        self.failure = ""
        self._images = FramePublisher(self, "image_raw")
        self._info = self.advertise(CameraInfo, "camera_info")
        name = compressed_topic(self, "image_raw")
        self._compressed = self.advertise(
            CompressedImage, "image_raw/compressed", PUBLISHED, name=name
        )

    def start(self) -> None:
        self.ended.clear()
        self.loop = CaptureLoop(
            self.config, self._publish, self._on_event, stream=STREAM, stamp_ns=self.now_stamp_ns
        )
        self.loop.start()
        self.get_logger().info(f"capturing: {settings_text(self.config)}")

    def halt(self) -> None:
        if self.loop is not None:
            self.loop.stop()
            self.loop = None

    def health(self) -> Health:
        level, message = self._event if time.monotonic() < self._passes_s else ("ok", "")
        judged, refused = self._intake.judge()
        doubt = self.loop.doubt if self.loop is not None else ""
        if level == "ok" and judged != "ok":
            level, message = judged, f"pictures: {refused}"
        elif level == "ok" and doubt:
            level, message = "warn", doubt
        values = {"frames": self.captured, "refused": self._intake.refused}
        return level, message or "running", values

    def _publish(self, frame: Frame) -> None:
        self.captured += 1
        self._intake.took()
        self._images.publish(frame)
        if self._info.get_subscription_count() > 0:
            self._info.publish(convert.camera_info_to_ros(frame))
        if self._compressed.get_subscription_count() > 0:
            self._compressed.publish(convert.compressed_to_ros(frame))

    def _on_event(self, event: CameraEvent) -> None:
        if event.kind == "bad_frame":
            self._intake.refuse(event.message)
        elif event.kind != "doubtful":  # these two pass by themselves
            self._event = (LEVELS[event.severity], str(event))
            passing = event.kind == "clock_back"
            self._passes_s = time.monotonic() + PASSING_S if passing else math.inf
        self.trouble = str(event) if event.kind in ("broken", "stalled") else ""
        log = self.get_logger()
        # rclpy remembers the severity of each line of code that logs, and refuses another.
        if event.severity == "error":
            log.error(str(event))
        elif event.severity == "warning":
            log.warning(str(event))
        else:
            log.info(str(event))
        if event.kind in FINAL:
            self.failure = str(event) if event.kind == "failed" else ""
            self.ended.set()


def main() -> int:
    """Entry point of the executable `camera`."""
    return run(CameraNode)
