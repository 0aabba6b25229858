"""Nodes apart, over DDS, with a driver of its own: frames whose stamps repeat are each answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from mastra_ros.bridge.fake_gateway import FakeGateway
from mastra_ros.compression import Decoder
from mastra_ros.msg import FrameKey as FrameKeyMsg
from mastra_ros.msg import InferenceResult
from mastra_ros.nodes import convert
from mastra_ros.nodes.bridge import BridgeNode
from mastra_ros.nodes.compression import CompressionNode
from mastra_ros.nodes.inference import InferenceNode
from mastra_ros.nodes.naming import digest_of
from mastra_ros.nodes.scheduling import SchedulingNode
from mastra_ros.protocol.keys import add_device, init_keys
from mastra_ros.types import Frame, FrameKey

DEPTH = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)


class Device:
    """The nodes of a device, each hearing images as messages, and a driver that sends them."""

    def __init__(self, ros: Any, wait_until: Callable[..., None], **stages: dict[str, Any]) -> None:
        self._wait_until = wait_until
        self.entered: list[FrameKey] = []
        self.headers: list[Header] = []
        self.finals: list[Any] = []
        around = ros.node("around")

        def hear(message: InferenceResult) -> None:
            if message.final:
                self.finals.append(convert.result_from_ros(message, "main"))

        def entered(message: FrameKeyMsg) -> None:
            self.entered.append(convert.frame_key_from_ros(message, "main"))

        around.create_subscription(FrameKeyMsg, "entered", entered, DEPTH)
        around.create_subscription(Header, "frame", self.headers.append, DEPTH)
        around.create_subscription(InferenceResult, "result", hear, DEPTH)
        self._images = around.create_publisher(Image, "image_raw", DEPTH)
        kinds = (SchedulingNode, BridgeNode, CompressionNode, InferenceNode)
        self.nodes: dict[str, Any] = {}
        for kind in kinds:
            if kind.stage in stages:
                values = stages[kind.stage].items()
                overrides = [Parameter(name, value=value) for name, value in values]
                node = kind(parameter_overrides=overrides, **ros.options)
                self.nodes[kind.stage] = ros.add(node)
                assert node.autostart()
        hearing = len({"inference", "compression"} & set(stages))
        wait_until(lambda: self._images.get_subscription_count() == hearing, "listeners")

    def send(self, stamp_ns: int, image: Any) -> str:
        """Send a picture once all before it have entered; its digest."""
        before = len(self.entered)
        message = convert.frame_to_ros(Frame(FrameKey("main", stamp_ns), image, "mono8"))
        self._images.publish(message)
        self._wait_until(lambda: len(self.entered) > before, "the frame to enter")
        return digest_of(message)

    def close(self) -> None:
        for node in self.nodes.values():
            node.close()


@pytest.fixture
def device(ros: Any, wait_until: Callable[..., None]) -> Iterator[Callable[..., Device]]:
    made: list[Device] = []

    def make(**stages: dict[str, Any]) -> Device:
        made.append(Device(ros, wait_until, **stages))
        return made[-1]

    yield make
    for each in made:
        each.close()


def picture(gray: int) -> Any:
    image = np.full((64, 64), 128, np.uint8)
    image[:16, :16] = gray
    return image


PATIENT = {"local_timeout_ms": 60_000.0}
BASE_NS = 1_600_000_000_000_000_000


@pytest.mark.parametrize(
    ("stamps_ns", "says"),
    [
        ([0] * 12, "stand still at 0"),
        ([BASE_NS] * 12, "stand still at 16"),
        ([BASE_NS + n % 4 for n in range(12)], "jump back"),
        ([BASE_NS - n for n in range(12)], "jump back"),
    ],
)
@pytest.mark.parametrize("pictures", ["equal", "different"])
def test_every_message_taken_in_gets_exactly_one_result(
    device: Any, wait_until: Any, stamps_ns: list[int], says: str, pictures: str
) -> None:
    made = device(inference={}, scheduling=PATIENT)
    for n, stamp_ns in enumerate(stamps_ns):
        made.send(stamp_ns, picture(n if pictures == "different" else 7))
        wait_until(lambda: len(made.finals) == len(made.entered), "its result")
    assert len(made.entered) == len(set(made.entered)) == 12
    assert {final.key for final in made.finals} == set(made.entered)
    assert not any(final.error for final in made.finals)
    level, message, values = made.nodes["inference"].health()
    assert level == "warn"
    assert says in message
    assert values["frames"] == 12
    wait_until(lambda: len(made.headers) == 12, "the headers for those outside")


def test_repeated_stamps_are_over_when_they_grow_again(device: Any, wait_until: Any) -> None:
    made = device(inference={}, scheduling=PATIENT)
    for stamp_ns in (BASE_NS, BASE_NS):
        made.send(stamp_ns, picture(1))

    def well() -> bool:
        made.send(time.time_ns(), picture(1))
        return bool(made.nodes["inference"].health()[0] == "ok")

    assert made.nodes["inference"].health()[0] == "warn"
    wait_until(well, "the diagnostics to say that all is well")


@pytest.mark.parametrize("stamp_ns", [0, BASE_NS])
def test_the_gateway_gets_the_picture_that_each_id_names(
    device: Any, wait_until: Any, tmp_path: Path, stamp_ns: int
) -> None:
    keys = tmp_path / "keys"
    init_keys(keys)
    add_device(keys, "camera-1")
    with FakeGateway(keys) as gateway:
        made = device(
            inference={},
            scheduling={
                **PATIENT,
                "policy": "fixed",
                "route": "cloud",
                "start_route": "cloud",
                "deadline_ms": 60_000.0,
                "hedge": False,
                "link_silence_ms": 600_000.0,
            },
            compression={"codec": "png"},
            bridge={
                "gateway": gateway.uri,
                "keys_dir": str(keys),
                "spool_path": str(tmp_path / "spool.sqlite"),
                "heartbeat_timeout_ms": 60_000.0,
            },
        )
        scheduler = made.nodes["scheduling"].scheduler
        wait_until(lambda: scheduler.link(time.monotonic_ns()).usable, "a link")
        inference = made.nodes["inference"]
        wait_until(lambda: inference.health()[0] == "ok", "the scheduler to be heard")
        digests = {}
        for n in range(12):
            gray = 10 if n % 3 == 0 else 20 * n
            digests[made.send(stamp_ns, picture(gray))] = gray
            wait_until(lambda: len(made.finals) == len(made.entered), "its result")
        sent = list(gateway.frames)
    assert {(final.origin.value, final.reason) for final in made.finals} == {
        ("cloud", "fixed: cloud")
    }
    assert {final.key for final in made.finals} == set(made.entered)
    assert len(set(made.entered)) == 12
    assert {frame.id for frame in sent} == {key.id for key in made.entered}
    decoder = Decoder()
    for frame in sent:
        gray = digests["@" + frame.id.partition("@")[2]]
        assert np.array_equal(decoder.decode(frame.to_packet()).image, picture(gray))
    kinds = {frame.kind for frame in sent}
    assert kinds == ({"key"} if stamp_ns == 0 else {"key", "delta"})
