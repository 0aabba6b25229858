"""A recording of topics: whole, private, bounded, and read and published again."""

from __future__ import annotations

import argparse
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("mcap", reason="mcap is not installed: nothing is recorded")

from mcap.reader import make_reader
from std_msgs.msg import Float32

from mastra_ros import msg
from mastra_ros.cli import replay
from mastra_ros.compression.view import encode_view
from mastra_ros.errors import DataError
from mastra_ros.nodes import convert
from mastra_ros.nodes.lifecycle import RELIABLE
from mastra_ros.nodes.run.monitor import EARLIER_TOO, EVERYTHING
from mastra_ros.nodes.run.reading import read_message
from mastra_ros.nodes.run.record import TOPICS, RecorderNode, Recording, definition
from mastra_ros.privacy import hiding_nothing
from mastra_ros.types import Frame, FrameKey


def seen() -> msg.Packet:
    """A picture as nodes make it for who looks."""
    frame = Frame(FrameKey("main", 7), np.full((48, 64), 120, np.uint8), "mono8")
    return convert.packet_to_ros(encode_view(hiding_nothing("made up").clear(frame)), "camera")


def result(age_ms: float, origin: str = "local") -> msg.InferenceResult:
    found = [msg.Detection(label="spot", score=0.5)] if hasattr(msg.Detection(), "label") else []
    return msg.InferenceResult(origin=origin, final=True, age_ms=age_ms, detections=found)


def test_what_is_heard_is_recorded_and_what_nobody_may_see_is_not(
    ros: Any,
    tmp_path: Path,
    wait_until: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    fresh_ros_domain: int,
) -> None:
    path = tmp_path / "run.mcap"
    recording = Recording(path)
    kept: list[str] = []
    add = recording.add
    recording.add = lambda topic, *more: (add(topic, *more), kept.append(topic))  # type: ignore[assignment]
    ros.add(RecorderNode(recording, **ros.plain))
    mouth = ros.node("mouth")
    results = mouth.create_publisher(msg.InferenceResult, "result", EVERYTHING)
    packets = mouth.create_publisher(msg.Packet, "seen", RELIABLE)
    looks: list[Float32] = []
    mouth.create_subscription(Float32, "look", looks.append, RELIABLE)
    states = mouth.create_publisher(msg.PrivacyState, "privacy", EARLIER_TOO)
    wait_until(
        lambda: results.get_subscription_count() and packets.get_subscription_count(), "heard"
    )
    wait_until(lambda: looks and looks[0].data > 0, "pictures are wished for")
    bare, damaged = seen(), seen()
    bare.clearance = ""
    damaged.payload = bytes(damaged.payload)[:-1] + b"x"
    for packet in (bare, damaged, msg.Packet(meta="withheld: the gate is shut"), seen()):
        packets.publish(packet)
    states.publish(msg.PrivacyState())
    for age_ms in (10.0, 20.0, 30.0):
        results.publish(result(age_ms, "cloud" if age_ms == 30.0 else "local"))
    wait_until(lambda: len(kept) == 5, "all are kept")
    recording.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with path.open("rb") as file:
        told = [(c.topic, s.name, m.data) for s, c, m in make_reader(file).iter_messages()]
    assert sorted(kept) == sorted(topic for topic, _, _ in told)
    (picture,) = [read_message(kind, data) for topic, kind, data in told if topic == "/picture"]
    still = cv2.imdecode(np.frombuffer(picture.data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert still.shape[:2] == (48, 64)
    assert picture.format == "jpeg"
    heard: list[Any] = []
    ros.node("again").create_subscription(
        msg.InferenceResult, "/replay/result", heard.append, EVERYTHING
    )
    monkeypatch.setenv("ROS_DOMAIN_ID", str(fresh_ros_domain))
    options = {"recording": path, "publish": True, "speed": 100.0, "namespace": "/replay"}
    assert replay.run(argparse.Namespace(**options)) == 0
    assert "published 5 messages" in capsys.readouterr().out
    wait_until(lambda: len(heard) == 3, "the results are heard again")
    assert [one.age_ms for one in heard] == [10.0, 20.0, 30.0]
    lines = replay.summary(path)
    assert "results: local 66.7%, cloud 33.3%; 0 failed" in "\n".join(lines)
    assert "p50 20.0 ms" in lines[-1]


def test_a_definition_names_all_that_is_in_a_message() -> None:
    for kind, _ in TOPICS.values():
        text = definition(kind)
        assert "<" not in text
        assert "sequence" not in text
    text = definition(msg.InferenceResult)
    assert "MSG: mastra_ros/Detection\n" in text
    assert "MSG: builtin_interfaces/Time\n" in text
    assert "mastra_ros/Detection[] detections\n" in text
    assert "string[] labels\n" in text


def test_a_full_recording_takes_no_more_and_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "small.mcap"
    recording = Recording(path, bytes_max=200_000)
    for number in range(20_000):
        recording.add("/result", result(float(number)), number)
    assert "bytes" in recording.ended
    recording.close()
    assert path.stat().st_size < 1_500_000
    assert "messages in" in replay.summary(path)[0]


def test_a_file_that_is_no_recording_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "bad.mcap"
    for data in (b"", b"nonsense" * 100):
        path.write_bytes(data)
        with pytest.raises(DataError, match="no recording"):
            replay.summary(path)
    with pytest.raises(DataError, match="cannot be read"):
        replay.run(argparse.Namespace(recording=tmp_path / "none", speed=1.0, publish=False))
