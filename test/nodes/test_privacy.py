"""The gate inside the nodes: what is held back is answered here at once, and everybody hears it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.parameter import Parameter

from mastra_ros.compression import Decoder
from mastra_ros.config import PrivacyConfig
from mastra_ros.errors import ConfigError
from mastra_ros.msg import Decision, Features, InferenceResult, Packet, PrivacyState
from mastra_ros.nodes import convert, privacy
from mastra_ros.nodes.compression import CompressionNode
from mastra_ros.nodes.lifecycle import LATEST, RELIABLE
from mastra_ros.nodes.pipeline import PipelineNode
from mastra_ros.nodes.privacy import given_of, read_section
from mastra_ros.privacy import Gate, Opened, Region
from mastra_ros.types import Features as FeaturesValue
from mastra_ros.types import Frame, FrameKey, Result, Route

HIDING: dict[str, Any] = {"finders": ["fake"]}


class Finder:
    """Finds one face, or raises."""

    name, digest = "fake", "0" * 64
    broken = False
    searched = 0

    def find(self, _: Any) -> list[Region]:
        self.searched += 1
        if self.broken:
            raise RuntimeError("the finder is broken")
        return [Region(8, 8, 32, 32, "face", 0.9)]

    def close(self) -> None:
        """Nothing to free."""


@pytest.fixture
def finder(monkeypatch: pytest.MonkeyPatch) -> Finder:
    made = Finder()
    monkeypatch.setattr(
        privacy, "open_gate", lambda config, **how: Gate(config, lambda _: Opened([made]), **how)
    )
    return made


class Line:
    """A compression node, and what it says."""

    def __init__(self, ros: Any, **options: Any) -> None:
        self.node = ros.add(CompressionNode(**{**ros.options, "privacy": HIDING, **options}))
        self.around = ros.node("around")
        self.packets = self.hear(Packet, "packet", RELIABLE)
        self.failures = self.hear(InferenceResult, "cloud_result", RELIABLE)
        self.states = self.hear(PrivacyState, "privacy", LATEST)
        self.reports = self.hear(DiagnosticArray, "/diagnostics", RELIABLE)
        assert self.node.autostart()

    def hear(self, message: type, topic: str, qos: Any) -> list[Any]:
        heard: list[Any] = []
        self.around.create_subscription(message, topic, heard.append, qos)
        return heard

    def send(self, stamp_ns: int, **decision: Any) -> None:
        key = FrameKey("main", stamp_ns)
        image = np.random.default_rng(stamp_ns).integers(0, 256, (48, 64), np.uint8)
        self.node._on_frame(Frame(key, image, "mono8"))
        header = convert.header_to_ros(key, "lens")
        self.node._on_decision(Decision(header=header, route=Route.CLOUD.value, **decision))

    def ready(self, wait_until: Callable[..., None]) -> None:
        for publisher in (self.node._packets, self.node._failures):
            wait_until(lambda p=publisher: p.get_subscription_count() > 0, "a listener")

    def values(self) -> dict[str, str]:
        mine = [s for r in self.reports for s in r.status if s.name.endswith("compression")]
        return {v.key: v.value for v in mine[-1].values} if mine else {}

    def level(self) -> int:
        mine = [s for r in self.reports for s in r.status if s.name.endswith("compression")]
        return int.from_bytes(mine[-1].level, "little") if mine else -1


@pytest.fixture
def line(ros: Any, finder: Finder, wait_until: Callable[..., None]) -> Iterator[Line]:
    made = Line(ros)
    made.ready(wait_until)
    yield made
    made.node.close()


def test_a_packet_carries_the_masked_picture_and_its_clearance(
    line: Line, wait_until: Callable[..., None]
) -> None:
    line.send(5, deadline_ms=500.0)
    wait_until(lambda: line.packets, "a packet")
    packet = convert.packet_from_ros(line.packets[0], "main")
    assert packet.clearance == line.node._gate.clearance
    part = Decoder().decode(packet).image[8:40, 8:40]
    truth = np.random.default_rng(5).integers(0, 256, (48, 64), np.uint8)[8:40, 8:40]
    assert np.corrcoef(part.ravel(), truth.ravel())[0, 1] < 0.35
    assert 1.0 <= line.packets[0].deadline_ms < 500.0  # what the search took is counted in


def test_a_frame_that_is_held_back_fails_at_once_is_counted_and_told(
    line: Line, finder: Finder, wait_until: Callable[..., None]
) -> None:
    finder.broken = True
    for stamp_ns in (1, 2, 3):
        line.send(stamp_ns)
    wait_until(lambda: len(line.failures) == 3, "its failure, so that the device answers itself")
    assert all(f.error.startswith("privacy: withheld") for f in line.failures)
    assert {f.origin for f in line.failures} == {"cloud"}
    assert not line.packets
    wait_until(lambda: any(not s.open for s in line.states), "that the gate is shut")
    shut = next(s for s in line.states if not s.open)
    assert (shut.withheld, shut.sent) == (3, 0)
    assert "the finder is broken" in shut.reason
    wait_until(lambda: line.values().get("privacy_withheld") == "3", "the count in diagnostics")
    assert line.level() == 2


def test_a_shut_gate_is_tried_with_frames_that_do_not_leave_and_opens_again(
    line: Line, finder: Finder, wait_until: Callable[..., None]
) -> None:
    finder.broken = True
    for stamp_ns in (1, 2, 3):
        line.send(stamp_ns)
    wait_until(lambda: any(not s.open for s in line.states), "that the gate is shut")
    finder.broken = False
    wait_until(lambda: line.states[-1].open, "that it is open, though no frame is sent")
    assert not line.packets
    line.send(4)
    wait_until(lambda: line.packets, "a packet")


def test_a_frame_for_the_spool_that_is_held_back_fails_nobody(
    line: Line, finder: Finder, wait_until: Callable[..., None]
) -> None:
    finder.broken = True
    line.send(1, archive=True)
    wait_until(lambda: line.node._gate.withheld == 1, "it held back")
    line.send(2)
    wait_until(lambda: line.failures, "the failure of the live one")
    assert [convert.stamp_from_ros(f.header.stamp) for f in line.failures] == [2]


def test_features_are_held_back_unless_they_may_leave(
    line: Line, wait_until: Callable[..., None]
) -> None:
    of = FeaturesValue(FrameKey("main", 3), "c1", np.zeros((2, 3), np.int8), 0.1, 0, 64, 48)
    message: Features = convert.features_to_ros(of, "mono8", "lens", 1.0)
    line.node._on_features(message)
    wait_until(lambda: line.failures, "its failure")
    assert line.failures[0].origin == "split"
    assert not line.packets
    assert not line.states[-1].features


def test_without_its_models_a_device_withholds_and_names_the_command(
    ros: Any, wait_until: Callable[..., None]
) -> None:
    line = Line(ros, privacy={"finders": ["no_such_finder"]})
    line.ready(wait_until)
    line.send(1)
    wait_until(lambda: line.failures, "its failure")
    assert "no_such_finder" in line.failures[0].error
    line.node.close()


def test_an_annotated_picture_is_masked_too(
    ros: Any, finder: Finder, wait_until: Callable[..., None]
) -> None:
    node = ros.add(
        PipelineNode(
            parameter_overrides=[Parameter("trigger", value="frame")],
            **{**ros.options, "privacy": HIDING},
        )
    )
    assert node.autostart()
    drawn: list[Frame] = []
    node._annotated.publish = drawn.append
    image = np.random.default_rng(1).integers(0, 256, (48, 64), np.uint8)
    frame = Frame(FrameKey("main", 7), image, "mono8")
    node._ring.put(frame)
    nothing = convert.detections_from_ros([], [])
    node._annotate(Result(frame.key, Route.LOCAL, nothing))
    wait_until(lambda: drawn, "the picture")
    part = drawn[0].image[8:40, 8:40].mean(axis=2)
    assert np.corrcoef(part.ravel(), image[8:40, 8:40].ravel())[0, 1] < 0.35
    finder.broken = True
    node._annotate(Result(frame.key, Route.LOCAL, nothing))
    wait_until(lambda: node._gate.withheld == 1, "it held back")
    assert len(drawn) == 1
    node.close()


def test_a_frame_that_is_sent_and_drawn_in_one_process_is_searched_once(
    line: Line, ros: Any, finder: Finder, wait_until: Callable[..., None]
) -> None:
    node = ros.add(
        PipelineNode(
            parameter_overrides=[Parameter("trigger", value="frame")],
            **{**ros.options, "privacy": HIDING},
        )
    )
    assert node.autostart()
    drawn: list[Frame] = []
    node._annotated.publish = drawn.append
    line.send(5)
    wait_until(lambda: line.packets, "a packet")
    nothing = convert.detections_from_ros([], [])
    for stamp_ns in (5, 6):
        image = np.random.default_rng(stamp_ns).integers(0, 256, (48, 64), np.uint8)
        node._ring.put(Frame(FrameKey("main", stamp_ns), image, "mono8"))
        node._annotate(Result(FrameKey("main", stamp_ns), Route.LOCAL, nothing))
        wait_until(lambda n=stamp_ns: len(drawn) == n - 4, "the picture")
        assert finder.searched == stamp_ns - 4  # 6 was not sent: it is searched to be drawn
    assert (node._gate.cleared, node._gate.masked) == (2, 2)
    assert line.node._gate.cleared == 1
    node.close()


@pytest.mark.parametrize("renamed", ["compression", "squash"])
def test_the_section_reaches_a_node_by_the_command_line_of_ros(
    tmp_path: Path, fresh_ros_domain: int, renamed: str
) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(
        "/**:\n  ros__parameters: {bit_depth: 12}\n"
        "/**/privacy:\n  ros__parameters:\n    mode: regions\n    polygons: ['0,0 1,0 1,1']\n"
        "/line1/privacy:\n  ros__parameters: {hide: solid}\n"
        "/line2/privacy:\n  ros__parameters: {blocks: 2}\n"
        "/**/compression:\n  ros__parameters: {quality: 60}\n"
    )
    context = Context()
    arguments = ["-r", f"__node:={renamed}", "-r", "__ns:=/line1", "--params-file", str(file)]
    rclpy.init(
        args=["--ros-args", *arguments, "-p", "codec:=png"],
        context=context,
        domain_id=fresh_ros_domain,
    )
    node = CompressionNode(context=context)
    try:
        given = given_of(node)
        assert {n: v for n, v in given.items() if n != "polygons"} == {
            "mode": "regions",
            "hide": "solid",
        }
        config = read_section(node)
        assert (config.mode, config.polygons) == ("regions", ("0,0 1,0 1,1",))
        assert not [name for name in node._parameters if "privacy" in name]
    finally:
        node.close()
        node.destroy_node()
        rclpy.try_shutdown(context=context)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"mode": "off"}, "reason"),
        ({"mdoe": "off"}, "unknown parameter"),
        ({"blocks": 9}, "1 to 8"),
    ],
)
def test_a_section_that_makes_no_sense_keeps_the_node_from_being_configured(
    ros: Any, given: dict[str, Any], complaint: str
) -> None:
    node = ros.add(CompressionNode(**{**ros.options, "privacy": given}))
    with pytest.raises(ConfigError, match=complaint):
        read_section(node)
    assert not node.autostart()
    assert complaint in node.problem
    node.close()


def test_a_file_that_says_nothing_of_privacy_gets_one_line(
    ros: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = ros.add(CompressionNode(**{**ros.options, "privacy": {}}))
    said: list[str] = []
    monkeypatch.setattr(node.get_logger(), "warning", said.append)
    assert read_section(node) == PrivacyConfig()
    assert len(said) == 1
    assert "nothing is said of privacy" in said[0]
    node.close()
