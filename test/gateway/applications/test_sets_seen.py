"""Durable frames go from a device into sets, once and in order, and an application sees each."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mastra_ros.bridge import BridgeClient, BridgeStatus
from mastra_ros.bridge.clearing import NothingToHide
from mastra_ros.compression import Encoder
from mastra_ros.config import BridgeConfig, CompressionConfig
from mastra_ros.emulation import ShapingProxy, parse_faults
from mastra_ros.gateway.applications.keeping import Keeping
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.privacy import hiding_nothing
from mastra_ros.sets import SetFrame
from mastra_ros.types import Frame, FrameKey, GateState, Packet

GATE = hiding_nothing("pictures made for this test")
WITHIN_S = 120.0


def packet(number: int, *, side: int = 16, stream: str = "sweep", **meta: Any) -> Packet:
    image = np.full((side, side), number % 256, np.uint8)
    encoder = Encoder(CompressionConfig(codec="png"), stream)
    made = encoder.encode(GATE.clear(Frame(FrameKey(stream, number), image, "mono8")), late=True)
    return replace(made, meta={"pose": [number, 0.5], "calibration": "ab" * 32, **meta})


class Device:
    """A bridge that can be ended and begun again on the same files."""

    def __init__(self, keys: Path, folder: Path, stack: ExitStack) -> None:
        self._keys, self._folder, self._stack = keys, folder, stack
        self.status: BridgeStatus | None = None

    def connect(self, port: int, **options: Any) -> BridgeClient:
        config = BridgeConfig(
            gateway=f"wss://127.0.0.1:{port}",
            keys_dir=str(self._keys),
            device="cam-1",
            stream="sweep",
            spool_path=str(self._folder / "spool.sqlite"),
            artefacts_dir=str(self._folder / "artefacts"),
            reconnect_delay_min_s=0.02,
            reconnect_delay_max_s=0.1,
            heartbeat_interval_ms=50.0,
            heartbeat_timeout_ms=2000.0,
        )

        def nothing(*_: Any) -> None:
            pass

        options = {"clearer": NothingToHide(), **options}
        client = BridgeClient(
            config, on_result=nothing, on_failed=nothing, on_status=self._see, **options
        )
        client.start()
        self._stack.callback(client.stop, 10.0)
        return client

    def _see(self, status: BridgeStatus) -> None:
        self.status = status


def wait(condition: Callable[[], Any], what: str) -> None:
    until_s = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < until_s, f"waited in vain for {what}"
        time.sleep(0.02)


@pytest.fixture
def device(keys: Path, tmp_path: Path) -> Iterator[Device]:
    with ExitStack() as stack:
        yield Device(keys, tmp_path / "device", stack)


def told(state: Path, kind: str, name: str) -> str:
    keeping = Keeping(state)
    try:
        found = [one for one in keeping.artefacts(kind=kind, most=1000) if one.name == name]
        return keeping.data(found[-1]).read_text() if found else ""
    finally:
        keeping.close()


def kept(state: Path, name: str) -> list[int]:
    """The frames of a set in the database of a gateway that runs."""
    with closing(sqlite3.connect(state / "sets.sqlite3")) as db:
        sql = "SELECT sequence FROM frame JOIN frame_set ON frame_set.id = set_id WHERE name = ?"
        return [sequence for (sequence,) in db.execute(f"{sql} ORDER BY sequence", (name,))]


def test_frames_are_seen_as_they_come_and_once_through_restarts_of_both_sides(
    start_gateway: Callable[..., EmbeddedGateway], device: Device, tmp_path: Path, strange: str
) -> None:
    assert strange
    state = tmp_path / "state"
    gateway = start_gateway(state, applications=("framed",))
    client = device.connect(gateway.port)
    for number in range(1, 11):
        client.send_set_frame(SetFrame("sweep-1", number, packet(number)))
    wait(lambda: told(state, "going", "sweep-1") == "10", "the frames while the set goes on")
    gateway.restart()
    for number in range(11, 31):
        if number % 10 == 1:
            client.stop(10.0)
            client = device.connect(gateway.port)
        client.send_set_frame(SetFrame("sweep-1", number, packet(number)))
    for number in range(8, 41):
        client.send_set_frame(SetFrame("sweep-1", number, packet(number)))  # some a second time
    client.send_set_frame(SetFrame("sweep-1", 41))
    wait(lambda: told(state, "whole", "sweep-1"), "the end of the set")
    seen = json.loads(told(state, "whole", "sweep-1"))
    assert seen == [[n, 256 * n, n] for n in range(1, 41)], "each once, in order, as it was"
    wait(lambda: not kept(state, "sweep-1"), "the closed set to be forgotten")
    gateway.stop()


def test_frames_go_up_through_cuts_on_a_slow_link_and_the_next_are_kept_meanwhile(
    start_gateway: Callable[..., EmbeddedGateway], device: Device, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    gateway = start_gateway(state, applications=())
    noise = np.random.default_rng(1).integers(0, 256, (300, 300), np.uint8)
    encoder = Encoder(CompressionConfig(codec="png"), "sweep")
    with ShapingProxy("127.0.0.1", gateway.port) as proxy:
        proxy.set_faults(
            parse_faults("rate=20mbit@0s,delay=5ms@0s,down@500ms..800ms,down@1500ms..1800ms")
        )
        client = device.connect(proxy.port)
        for number in range(1, 41):
            frame = Frame(FrameKey("sweep", number), noise, "mono8")
            large = encoder.encode(GATE.clear(frame), late=True)
            client.send_set_frame(SetFrame("large", number, large))
        wait(lambda: device.status and device.status.set_frames_delivered == 40, "all of them")
    assert device.status is not None
    assert (device.status.set_frames, device.status.set_frames_refused) == (0, 0)
    assert kept(state, "large") == list(range(1, 41))
    gateway.stop()


def test_a_frame_at_which_an_application_hangs_is_not_shown_again_and_the_others_are(
    start_gateway: Callable[..., EmbeddedGateway], device: Device, tmp_path: Path, strange: str
) -> None:
    assert strange
    state = tmp_path / "state"
    gateway = start_gateway(state, applications=("framed",), application_silence_s=3.0)
    client = device.connect(gateway.port)
    for number in range(1, 7):
        does = {2: "raise", 4: "hang"}.get(number, "")
        client.send_set_frame(SetFrame("bad", number, packet(number, do=does)))
    client.send_set_frame(SetFrame("bad", 7))
    wait(lambda: told(state, "whole", "bad"), "the end of the set")
    assert [one[0] for one in json.loads(told(state, "whole", "bad"))] == [1, 3, 5, 6]
    gateway.stop()


def test_results_are_seen_by_those_that_want_them(
    start_gateway: Callable[..., EmbeddedGateway],
    connect_device: Callable[..., Any],
    picture: Callable[..., np.ndarray],
    tmp_path: Path,
    strange: str,
) -> None:
    assert strange
    state = tmp_path / "state"
    gateway = start_gateway(state, applications=("framed",))
    speaker = connect_device(gateway, stream="lane")
    for stamp_ns in range(1, 6):
        speaker.infer(stamp_ns, picture((1, 1)))
    wait(lambda: told(state, "results", "all") == "cam-1 lane 5", "five results")
    gateway.stop()


def test_a_frame_without_clearance_does_not_leave_and_one_of_another_promise_waits(
    start_gateway: Callable[..., EmbeddedGateway], device: Device, tmp_path: Path
) -> None:
    class Strict:
        """Today's promise is `whole:2`."""

        def passes_live(self, sent: Packet) -> bool:
            return sent.clearance.startswith("whole:")

        def passes(self, sent: Packet, state: GateState) -> bool:
            return sent.clearance == state.clearance

        def anew(self, sent: Packet) -> Packet:
            return replace(sent, payload=sent.payload, clearance="whole:2")

    state = tmp_path / "state"
    gateway = start_gateway(state, applications=())
    client = device.connect(gateway.port, clearer=Strict())
    client.send_set_frame(SetFrame("private", 1, packet(1)))
    wait(lambda: device.status and device.status.set_frames_refused == 1, "the refusal")
    client.send_set_frame(SetFrame("private", 2, replace(packet(2), clearance="whole:1")))
    wait(lambda: device.status and device.status.set_frames == 1, "it to be kept")
    assert kept(state, "private") == []
    client.gate(GateState("whole", clearance="whole:2"))
    wait(lambda: kept(state, "private") == [2], "it, cleared anew")
    gateway.stop()
