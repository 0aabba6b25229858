"""The ultrasound node: `image_raw`, `pose` -> `image_live`, sweeps, `ultrasound_state`, `probe`."""

from __future__ import annotations

import dataclasses
import secrets
import threading
import time
from collections import Counter
from typing import Any

from geometry_msgs.msg import PoseStamped
from visualization_msgs.msg import MarkerArray

from ..config import UltrasoundConfig
from ..config.ultrasound import parse_caliper, parse_tgc
from ..errors import FrameError, RecordError
from ..msg import Artefact, UltrasoundState
from ..pictures import eight_bits
from ..pipeline.ultrasound.checks import calibration_problems
from ..pipeline.ultrasound.live import LiveSettings, LiveView
from ..pipeline.ultrasound.opening import open_calibration
from ..pipeline.ultrasound.poses import PoseLimits
from ..pipeline.ultrasound.recorder import SweepRecorder
from ..pipeline.ultrasound.sweep import FEEDBACK, SweepBegin, SweepFeedback
from ..privacy import Gate, open_gate
from ..types import Frame
from . import convert
from .frames import FramePublisher, listen_to_frames
from .lifecycle import LASTING, LATEST, RELIABLE, Health, StageNode, settings_text
from .live_picture import Ages, NewestFirst
from .privacy import GateNews, health_of, read_section
from .probe import POSES
from .process import run
from .sweep_frames import SweepFrames
from .sweep_sink import SweepTopics
from .tf_poses import POLL_S, TfPoses, tf2_module
from .volume_view import VolumeView

STATE_S = 1.0
GATES_MAX = 8
"""Pictures of so many sizes may come."""
ARTEFACTS_MAX = 1000
"""Sweeps whose files are remembered."""
NO_CALIBRATION = "no calibration, so no sweeps"
NO_REGION = "no region is configured, so nothing leaves this device"


