"""The compression node: encodes the frames and features that are sent away -> `packet`."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from std_msgs.msg import Float32

from ..compression import FeatureEncoder, StreamEncoder
from ..config import CompressionConfig
from ..errors import CodecError, MessageError, ModelError, Withheld
from ..inference import load_bundle
from ..inference.coding import qualities_of
from ..msg import Decision, Features, FrameKey, InferenceResult, LinkState, Packet
from ..privacy.gate import OFF
from ..types import LEFT_OUT, Detections, Frame, Result, Route
from ..types import FrameKey as FrameKeyValue
from ..types import Packet as PacketValue
from . import convert
from .frames import STREAM, listen_to_frames
from .lifecycle import RELIABLE, Health, StageNode, settings_text
from .looking import Shower
from .naming import as_named
from .privacy import SECTION, GateNews, health_of, open_node_gate
from .process import run
from .ring import FrameRing

WAITING_MAX = 16
"""Frames waiting to be encoded; those beyond are answered by the device itself."""

SIZE_CHANGED = 0.1
"""The expected size of a frame is told anew where it has changed by this share."""

GATE_S = 1.0
"""How often the state of the gate is told, and one that is shut is tried again."""


class CompressionNode(StageNode):
    """Encodes against what the gateway has acknowledged.

    The encoder belongs to one thread; frames and news of the link reach it as tasks, in order.
    """

    stage = "compression"
    config: CompressionConfig

    def __init__(self, **node_options: Any) -> None:
        self._thread: threading.Thread | None = None
        self._encoder: StreamEncoder | None = None
        self.sent: dict[str, list[int]] = {}  # by kind: packets and their bytes
        self.encoded = 0
        self.refused = 0
        super().__init__(**node_options)

    def set_up(self) -> None:
        self._gate = open_node_gate(self)
        self.on_clean_up(self._gate.close)
        self._encoder = StreamEncoder(self.config, STREAM, qualities=self._measured())
        self._feature_encoder = FeatureEncoder()
        self._ring: FrameRing[Decision] = FrameRing(self.config.ring_frames)
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._packets = self.advertise(Packet, "packet")
        self._failures = self.advertise(InferenceResult, "cloud_result")
        self._sizes = self.advertise(Float32, "next_bytes")
        self._size_told = math.nan
        self._news = GateNews(self, self._gate)
        self._newest: Frame | None = None
        self._shower = Shower(self, self._gate, frame_of=self._ring.get, do=self._add_if_idle)

    def _measured(self) -> dict[str, int]:
        """By codec, the quality that was measured to be good enough for the network."""
        if not self.config.bundle:
            return {}
        try:
            return qualities_of(load_bundle(self.config.bundle))
        except ModelError as error:
            self.get_logger().warning(f"qualities as by default: {error}")
            return {}

    def start(self) -> None:
        self._thread = threading.Thread(target=self._work, name="encode", daemon=True)
        self._thread.start()
        self.listen(Decision, "decision", self._on_decision, RELIABLE)
        self.listen(Features, "features", self._on_features, RELIABLE)
        self.listen(LinkState, "link", self._on_link, RELIABLE)
        self.listen(FrameKey, "renew", self._on_renew, RELIABLE)
        self._shower.start()
        listen_to_frames(self, "image_raw", self._on_frame)
        self.every(GATE_S, self._look_at_gate)
        self._news.tell_change()
        self.get_logger().info(f"encoding: {settings_text(self.config)}")

    def halt(self) -> None:
        if self._thread is not None:
            self._tasks.put(None)
            self._thread.join()
            self._thread = None
        if self._encoder is not None:
            self._encoder.close()

    def reconfigured(self) -> None:
        if self._encoder is not None:
            self._tasks.put(partial(self._then_tell_size, self._encoder.configure, self.config))

    def health(self) -> Health:
        level, message, values = super().health()
        if self._encoder is None:
            return level, message, values
        counts = {"encoded": self.encoded, "refused": self.refused}
        values = {**values, **counts, "coding": self._encoder.in_force}
        return health_of(self._gate, (level, message, values))

    def _look_at_gate(self) -> None:
        """Tell how it is; one that is shut is tried with the newest frame, which does not leave."""
        self._news.tell()
        if self._gate.shut and self._newest is not None and self._tasks.empty():
            self._tasks.put(partial(self._probe, self._newest))

    def _probe(self, frame: Frame) -> None:
        self._gate.probe(frame)
        self._news.tell_change()

    def told(self) -> dict[str, Any]:
        """What frames are encoded with, and what was made: for the report of a run."""
        coding = "" if self._encoder is None else self._encoder.in_force
        kinds = {kind: tuple(counts) for kind, counts in sorted(self.sent.items())}
        return {"coding": coding, "packets": kinds}

    def _on_frame(self, frame: Frame) -> None:
        self._newest = frame
        for decision in self._ring.put(frame):
            self._enqueue(as_named(frame, _key(decision)), decision)
        self._shower.on_frame(frame)

    def _on_decision(self, message: Decision) -> None:
        convert.check_deadline(message.deadline_ms, "decision")
        if message.route != Route.CLOUD.value:
            return
        frame = self._ring.request(_key(message), message)
        if frame is not None:
            self._enqueue(as_named(frame, _key(message)), message)

    def _on_renew(self, message: FrameKey) -> None:
        """A delta has gone to the spool: its frame is encoded anew, whole, to take its place."""
        key = convert.frame_key_from_ros(message, STREAM)
        frame = self._ring.get(key)
        if frame is not None:
            decision = Decision(
                header=message.header, id=message.id, route=Route.CLOUD.value, archive=True
            )
            self._enqueue(as_named(frame, key), decision)

    def _on_features(self, message: Features) -> None:
        self._add(partial(self._encode_features, message, time.monotonic()))

    def _enqueue(self, frame: Frame, decision: Decision) -> None:
        if not self._add(partial(self._encode, frame, decision)) and not decision.archive:
            self._fail(frame.key, Route.CLOUD, f"{WAITING_MAX} frames wait to be encoded")

    def _add(self, task: Callable[[], None]) -> bool:
        """Let the thread do it, unless too much waits; whether it will."""
        if self._tasks.qsize() >= WAITING_MAX:
            self.refused += 1
            self._gate.overload()
            self.get_logger().warning(
                f"{WAITING_MAX} frames wait to be encoded, one more is left to this device",
                throttle_duration_sec=5.0,
            )
            return False
        self._tasks.put(task)
        return True

    def _add_if_idle(self, task: Callable[[], None]) -> bool:
        """As `_add`, of what gives way to all frames."""
        idle = self._tasks.empty()
        if idle:
            self._tasks.put(task)
        return idle

    def _on_link(self, message: LinkState) -> None:
        """What the gateway holds and knows changes what the next frame may rest on."""
        assert self._encoder is not None
        self._tasks.put(
            partial(
                self._then_tell_size,
                self._encoder.follow,
                session=message.session,
                codecs=tuple(message.codecs),
                acknowledged=(
                    convert.stamp_from_ros(message.acknowledged),
                    message.acknowledged_id,
                ),
                key_frame_needed=message.key_frame_needed,
                key_frames_asked=message.key_frames_asked,
                goodput_bps=message.goodput_bps,
            )
        )

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            self._do(task)

    def _do(self, task: Callable[[], None]) -> None:
        try:
            task()
        except Exception as error:  # the thread must outlive whatever is wrong with one frame
            self.get_logger().error(f"encoding failed: {type(error).__name__}: {error}")

    def _encode(self, frame: Frame, decision: Decision) -> None:
        assert self._encoder is not None
        began = time.perf_counter()
        if not decision.archive and not self._encoder.fit(decision.deadline_ms, time.monotonic()):
            self._fail(frame.key, Route.CLOUD, LEFT_OUT)
            return
        try:
            cleared = self._gate.clear(frame, late=decision.archive)
            packet = self._encoder.encode(cleared, hard=decision.hard, late=decision.archive)
        except Withheld as error:
            self._hold_back(frame.key, Route.CLOUD, error, told=not decision.archive)
            return
        except CodecError as error:
            self.get_logger().error(f"frame {frame.key.stamp_ns}: {error}")
            return
        self._count(packet)
        if not decision.archive:
            self._shower.pace.sent_live(time.monotonic())
        encode_ms = (time.perf_counter() - began) * 1e3
        coding = "" if decision.archive else self._encoder.in_force
        message = convert.packet_to_ros(packet, frame.frame_id, encode_ms, coding)
        message.deadline_ms = decision.deadline_ms
        if message.deadline_ms and self._gate.mode != OFF:
            message.deadline_ms = max(1.0, message.deadline_ms - encode_ms)
        self._packets.publish(message)
        self._tell_size()
        self._news.tell_change()

    def _then_tell_size(self, change: Callable[..., None], *given: Any, **named: Any) -> None:
        """A key that is due, or another quality, is reckoned with before the frame that has it."""
        change(*given, **named)
        self._tell_size()

    def _tell_size(self) -> None:
        """Tell what the encoder expects of the next frame, where that is another by a tenth."""
        assert self._encoder is not None
        size, before = self._encoder.next_bytes, self._size_told
        if math.isnan(size) and math.isnan(before):
            return
        if not abs(size - before) <= SIZE_CHANGED * before:
            self._size_told = size
            self._sizes.publish(Float32(data=size))

    def _hold_back(
        self, key: FrameKeyValue, route: Route, error: Withheld, *, told: bool = True
    ) -> None:
        """A frame that may not leave: the arbiter hears at once, and gives it to this device."""
        reason = f"{SECTION}: withheld: {error}"
        self.get_logger().warning(f"frame {key.stamp_ns}: {reason}", throttle_duration_sec=5.0)
        if told:
            self._fail(key, route, reason)
        self._news.tell_change()

    def _fail(self, key: FrameKeyValue, route: Route, reason: str) -> None:
        """The arbiter hears at once that a frame does not leave."""
        failure = Result(key, route, Detections.empty(), error=reason)
        self._failures.publish(convert.result_to_ros(failure, ""))

    def _count(self, packet: PacketValue) -> None:
        self.encoded += 1
        counts = self.sent.setdefault(packet.kind.value, [0, 0])
        counts[0] += 1
        counts[1] += len(packet.payload)

    def _encode_features(self, message: Features, received: float) -> None:
        began = time.perf_counter()
        try:
            features = convert.features_from_ros(message, STREAM)
            cleared = self._gate.clear_features(features)
            packet = self._feature_encoder.encode(
                cleared, encoding=message.encoding, hard=message.hard
            )
        except Withheld as error:
            self._hold_back(features.key, Route.SPLIT, error)
            return
        except (CodecError, MessageError) as error:
            self.get_logger().error(f"features: {error}")
            return
        self._count(packet)
        made = convert.packet_to_ros(
            packet, message.header.frame_id, (time.perf_counter() - began) * 1e3
        )
        if message.deadline_ms:
            waited_ms = (time.monotonic() - received) * 1e3
            made.deadline_ms = max(1.0, message.deadline_ms - waited_ms)
        self._packets.publish(made)


def _key(decision: Decision) -> FrameKeyValue:
    """The frame that a decision is about."""
    return convert.key_from_ros(decision.header, STREAM, decision.id)


def main() -> int:
    """Entry point of the executable `compression`."""
    return run(CompressionNode)
