"""The probe node: a source of tracked ultrasound -> `image_raw`, `pose`."""

from __future__ import annotations

import secrets
import threading
import time
from typing import Any

from geometry_msgs.msg import PoseStamped
from rclpy.qos import QoSProfile, ReliabilityPolicy

from ..config import ProbeConfig
from ..errors import MastraError, SourceError
from ..pipeline.ultrasound.opening import open_source
from ..pipeline.ultrasound.playing import Player
from ..pipeline.ultrasound.source import Picture, ProbeSource, TimedPose, parse_source
from ..redaction import redact
from ..types import Frame, FrameKey
from . import convert
from .frames import STREAM, FramePublisher
from .lifecycle import Health, StageNode, settings_text
from .process import run

POSES = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE)
"""Ten seconds of poses: a machine that is busy for a moment must not lose the way of the probe."""


class ProbeNode(StageNode):
    """Publishes the pictures and poses of one source; poses are probe to reference, in m."""

    stage = "probe"
    config: ProbeConfig

    def __init__(self, **node_options: Any) -> None:
        self.captured = 0
        self.poses = 0
        self.failure = ""
        self.notes: tuple[str, ...] = ()  # what is doubtful about the source
        self.ended = threading.Event()
        self._source: ProbeSource | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._run = secrets.token_hex(6)
        super().__init__(**node_options)

    def set_up(self) -> None:
        parse_source(self.config.source)
        self.failure = ""
        self._images = FramePublisher(self, "image_raw")
        self._poses = self.advertise(PoseStamped, "pose", POSES)

    def start(self) -> None:
        self.ended.clear()
        self._stopping.clear()
        self._source = open_source(self.config.source, stall_s=self.config.stall_timeout_s)
        self.notes = self._source.notes
        for note in self.notes:
            self.get_logger().warning(f"{self.config.source}: {note}")
        self._thread = threading.Thread(target=self._work, name="probe", daemon=True)
        self._thread.start()
        self.get_logger().info(f"probe: {settings_text(self.config)}")

    def halt(self) -> None:
        self._stopping.set()
        if self._source is not None:
            self._source.close()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._source = None

    def health(self) -> Health:
        if self._source is None:
            return "ok", "inactive", {}
        values = {"pictures": self.captured, "poses": self.poses}
        if self.failure:
            return "error", self.failure, values
        notes = "; ".join(self._source.notes)
        if not getattr(self._source, "connected", True):
            return "warn", "not connected to the server", values
        return ("warn" if notes else "ok"), notes or "running", values

    def _work(self) -> None:
        config, source = self.config, self._source
        assert source is not None
        try:
            player = Player(config.speed, recorded=config.stamps == "recorded")
            while not self._stopping.is_set():
                self._play(player, source)
                if not config.loop or self._stopping.is_set() or self._full():
                    break
                player.again()
                source = open_source(config.source, stall_s=config.stall_timeout_s)
        except (SourceError, MastraError) as error:
            self.failure = redact(str(error))
            self.get_logger().error(self.failure)
        except Exception as error:  # the thread must not die without a word
            self.failure = f"{type(error).__name__}: {error}"
            self.fault("probe", error)
        self.ended.set()

    def _play(self, player: Player, source: ProbeSource) -> None:
        for event in source.events():
            if event is None:
                if self._stopping.is_set():
                    return
                continue
            if not source.live:
                wait_s = player.wait_s(event.stamp_ns, time.monotonic_ns())
                if wait_s > 0 and self._stopping.wait(wait_s):
                    return
            stamp_ns = event.stamp_ns
            if not source.live:
                stamp_ns = player.stamp_ns(event.stamp_ns, self.now_stamp_ns)
            self._give(event, stamp_ns)
            if self._full():
                return

    def _give(self, event: Picture | TimedPose, stamp_ns: int) -> None:
        if isinstance(event, TimedPose):
            self.poses += 1
            self._poses.publish(
                convert.pose_to_ros(stamp_ns, event.matrix, self.config.reference_frame)
            )
            return
        self.captured += 1
        key = FrameKey(STREAM, stamp_ns, f"{self._run}-{self.captured}")
        self._images.publish(Frame(key, event.image, "mono8", self.config.frame_id))

    def _full(self) -> bool:
        return bool(0 < self.config.frame_limit <= self.captured)


def main() -> int:
    """Entry point of the executable `probe`."""
    return run(ProbeNode)