class UltrasoundNode(StageNode):
    """Live pictures for whoever looks, and sweeps for the gateway."""

    stage = "ultrasound"
    config: UltrasoundConfig

    def __init__(self, **node_options: Any) -> None:
        self._lock = threading.Lock()  # pictures may come in the probe's thread
        self._opening = threading.Lock()  # of gates
        self.recorder: SweepRecorder[Frame] | None = None
        self.frames: SweepFrames | None = None
        self.ages = Ages()
        self.feedback: SweepFeedback | None = None
        self.swept: list[str] = []  # sweeps since start
        self.artefacts: dict[str, dict[str, str]] = {}  # files by sweep, and what they are
        self._live: NewestFirst | None = None
        self._tf: TfPoses | None = None
        self._gate: Gate | None = None
        self._frame_id = ""
        super().__init__(**node_options)

    def set_up(self) -> None:
        config = self.config
        if config.probe_frame:
            tf2_module()
        self.calibration = open_calibration(config.calibration, config.region)
        self.view = LiveView(self._shown())
        self._privacy = read_section(self)
        self._gates: dict[tuple[int, int], Gate] = {}
        self._gate = open_gate(self._privacy, lazily=True)
        self.on_clean_up(self._gate.close)
        self._news = GateNews(self, self._gate)
        self._images = FramePublisher(self, "image_live")
        self._states = self.advertise(UltrasoundState, "ultrasound_state", LATEST)
        self._markers = self.advertise(MarkerArray, "probe", RELIABLE)
        self._sink = SweepTopics(self)
        self._volumes = VolumeView(self, config.reference_frame)
        self.withheld = ""
        if self.calibration is None:
            self.withheld = NO_CALIBRATION
        elif self.calibration.region is None:
            self.withheld = NO_REGION
        else:
            for problem in calibration_problems(self.calibration.matrix):
                self.get_logger().warning(f"calibration: {problem}")
            self.recorder = SweepRecorder(
                self.calibration,
                lambda: self.config.sweep_name or secrets.token_hex(8),
                lag_ms=config.lag_ms + self.calibration.lag_ms,
                limits=PoseLimits(
                    config.pose_speed_max_mm_s,
                    config.pose_turn_max_deg_s,
                    config.pose_gap_max_ms,
                    config.pose_wait_max_ms,
                ),
                idle_ms=config.idle_ms,
            )
        if self.withheld:
            self.get_logger().warning(self.withheld)

    def start(self) -> None:
        config = self.config
        self._live = NewestFirst("live", self._draw)
        self.frames = SweepFrames(
            self._sink, self._gate_of, self.config.error_max, lambda e: self.fault("sweep", e)
        )
        self._turn()
        if config.probe_frame:
            frames = (config.reference_frame, config.probe_frame)
            self._tf = TfPoses(self, *frames, self._on_pose)
            self.every(POLL_S, self._tf.poll)
        else:
            self.listen(PoseStamped, "pose", self._on_pose, POSES)
        self.listen(Artefact, "artefact", self._on_artefact, LASTING)
        listen_to_frames(self, "image_raw", self._on_frame)
        self.every(STATE_S, self._tell)
        self.get_logger().info(f"ultrasound: {settings_text(self.config)}")

    def halt(self) -> None:
        self.finish("stopped")
        if self._tf is not None:
            self._tf.close()
            self._tf = None
        if self._live is not None:
            self._live.stop()
            self._live = None

    def tear_down(self) -> None:
        self.recorder = None
        self.calibration = None

    def reconfigured(self) -> None:
        if self._live is not None:
            self.view.configure(self._shown())
            self._turn()

    def settle(self, timeout_s: float = 1.0) -> None:
        """Wait a moment for poses that are still on their way to the latest pictures."""
        deadline = time.monotonic() + timeout_s
        while self.recorder is not None and self.recorder.waiting and time.monotonic() < deadline:
            time.sleep(0.01)

    def finish(self, reason: str = "source ended") -> list[str]:
        """No more pictures come: end the sweep, and hand on all that waits; names of sweeps."""
        if self.frames is not None:
            with self._lock:
                if self.recorder is not None:
                    self.frames.give(self.recorder.finish(self.now_stamp_ns(), reason))
            self.frames.stop()
            self.frames = None
            self._tell()
        return list(self.swept)

    def health(self) -> Health:
        recorder = self.recorder
        if self._live is None:
            return "ok", "inactive", {}
        told = self.told()
        values = {**told.refused, "told": told.told, "live_p99_ms": told.live_age_p99_ms}
        level, message = "ok", "running"
        if self.withheld:
            level, message = "warn", self.withheld
        elif recorder is not None and recorder.sweep and not recorder.tracked:
            why = (self._tf and self._tf.problem) or recorder.track.problem or "silence"
            level, message = "warn", f"no poses come: {why}"
        elif self._tf is not None and self._tf.problem:
            level, message = "warn", self._tf.problem
        waits = self._privacy.mode == "regions" and not (self._privacy.polygons or self._gates)
        if self._gate is None or waits:  # for the first picture, whose size it depends on
            return level, message, values
        return health_of(self._gate, (level, message, values))

    def told(self) -> convert.UltrasoundTold:
        """What there is to tell."""
        recorder, frames = self.recorder, self.frames
        base = convert.UltrasoundTold(
            live_age_ms=self.ages.last_ms,
            live_age_p99_ms=self.ages.percentile_ms(0.99),
            feedback=self.feedback,
            calibration="" if self.calibration is None else self.calibration.digest,
            withheld=self.withheld,
        )
        if recorder is None:
            return base
        refused = dict(recorder.refused + (frames.refused if frames is not None else Counter()))
        return dataclasses.replace(
            base,
            sweep=recorder.sweep,
            sweeps=recorder.sweeps,
            pictures=recorder.pictures,
            told=recorder.told,
            refused=refused,
            poses=recorder.track.taken,
            poses_refused=dict(recorder.track.refused),
            tracked=recorder.tracked,
            lag_ms=recorder.lag_ms,
        )

    def _shown(self) -> LiveSettings:
        """Of the live picture; ConfigError where a text among them makes no sense."""
        config, calibration = self.config, self.calibration
        return LiveSettings(
            config.gain_db,
            parse_tgc(config.tgc_db),
            config.depth_mm,
            config.freeze,
            config.marker,
            tuple(parse_caliper(text) for text in config.calipers),
            None if calibration is None else calibration.spacing_mm,
            None if calibration is None else calibration.region,
        )

    def _turn(self) -> None:
        with self._lock:
            if self.recorder is not None and self.frames is not None:
                steps = self.recorder.turn(self.config.sweep, self.now_stamp_ns())
                self.frames.give(steps)

    def _on_pose(self, message: PoseStamped) -> None:
        stamp_ns, matrix = convert.pose_from_ros(message)
        with self._lock:
            if self.recorder is not None and self.frames is not None:
                self.frames.give(self.recorder.on_pose(stamp_ns, matrix))
        if matrix is not None and self._markers.get_subscription_count() > 0:
            self._markers.publish(convert.probe_to_ros(message, matrix, self.calibration))

    def _on_frame(self, frame: Frame) -> None:
        frame = eight_bits(frame)
        image = frame.image if frame.image.ndim == 2 else frame.image[..., 1]
        frame = Frame(frame.key, image, "mono8", frame.frame_id)
        self._frame_id = frame.frame_id
        if self._live is not None and self._images.wanted:
            self._live.give(frame)
        size = frame.width_px, frame.height_px
        if self.recorder is not None and size not in self._gates:
            try:
                self._gate_for(size)
            except RecordError as error:
                raise FrameError(str(error)) from None
        with self._lock:
            if self.recorder is not None and self.frames is not None:
                self.frames.give(self.recorder.on_picture(frame.key.stamp_ns, size, frame))

    def _draw(self, frame: Frame) -> None:
        """In the thread of live pictures."""
        try:
            status, warnings = self._words()
            drawn = self.view.draw(frame.image, status, warnings)
            self._images.publish(Frame(frame.key, drawn, "bgr8", frame.frame_id))
            self.ages.add((self.now_stamp_ns() - frame.key.stamp_ns) / 1e6)
        except Exception as error:  # one picture; the thread goes on
            self.fault("live picture", error)

    def _words(self) -> tuple[str, list[str]]:
        recorder, feedback = self.recorder, self.feedback
        if recorder is None:
            return "", [self.withheld]
        sweep = recorder.sweep
        words = f"SWEEP {recorder.sequence}" if sweep else "no sweep"
        words += "" if recorder.tracked else "  NO POSE"
        if feedback is not None and feedback.sweep == sweep:
            words += f"  covered {feedback.covered:.0%}"
            return words, [feedback.words] if feedback.words else []
        return words, []

    def _gate_of(self, begin: SweepBegin) -> Gate:
        """The gate of a sweep."""
        self.swept.append(begin.sweep)
        return self._gate_for((begin.width_px, begin.height_px))

    def _gate_for(self, size: tuple[int, int]) -> Gate:
        """The gate for pictures of this size: with the mode `regions`, the region's rectangle.

        It is opened with the first picture, for what an earlier run has left waits for its promise.
        """
        assert self._gate is not None
        region = None if self.calibration is None else self.calibration.region
        if self._privacy.mode != "regions" or self._privacy.polygons or region is None:
            return self._gate
        with self._opening:
            if size not in self._gates and len(self._gates) < GATES_MAX:
                polygons = (region.polygon(*size),)
                gate = open_gate(dataclasses.replace(self._privacy, polygons=polygons))
                self.on_clean_up(gate.close)
                self._gates[size] = gate
            if size not in self._gates:
                raise RecordError(f"pictures: expected {GATES_MAX} sizes at most, got {size} too")
            gate = self._gates[size]
            if gate is not self._gate:
                self._gate = gate
                self._news.follow(gate)
        return gate

    def _on_artefact(self, message: Artefact) -> None:
        sweep, _, what = message.name.partition(".")
        if what and len(self.artefacts) < ARTEFACTS_MAX:
            self.artefacts.setdefault(sweep, {})[what] = message.path
        self._volumes.take(message)
        if message.kind != FEEDBACK:
            return
        try:
            self.feedback = SweepFeedback.from_bytes(bytes(message.data))
        except RecordError as error:
            self.get_logger().warning(f"artefact {FEEDBACK}: {error}", throttle_duration_sec=5.0)

    def _tell(self) -> None:
        self._news.tell()
        self._states.publish(
            convert.ultrasound_to_ros(self.told(), self.now_stamp_ns(), self._frame_id)
        )


def main() -> int:
    """Entry point of the executable `ultrasound`."""
    return run(UltrasoundNode)
