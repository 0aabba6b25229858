"""The traffic node: `result` -> `crossing`, `flow`, `record`; plans of signals are shown safely."""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter
from typing import Any

from visualization_msgs.msg import MarkerArray

from ..config import TrafficConfig
from ..msg import Artefact, InferenceResult, SignalPlan, TrafficFlow, VehicleCrossing
from ..msg import Record as RecordMsg
from ..pictures import eight_bits
from ..pipeline.traffic.device import TrafficDevice
from ..pipeline.traffic.device.cascade import PlateCascade
from ..pipeline.traffic.device.log import EventLog
from ..pipeline.traffic.device.signals import SignalShow
from ..pipeline.traffic.device.view import draw_traffic
from ..pipeline.traffic.events import Crossing, Event, Presence
from ..pipeline.traffic.plates.hashing import PlateHasher, default_key_path
from ..pipeline.traffic.site.file import load_site
from ..privacy import ClearedFrame
from ..types import Frame, Result
from . import convert
from .clearing import Clearing
from .frames import STREAM, FramePublisher, listen_to_frames
from .lifecycle import LASTING, LATEST, RELIABLE, Health, StageNode, settings_text
from .naming import picture_of
from .plate_worker import PlateWorker
from .privacy import health_of, open_node_gate
from .process import run
from .ring import FrameRing

RING_FRAMES = 24
SIGNAL_PERIOD_S = 0.2


