"""Video from a device's encoder through a real bridge to a real gateway, on links that fail.

Each picture shows its number in white cells, and the gateway's model finds those: so each answer
says which picture the gateway has decoded.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mastra_ros.bridge import BridgeClient, BridgeStatus
from mastra_ros.bridge.clearing import NothingToHide
from mastra_ros.compression import StreamEncoder
from mastra_ros.compression.chooser import at_once
from mastra_ros.compression.codecs import FORMATS
from mastra_ros.config import BridgeConfig, CompressionConfig, build
from mastra_ros.emulation import ShapingProxy, parse_faults
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.privacy import hiding_nothing
from mastra_ros.protocol import FrameMessage, Nack
from mastra_ros.types import Frame, FrameKey, Packet, PacketKind, Result

DEADLINE_MS = 20_000.0
PATIENCE_S = 30.0
CELL_PX, CELLS = 8, 8
DIGITS = 12
GATE = hiding_nothing("pictures made for this test")

StartGateway = Callable[..., EmbeddedGateway]


def picture(number: int) -> np.ndarray:
    """A number in white cells: no two pictures are alike."""
    image = np.zeros((CELLS, CELLS), np.uint8)
    for digit in range(DIGITS):
        image[2 * (digit // 4), 2 * (digit % 4)] = 255 * (number >> digit & 1)
    return np.kron(image, np.ones((CELL_PX, CELL_PX), np.uint8))


def number_in(result: Result) -> int:
    """The number whose white cells were found."""
    found = 0
    for x, y in result.detections.boxes[:, :2] / CELL_PX:
        assert (round(x) % 2, round(y) % 2) == (0, 0), result.detections.boxes
        found |= 1 << (round(x) // 2 + 4 * (round(y) // 2))
    return found


class Camera:
    """A device that sends video: its encoder, its bridge, and what it hears."""

    def __init__(self, config: BridgeConfig, codec: str) -> None:
        self.encoder = StreamEncoder(
            build(CompressionConfig, {"codec": codec}), config.stream, run=at_once
        )
        self.packets: list[Packet] = []
        self.sent: dict[FrameKey, int] = {}
        self.answers: dict[FrameKey, Result] = {}
        self.failed: list[FrameKey] = []
        self.status: BridgeStatus | None = None
        self._stream = config.stream
        self._news: list[FrameKey] = []
        self._changed = threading.Condition()
        self.client = BridgeClient(
            config,
            on_result=self._on_result,
            on_failed=lambda key, reason: self._hear(self.failed.append, key),
            on_status=lambda status: self._hear(setattr, self, "status", status),
            on_renew=lambda key: self._hear(self._news.append, key),
            codecs=FORMATS,
            clearer=NothingToHide(),
        )
        self.client.start()

    def _hear(self, act: Callable[..., Any], *values: Any) -> None:
        with self._changed:
            act(*values)
            self._changed.notify_all()

    def _on_result(self, result: Result) -> None:
        self._hear(self.answers.__setitem__, result.key, result)

    def wait(self, condition: Callable[[], Any], what: str) -> None:
        until_s = time.monotonic() + PATIENCE_S
        with self._changed:
            while not condition():
                assert time.monotonic() < until_s, f"never happened: {what}; {self.status}"
                self._changed.wait(0.02)

    def send(self, number: int, deadline_ms: float = DEADLINE_MS, stamp_ns: int = 0) -> FrameKey:
        """Encode and send a picture, as the compression node does."""
        self.follow()
        key = FrameKey(self._stream, stamp_ns or number, f"f{number}")
        self.sent[key] = number
        packet = self.encoder.encode(GATE.clear(Frame(key, picture(number), "mono8")))
        self.packets.append(packet)
        self.client.send(packet, deadline_ms)
        return key

    def follow(self) -> None:
        status = self.status
        if status is not None:
            self.encoder.follow(
                session=status.session,
                codecs=status.codecs,
                acknowledged=(status.acknowledged_ns, status.acknowledged_id),
                key_frame_needed=status.key_frame_needed,
                key_frames_asked=status.key_frames_asked,
            )
        while self._news:
            key = self._news.pop(0)
            frame = Frame(key, picture(self.sent[key]), "mono8")
            self.client.send(self.encoder.encode(GATE.clear(frame), late=True), 0.0)

    def answered(self, *keys: FrameKey) -> None:
        self.wait(lambda: all(key in self.answers for key in keys), f"answers to {keys}")

    def settle(self) -> None:
        """Whatever the link took or not: at the end each picture is answered, or has failed at
        once, and the spool is empty; and no answer is about another picture."""
        until_s = time.monotonic() + PATIENCE_S

        def open_frames() -> set[FrameKey]:
            return self.sent.keys() - self.answers.keys() - set(self.failed)

        while open_frames() or self._news or self.status.link.spooled:
            assert time.monotonic() < until_s, f"{open_frames()} {self.status}"
            self.follow()
            time.sleep(0.01)
        for key, result in self.answers.items():
            assert number_in(result) == self.sent[key], key

    def keys_since(self, count: int) -> int:
        return sum(packet.stands_alone for packet in self.packets[count:])


@pytest.fixture(scope="module")
def video_gateway(start_gateway: StartGateway) -> EmbeddedGateway:
    return start_gateway(in_flight_max=64, batch_delay_ms=1.0)


@pytest.fixture
def camera(keys: Path, tmp_path: Path) -> Iterator[Callable[..., Camera]]:
    """Makes devices that have a session with a gateway."""
    with ExitStack() as stack:

        def make(uri: str, stream: str, codec: str = "x264", **changes: Any) -> Camera:
            values: dict[str, Any] = {
                "gateway": uri,
                "device": "cam-1",
                "stream": stream,
                "keys_dir": str(keys),
                "spool_path": str(tmp_path / f"{stream}.sqlite"),
                "in_flight_max": 64,
                "heartbeat_interval_ms": 50.0,
                "heartbeat_timeout_ms": 2000.0,
                "reconnect_delay_min_s": 0.02,
                "reconnect_delay_max_s": 0.1,
            }
            made = Camera(BridgeConfig(**{**values, **changes}), codec)
            stack.callback(made.client.stop, 10.0)
            made.wait(lambda: made.status and made.status.link.connected, "a session")
            return made

        yield make


def uri_of(gateway: EmbeddedGateway) -> str:
    return f"wss://127.0.0.1:{gateway.port}"


@pytest.mark.parametrize("codec", ["x264", "vp9", "av1", "auto"])
def test_every_picture_of_a_video_is_answered_as_what_it_shows(
    video_gateway: EmbeddedGateway, camera: Any, codec: str
) -> None:
    device = camera(uri_of(video_gateway), f"all-{codec}", codec)
    for number in range(1, 41):
        device.send(number * 0x6B & 0xFFF)
    device.settle()
    assert not device.failed
    assert {packet.kind for packet in device.packets} == {PacketKind.VIDEO}
    assert device.keys_since(0) <= 2  # one, and one where other settings are found to be better


def test_unchanged_frames_are_answered_as_what_they_show(
    video_gateway: EmbeddedGateway, camera: Any
) -> None:
    device = camera(uri_of(video_gateway), "repeat")
    keys = []
    for stamp_ns in range(1, 11):
        keys.append(device.send(0x5A5, stamp_ns=stamp_ns))
        device.sent.setdefault(keys[-1], 0x5A5)
    device.settle()
    kinds = [packet.kind for packet in device.packets]
    assert kinds == [PacketKind.VIDEO] + [PacketKind.REPEAT] * 9


def test_two_streams_of_a_device_do_not_meet(video_gateway: EmbeddedGateway, camera: Any) -> None:
    left = camera(uri_of(video_gateway), "left", "x264")
    right = camera(uri_of(video_gateway), "right", "vp9")
    for number in range(1, 31):
        left.send(number)
        right.send(0xFFF - number, stamp_ns=number)
    left.settle()
    right.settle()
    assert max(left.keys_since(0), right.keys_since(0)) <= 2
    assert not left.failed + right.failed


def test_a_change_of_codec_while_running_costs_one_key_frame(
    video_gateway: EmbeddedGateway, camera: Any
) -> None:
    device = camera(uri_of(video_gateway), "change", "x264")
    for number, codec in enumerate(("x264", "vp9", "jpeg", "av1", "x264")):
        count = len(device.packets)
        device.encoder.configure(build(CompressionConfig, {"codec": codec}))
        keys = [device.send(16 * number + step + 1) for step in range(4)]
        if codec != "jpeg":  # whose deltas wait for acknowledgements
            assert device.keys_since(count) == 1
        device.answered(*keys)
    device.settle()
    assert not device.failed


BREAKS = {
    "reset": "reset@0ms",
    "down": "down@0ms..400ms",
    "stall": "stall@0ms..300ms",
    "lost acknowledgements": "down:stall@0ms..300ms,reset@290ms",
    "reset in the midst of a packet": "up:rate=32kbit@0ms..200ms,reset@150ms",
}


@pytest.mark.parametrize("name", BREAKS)
def test_on_a_link_that_breaks_every_picture_is_answered_rightly_in_the_end(
    video_gateway: EmbeddedGateway, camera: Any, name: str
) -> None:
    fault = BREAKS[name]
    with ShapingProxy("127.0.0.1", video_gateway.port) as proxy:
        uri = f"wss://127.0.0.1:{proxy.port}"
        device = camera(uri, f"break-{name.replace(' ', '-')}", heartbeat_timeout_ms=250.0)
        for number in range(1, 61):
            if number == 20:
                proxy.restart_clock()
                proxy.set_faults(parse_faults(fault))
            device.send(number, 400.0)
            time.sleep(0.01)
        device.settle()
        device.answered(device.send(100))
        assert len(device.answers) > 20
        device.client.stop(10.0)


def test_a_link_that_flaps_never_shows_a_wrong_picture(
    video_gateway: EmbeddedGateway, camera: Any
) -> None:
    faults = ",".join(f"reset@{at}ms" for at in range(100, 900, 200))
    with ShapingProxy("127.0.0.1", video_gateway.port, parse_faults(faults)) as proxy:
        device = camera(f"wss://127.0.0.1:{proxy.port}", "flap")
        proxy.restart_clock()
        for number in range(1, 101):
            device.send(number, 400.0)
            time.sleep(0.01)
        device.settle()
        assert device.status.session >= 2
        assert len(device.answers) > 20
        device.client.stop(10.0)


def test_a_gateway_killed_and_restarted_costs_a_key_frame(
    start_gateway: StartGateway, camera: Any, tmp_path: Path
) -> None:
    gateway = start_gateway(tmp_path / "state", in_flight_max=64)
    device = camera(uri_of(gateway), "killed")
    device.answered(*(device.send(number) for number in range(1, 6)))
    gateway.kill()
    device.wait(lambda: not device.status.link.connected, "the loss")
    lost = [device.send(number) for number in range(6, 9)]
    gateway.restart()
    device.wait(lambda: device.status.link.connected, "another session")
    count = len(device.packets)
    device.answered(*(device.send(number) for number in range(9, 15)))
    device.settle()
    assert device.keys_since(count) == 1
    assert set(device.failed) <= {*lost, *device.sent}
    device.client.stop(10.0)
    gateway.stop()


def test_a_frame_that_is_refused_costs_a_key_frame_and_no_wrong_picture(
    start_gateway: StartGateway, camera: Any
) -> None:
    gateway = start_gateway(in_flight_max=2, batch_delay_ms=20.0)
    device = camera(uri_of(gateway), "refused")
    for number in range(1, 31):
        device.send(number)
    device.settle()
    count = len(device.packets)
    device.answered(device.send(40))
    device.answered(device.send(41))
    assert device.keys_since(count) <= 1
    assert device.failed, "more were in flight than the gateway takes"


def test_an_older_device_that_announces_nothing_is_served_as_before(
    video_gateway: EmbeddedGateway, connect_device: Any
) -> None:
    device = connect_device(video_gateway, stream="older")
    result, _ = device.infer(1, picture(9))
    assert number_in(result.to_result()) == 9


def test_a_gateway_without_video_is_sent_stills(start_gateway: StartGateway, camera: Any) -> None:
    gateway = start_gateway(video=False)
    device = camera(uri_of(gateway), "stills", "auto")
    for number in range(1, 6):
        device.send(number)
    device.settle()
    assert {packet.kind for packet in device.packets} <= {PacketKind.KEY, PacketKind.DELTA}
    assert not device.failed


@pytest.mark.parametrize(
    ("stamp_ns", "change", "code"),
    [
        (10, {"width_px": 16384, "height_px": 16384}, "too_large"),
        (20, {"width_px": 66}, "corrupt"),
        (30, {"reference_ns": 7}, "corrupt"),
        (40, {"payload": b"V"}, "corrupt"),
    ],
)
def test_a_hostile_packet_costs_its_device_one_nack(
    gateway: EmbeddedGateway,
    connect_device: Any,
    stamp_ns: int,
    change: dict[str, Any],
    code: str,
) -> None:
    device = connect_device(gateway, stream="hostile")
    encoder = StreamEncoder(build(CompressionConfig, {"codec": "vp9"}), "hostile", run=at_once)
    encoder.peer(FORMATS)
    packet = encoder.encode(GATE.clear(Frame(FrameKey("hostile", stamp_ns), picture(5), "mono8")))
    message = FrameMessage.from_packet(packet)
    device.send(FrameMessage(**{**vars(message), **change}))
    assert device.expect(Nack, stamp_ns).code == code
    result, _ = device.infer(stamp_ns + 1, picture(6))
    assert number_in(result.to_result()) == 6
