"""How large the next frame will be goes from the encoder to the scheduler, between real nodes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from rclpy.parameter import Parameter

from mastra_ros.compression.codecs import FORMATS
from mastra_ros.msg import Decision, InferenceResult, LinkState, Packet
from mastra_ros.msg import FrameKey as FrameKeyMsg
from mastra_ros.nodes import convert
from mastra_ros.nodes.compression import CompressionNode
from mastra_ros.nodes.frames import FramePublisher
from mastra_ros.nodes.lifecycle import RELIABLE
from mastra_ros.nodes.scheduling import SchedulingNode
from mastra_ros.types import Frame, FrameKey, LinkSample, Route

GOODPUT_BPS = 1e6
DEADLINE_MS = 300.0
LARGE_BYTES = GOODPUT_BPS * DEADLINE_MS / 8e3


class Device:
    """The scheduling and the compression node, and around them camera, model and link."""

    def __init__(self, ros: Any, wait_until: Callable[..., None]) -> None:
        scheduling = {"policy": "latency", "deadline_ms": DEADLINE_MS, "link_silence_ms": 600_000.0}
        self.scheduling = ros.add(
            SchedulingNode(parameter_overrides=_set(scheduling), **ros.options)
        )
        compression = {"codec": "x264", "quality": 60}
        self.compression = ros.add(
            CompressionNode(parameter_overrides=_set(compression), **ros.options)
        )
        assert self.scheduling.autostart()
        assert self.compression.autostart()
        self._wait = wait_until
        around = ros.node("around")
        self.images = FramePublisher(self.compression, "image_raw")
        make = around.create_publisher
        self.links = make(LinkState, "link", RELIABLE)
        self.frames = make(FrameKeyMsg, "entered", RELIABLE)
        self.local = make(InferenceResult, "local_result", RELIABLE)
        self.packets: list[Packet] = []
        self.decisions: list[Decision] = []
        around.create_subscription(Packet, "packet", self.packets.append, RELIABLE)
        around.create_subscription(Decision, "decision", self.decisions.append, RELIABLE)
        publishers = (
            *(self.links, self.frames, self.local),
            *(self.scheduling._decisions, self.compression._packets, self.compression._sizes),
        )
        for publisher in publishers:
            wait_until(lambda p=publisher: p.get_subscription_count() > 0, "a listener")
        self.link(session=1)
        encoder = self.compression._encoder
        wait_until(lambda: encoder.in_force.startswith("x264"), "what the gateway decodes")

    def link(self, *, session: int) -> None:
        """A heartbeat was answered by a gateway that decodes video."""
        now_ns = time.monotonic_ns()
        sample = LinkSample(now_ns, True, 10.0, 1.0, goodput_bps=GOODPUT_BPS, last_heard_ns=now_ns)
        status = convert.LinkStatus(
            sample, gateway="wss://here", session=session, codecs=tuple(FORMATS)
        )
        self.links.publish(convert.link_to_ros(status, time.time_ns()))

    def send_up(self, images: list[np.ndarray]) -> None:
        """Frames that go to the gateway, whatever the policy thinks."""
        for image in images:
            key, before = FrameKey("main", time.time_ns()), len(self.packets)
            self.images.publish(Frame(key, image, "bgr8", "lens"))
            header = convert.header_to_ros(key, "lens")
            self.compression._on_decision(Decision(header=header, route=Route.CLOUD.value))
            self._wait(lambda n=before: len(self.packets) > n, "its packet")

    @property
    def expected_bytes(self) -> float:
        """What the scheduling node reckons with."""
        return float(self.scheduling.scheduler._frame_bytes.mean)


def _set(values: dict[str, Any]) -> list[Parameter]:
    return [Parameter(name, value=value) for name, value in values.items()]


def _pictures(count: int, *, noisy: bool) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    still = np.full((480, 640, 3), 90, np.uint8)
    return [rng.integers(0, 256, still.shape, np.uint8) if noisy else still for _ in range(count)]


@pytest.mark.parametrize("noisy", [True, False])
def test_the_scheduler_reckons_with_what_the_encoder_expects_of_the_next_frame(
    ros: Any, wait_until: Callable[..., None], noisy: bool
) -> None:
    device = Device(ros, wait_until)
    device.send_up(_pictures(3, noisy=noisy))
    encoder = device.compression._encoder
    wait_until(lambda: device.expected_bytes == pytest.approx(encoder.next_bytes, rel=0.1), "it")
    assert (device.expected_bytes > LARGE_BYTES) == noisy


def test_a_key_that_is_due_is_reckoned_with_before_it_is_made(
    ros: Any, wait_until: Callable[..., None]
) -> None:
    device = Device(ros, wait_until)
    noise = _pictures(1, noisy=True)[0]
    device.send_up([noise, noise, noise])
    key_bytes = len(device.packets[0].payload)
    wait_until(lambda: device.expected_bytes < key_bytes / 10, "what stands still costs little")
    device.link(session=2)  # another gateway: the next frame stands alone
    wait_until(lambda: device.expected_bytes == pytest.approx(key_bytes, rel=0.2), "a key")


def test_another_quality_is_reckoned_with_before_a_frame_is_made_with_it(
    ros: Any, wait_until: Callable[..., None]
) -> None:
    device = Device(ros, wait_until)
    device.send_up(_pictures(1, noisy=True))
    device.link(session=2)
    wait_until(lambda: device.expected_bytes > 0, "a key")
    before = device.expected_bytes
    assert device.compression.set_parameters([Parameter("quality", value=20)])[0].successful
    wait_until(lambda: device.expected_bytes < before / 2, "a coarser key")