class TrafficNode(StageNode):
    """Traffic: what crosses, turns, waits; plates as hashes; signals by plan or statically."""

    stage = "traffic"
    config: TrafficConfig

    def __init__(self, **node_options: Any) -> None:
        self.device: TrafficDevice | None = None
        self._log: EventLog | None = None
        self._worker: PlateWorker | None = None
        self._lock = threading.Lock()  # frames and plates come in threads of their own
        super().__init__(**node_options)

    def set_up(self) -> None:
        config = self.config
        site = load_site(config.site)
        self._show = SignalShow.open(config.junction, self._now_ns()) if config.junction else None
        hasher = None
        if config.plates != "off":
            hasher = PlateHasher(config.plate_key_path or default_key_path(), config.plate_key_days)
            hasher.hash("", self._now_ns())  # so that a file that cannot be written shows now
        self.device = TrafficDevice(config, site, hasher)
        if config.plates != "off":
            self._worker = PlateWorker(PlateCascade.open(config), config, self._on_plate)
        self._gate = open_node_gate(self, lazily=True)
        self.on_clean_up(self._gate.close)
        self._clearing = Clearing(self, self._gate)
        self._log = EventLog(config.log_path) if config.log_path else None
        self._ring: FrameRing[None] = FrameRing(RING_FRAMES)
        self._events: Counter[str] = Counter()
        self._run = f"{self._now_ns():x}"
        self._records = self.advertise(RecordMsg, "record", LASTING)
        self._crossings = self.advertise(VehicleCrossing, "crossing", RELIABLE)
        self._flow = self.advertise(TrafficFlow, "flow", LATEST)
        self._markers = self.advertise(MarkerArray, "markers", RELIABLE)
        self._plan = self.advertise(SignalPlan, "signal_plan", LATEST)
        self._annotated = FramePublisher(self, "image_annotated")
        self._drawing = False

    def start(self) -> None:
        listen_to_frames(self, "image_raw", self._on_frame)
        self.listen(InferenceResult, "result", self._on_result, RELIABLE, watch=True)
        if self._show is not None:
            self.listen(Artefact, "artefact", self._on_artefact, LASTING)
            self._timer = self.create_timer(SIGNAL_PERIOD_S, self._show_signals)
        if self._worker is not None:
            self._worker.start()
        self.get_logger().info(f"watching traffic: {settings_text(self.config)}")

    def halt(self) -> None:
        if self._show is not None:
            self.destroy_timer(self._timer)
        if self._worker is not None:
            self._worker.stop()
        if self.device is not None:
            self._clearing.finish()

    def tear_down(self) -> None:
        if self._log is not None:
            self._log.close()
            self._log = None
        if self._worker is not None:
            self._worker.close()
            self._worker = None
        self.device = None

    def reconfigured(self) -> None:
        if self.device is not None:
            self.device.configure(self.config)

    def health(self) -> Health:
        if self.device is None:
            return "ok", "inactive", {}
        state = self.device.watch.state
        values: dict[str, Any] = {"camera": state, **self.told()["events"]}
        if self._worker is not None:
            values |= self._worker.told()
        good = ("ok", "running", values) if self.device.trusted else ("warn", state, values)
        return health_of(self._gate, good) if self._drawing else good

    def told(self) -> dict[str, Any]:
        """What has been counted since start."""
        counts = {} if self.device is None else self.device.counts
        return {
            "events": dict(self._events),
            "crossings": {" ".join(key): n for key, n in sorted(counts.items())},
            "plates": {} if self._worker is None else self._worker.told(),
        }

    def finish(self) -> int:
        """No more frames come: tell what waits; returns how many crossings there are."""
        assert self.device is not None
        with self._lock:
            self._give(self.device.finish())
            self._clearing.finish()
            return sum(self.device.counts.values())

    def _on_frame(self, frame: Frame) -> None:
        self._ring.put(eight_bits(frame))

    def _on_result(self, message: InferenceResult) -> None:
        assert self.device is not None
        result = convert.result_from_ros(message, STREAM)
        result = dataclasses.replace(result, key=picture_of(result.key))
        frame = self._ring.get(result.key)
        if frame is None or result.error or not result.final:
            return  # a frame without detections says nothing, not even that the road is empty
        with self._lock:
            stamp_ns = frame.key.stamp_ns
            self._give(self.device.on_frame(stamp_ns, frame.image, result.detections))
            wanted = self.device.wanted() if self._worker is not None else []
            views = list(self.device.views)
        if wanted and self._worker is not None:
            self._worker.offer(frame.image, wanted)
        if self._markers.get_subscription_count() > 0:
            self._markers.publish(convert.markers_to_ros(result.detections, message.header))
        self._drawing = self._annotated.wanted
        if self._drawing:
            self._clearing.submit(frame, lambda cleared: self._draw(cleared, result, views))

    def _draw(self, cleared: ClearedFrame, result: Result, views: list[Any]) -> None:  # noqa: ARG002
        assert self.device is not None
        frame = cleared.frame
        shown = None if self._show is None else self._show.latest
        drawn = draw_traffic(frame.image, self.device, views, shown)
        self._annotated.publish(Frame(frame.key, drawn, "bgr8", frame.frame_id))

    def _on_plate(self, track: int, width_px: float, reading: Any) -> None:
        with self._lock:
            if self.device is not None:
                self.device.on_plate(track, width_px, reading)

    def _give(self, events: list[Event]) -> None:
        assert self.device is not None
        for event in events:
            self._events[event.KIND] += 1
            self._records.publish(convert.record_to_ros(event.to_record(self._run)))
            if self._log is not None:
                self._log.write(event)
            if isinstance(event, Crossing):
                self._crossings.publish(convert.crossing_to_ros(event))
            elif isinstance(event, Presence):
                crossed: Counter[str] = Counter()
                for (_, lane, _, _), count in self.device.counts.items():
                    crossed[lane] += count
                state = self.device.watch.state
                self._flow.publish(convert.flow_to_ros(event, crossed, state))

    def _on_artefact(self, message: Artefact) -> None:
        assert self._show is not None
        refused = self._show.offer(message.kind, message.name, bytes(message.data), self._now_ns())
        if refused:
            self.get_logger().warning(f"signal plan: {refused}")

    def _show_signals(self) -> None:
        assert self._show is not None
        assert self.device is not None
        with self._lock:
            trusted, occupied = self.device.trusted, self.device.occupied
        shown = self._show.step(self._now_ns(), trusted=trusted, occupied=occupied)
        if shown is not None:
            message = convert.signal_to_ros(self._show.junction.name, shown, self._now_ns())
            self._plan.publish(message)

    def _now_ns(self) -> int:
        return int(self.get_clock().now().nanoseconds)


def main() -> int:
    """Entry point of the executable `traffic`."""
    return run(TrafficNode)
