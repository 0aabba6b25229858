"""Records what a pipeline says of itself as MCAP, which Foxglove opens and `mastra replay` reads.

Messages are kept as ROS has them (CDR, with their definitions). Pictures are those for who looks at
a device: cleared by the gate of privacy, with what was found drawn on them, two a second at most.
Records, which may hold plates, are not kept.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Float32

from ...compression.payload import unpack
from ...errors import ConfigError, DependencyError, MastraError
from ...msg import (
    Decision,
    InferenceResult,
    InspectionVerdict,
    LinkState,
    LoadState,
    Packet,
    PrivacyState,
    ScheduleState,
)
from ...private_files import open_private
from .. import convert
from ..frames import STREAM
from ..lifecycle import RELIABLE
from .monitor import EARLIER_TOO, EVERYTHING
from .reading import message_type

TOPICS: dict[str, tuple[type, QoSProfile]] = {
    "result": (InferenceResult, EVERYTHING),
    "late_result": (InferenceResult, EVERYTHING),
    "decision": (Decision, EARLIER_TOO),
    "schedule": (ScheduleState, EVERYTHING),
    "link": (LinkState, EVERYTHING),
    "load": (LoadState, EVERYTHING),
    "verdict": (InspectionVerdict, EARLIER_TOO),
    "privacy": (PrivacyState, EARLIER_TOO),
}
PICTURES = "picture"
BYTES_MAX = 2**30
"""Of the file; beyond it nothing more is recorded."""
LOOK_S, LOOK_AGAIN_S = 4.0, 1.5
"""Pictures are wished for so long, so often."""
_PLAIN = {"boolean": "bool", "float": "float32", "double": "float64", "octet": "byte"}
_FIELD = re.compile(r"(?:sequence<)?([^<>,\[\]]+?)(?:<\d+>)?(?:, *\d+)?>?(\[\d+\])?")


class Recording:
    """The file; one thread at a time. After an error, or when it is full, it takes no more."""

    def __init__(self, path: Path, bytes_max: int = BYTES_MAX) -> None:
        """Raises ConfigError where the file cannot be written, DependencyError without mcap."""
        try:
            from mcap.writer import CompressionType, Writer
        except ImportError as error:
            raise DependencyError(f'{error}: pip install "mastra_ros[record]"') from error
        try:
            self._file = os.fdopen(open_private(path), "wb")
            self._file.truncate(0)
        except OSError as error:
            raise ConfigError(f"--record: {path}: {error.strerror}") from error
        self.ended = ""
        self._path, self._bytes_max = path, bytes_max
        self._channels: dict[str, int] = {}
        self._writer: Any = Writer(self._file, compression=CompressionType.NONE)
        self._writer.start(profile="ros2", library="mastra")

    def add(self, topic: str, message: Any, at_ns: int) -> None:
        """Keep a message."""
        if self.ended:
            return
        data = serialize_message(message)
        try:
            if topic not in self._channels:
                self._channels[topic] = self._channel(topic, type(message))
            self._writer.add_message(self._channels[topic], at_ns, data, at_ns)
            if self._file.tell() + len(data) > self._bytes_max:
                self._end(f"{self._path} has {self._bytes_max} bytes")
        except OSError as error:
            self._end(f"{self._path}: {error.strerror}")

    def close(self) -> None:
        """Write the index and close; a second call does nothing."""
        self._end("closed")

    def _end(self, why: str) -> None:
        if self.ended:
            return
        self.ended = why
        try:
            self._writer.finish()
            self._file.close()
        except OSError as error:
            self.ended = f"{self._path}: {error.strerror}"

    def _channel(self, topic: str, kind: type) -> int:
        schema = self._writer.register_schema(
            name=_name(kind), encoding="ros2msg", data=definition(kind).encode()
        )
        return int(self._writer.register_channel(topic, "cdr", schema))


class RecorderNode(Node):
    """Hears the topics of a pipeline and keeps what they say."""

    def __init__(self, recording: Recording, **node_options: Any) -> None:
        super().__init__("recorder", **node_options)
        self._recording = recording
        self._told = False

        def hear(topic: str, kind: type, qos: QoSProfile) -> None:
            name = self.resolve_topic_name(topic)
            self.create_subscription(kind, topic, lambda m: self._keep(name, m), qos)

        for topic, (kind, qos) in TOPICS.items():
            hear(topic, kind, qos)
        self.create_subscription(Packet, "seen", self._on_seen, RELIABLE)
        looks = self.create_publisher(Float32, "look", RELIABLE)
        self.create_timer(LOOK_AGAIN_S, lambda: looks.publish(Float32(data=LOOK_S)))

    def _on_seen(self, message: Packet) -> None:
        """A picture for who looks; where there is none, it says why instead."""
        if not message.clearance or not message.payload:
            return
        try:
            still, _ = unpack(convert.packet_from_ros(message, STREAM))
        except (MastraError, ValueError):
            return
        if still.codec == "jpeg":
            picture = CompressedImage(header=message.header, format="jpeg", data=still.still)
            self._keep(self.resolve_topic_name(PICTURES), picture)

    def _keep(self, topic: str, message: Any) -> None:
        self._recording.add(topic, message, time.time_ns())
        if self._recording.ended and not self._told:
            self._told = True
            self.get_logger().warning(f"nothing more is recorded: {self._recording.ended}")


def definition(kind: type) -> str:
    """The definition of a message and of all that is in it, as `ros2msg` has it."""
    texts: dict[str, str] = {}
    _define(kind, texts)
    first, *others = texts.items()
    line = "=" * 80
    return first[1] + "".join(f"{line}\nMSG: {name}\n{text}" for name, text in others)


def _define(kind: type, texts: dict[str, str]) -> None:
    message: Any = kind
    lines = []
    texts[_short(kind)] = ""
    for field, told in message.get_fields_and_field_types().items():
        match = _FIELD.fullmatch(told)
        assert match is not None, told
        name, size = match[1], match[2] or ("[]" if told.startswith("sequence<") else "")
        lines.append(f"{_PLAIN.get(name, name)}{size} {field}\n")
        if "/" in name and name not in texts:
            _define(_type(name), texts)
    texts[_short(kind)] = "".join(lines)


def _type(name: str) -> type:
    found = message_type(name.replace("/", "/msg/", 1))
    assert found is not None, name
    return found


def _short(kind: type) -> str:
    return f"{kind.__module__.split('.')[0]}/{kind.__name__}"


def _name(kind: type) -> str:
    return _short(kind).replace("/", "/msg/", 1)
