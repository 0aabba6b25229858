"""Live frames are shown, decoded, to applications that want them, and are late for none of them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mastra_ros.bridge import BridgeClient
from mastra_ros.bridge.clearing import NothingToHide
from mastra_ros.compression import Encoder
from mastra_ros.config import BridgeConfig, CompressionConfig
from mastra_ros.gateway.applications.keeping import Keeping
from mastra_ros.gateway.applications.live import FRAME_BYTES, HandOver, LiveFrames
from mastra_ros.gateway.applications.seeing import make_live
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.gateway.records import SqliteRecordStore
from mastra_ros.gateway.records.store import Query
from mastra_ros.privacy import hiding_nothing
from mastra_ros.protocol import ResultMessage
from mastra_ros.protocol.envelope import encode
from mastra_ros.types import Detections, Frame, FrameKey, Result, Route

GATE = hiding_nothing("pictures made for this test")
SIDE = 8
SIZE = SIDE * SIDE + FRAME_BYTES


def frame(stream: str, stamp_ns: int, side: int = SIDE) -> Frame:
    return Frame(
        FrameKey(stream, stamp_ns, f"id-{stamp_ns}"), np.zeros((side, side), np.uint8), "mono8"
    )


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Waiting:
    """Frames that wait, and what was counted."""

    def __init__(self, bytes_max: int = 100 * SIZE) -> None:
        self.clock = Clock()
        self.left_out = 0
        self.frames = LiveFrames(bytes_max, on_left_out=self._count, clock_s=self.clock)
        self._place = 0

    def _count(self, frames: int) -> None:
        self.left_out += frames

    def offer(self, device: str, stream: str, *stamps: int, side: int = SIDE) -> None:
        for stamp_ns in stamps:
            self.frames.offer(device, frame(stream, stamp_ns, side), b"")

    def shown(self) -> list[tuple[str, str, int, int]]:
        """All that is shown: device, stream, stamp, left out."""
        seen = []
        while page := self.frames.page(self._place, 1):
            (item,) = page
            assert self.frames.page(self._place, 1) == page, "shown again until it is taken in"
            assert item.id > self._place
            self._place = item.id
            key = item.frame.key
            seen.append((item.device, key.stream, key.stamp_ns, item.left_out))
        return seen


def test_of_each_stream_the_newest_waits_and_streams_take_turns() -> None:
    waiting = Waiting()
    waiting.offer("a", "one", 1, 2, 3)
    waiting.offer("b", "one", 1)
    waiting.offer("a", "two", 5)
    waiting.offer("a", "one", 4)
    assert waiting.shown() == [("a", "one", 4, 3), ("b", "one", 1, 0), ("a", "two", 5, 0)]
    assert (waiting.left_out, waiting.frames.bytes_held) == (3, 0)
    waiting.clock.now_s -= 500.0  # a clock that goes back makes no place smaller
    waiting.offer("a", "one", 9)
    assert waiting.shown() == [("a", "one", 9, 0)]


def test_when_memory_is_short_the_device_that_holds_most_pays() -> None:
    waiting = Waiting(4 * SIZE)
    for number in range(4):
        waiting.offer("greedy", f"s{number}", number)
    waiting.offer("greedy", "s9", 9)  # no room but its own
    waiting.offer("modest", "one", 1)
    waiting.offer("modest", "one", 2)
    assert waiting.frames.bytes_held <= 4 * SIZE
    shown = waiting.shown()
    assert ("modest", "one", 2, 1) in shown
    assert [one[1] for one in shown if one[0] == "greedy"] == ["s0", "s1", "s2"]
    assert waiting.left_out == 3
    waiting.offer("modest", "huge", 1, side=10 * SIDE)
    assert waiting.shown() == []
    assert waiting.frames.bytes_held == 0


def test_a_huge_frame_takes_the_place_of_none_that_others_wait_with() -> None:
    waiting = Waiting(4 * SIZE)
    waiting.offer("a", "one", 1)
    waiting.offer("b", "one", 1)
    waiting.offer("c", "one", 1, side=7 * SIDE)
    assert [one[0] for one in waiting.shown()] == ["a", "b"]


def test_an_application_that_wants_few_is_shown_one_in_so_long() -> None:
    waiting = Waiting()
    waiting.frames.told(True, {"live_every_s": 1.0})
    seen = []
    for tenth in range(31):
        waiting.clock.now_s = 1000.0 + tenth / 10
        waiting.offer("a", "one", tenth)
        seen += waiting.shown()
    assert [one[2:] for one in seen] == [(0, 0), (10, 9), (20, 9), (30, 9)]
    assert waiting.left_out == 0, "what was not asked for is not counted as lost"


def test_an_application_that_wants_none_holds_none() -> None:
    waiting = Waiting()
    waiting.offer("a", "one", 1)
    waiting.frames.told(False, {})
    assert waiting.shown() == []
    assert waiting.frames.bytes_held == 0


@pytest.mark.parametrize(
    ("encoding", "shape", "dtype"),
    [("mono8", (5, 7), np.uint8), ("bgr8", (5, 7, 3), np.uint8), ("mono16", (9, 3), np.uint16)],
)
def test_a_picture_is_handed_over_as_it_is(
    encoding: str, shape: tuple[int, ...], dtype: Any
) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (2 * shape[0], *shape[1:])).astype(dtype)
    key = FrameKey("lane", 5, "five")
    result = Result(
        key=key, origin=Route.CLOUD, detections=Detections.empty(), model="m", model_version="1"
    )
    waiting = LiveFrames(10**6)
    hand_over = HandOver()
    for image in (noise[::2], np.ascontiguousarray(noise[1::2])):
        data = encode(ResultMessage.from_result(result), 10**6)
        waiting.offer("cam", Frame(key, image, encoding), data)
        (item,) = waiting.page(0, 1)
        seen = make_live(hand_over.as_seen(item), hand_over.descriptor)
        assert (seen.device, seen.key, seen.encoding, seen.left_out) == ("cam", key, encoding, 0)
        np.testing.assert_array_equal(seen.image, image)
        assert seen.image.dtype == image.dtype
        assert seen.result.key == key
        waiting.page(item.id, 1)
    hand_over.close()


class Camera:
    """A bridge that sends live frames."""

    def __init__(self, keys: Path, folder: Path, port: int, stack: ExitStack) -> None:
        self.results: dict[int, Result] = {}
        self._heard = threading.Condition()
        self._linked = threading.Event()
        config = BridgeConfig(
            gateway=f"wss://127.0.0.1:{port}",
            keys_dir=str(keys),
            device="cam-1",
            stream="live",
            spool_path=str(folder / "spool.sqlite"),
            artefacts_dir=str(folder / "artefacts"),
        )
        self._client = BridgeClient(
            config,
            on_result=self._hear,
            on_failed=lambda *_: None,
            on_status=lambda status: status.link.connected and self._linked.set(),
            clearer=NothingToHide(),
        )
        self._encoder = Encoder(CompressionConfig(codec="png"), "live")
        self._client.start()
        stack.callback(self._client.stop, 10.0)
        assert self._linked.wait(60)

    def _hear(self, result: Result) -> None:
        with self._heard:
            self.results[result.key.stamp_ns] = result
            self._heard.notify_all()

    def send(self, stamp_ns: int, side: int, does: int = 0) -> None:
        """A live frame, whose answer is waited for."""
        image = np.full((side, side), 100, np.uint8)
        image[0, 0] = does
        image[8:16, 8:16] = 255
        made = Frame(FrameKey("live", stamp_ns, str(stamp_ns)), image, "mono8")
        self._client.send(self._encoder.encode(GATE.clear(made)), 60_000.0)
        with self._heard:
            assert self._heard.wait_for(lambda: stamp_ns in self.results, 60)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def watched(state: Path) -> dict[int, list[Any]]:
    """What the application has said of each frame, by stamp."""
    keeping = Keeping(state)
    try:
        return {
            int(one.name.rpartition("-")[2]): json.loads(keeping.data(one).read_text())
            for one in keeping.artefacts(kind="watched", most=1000)
        }
    finally:
        keeping.close()


def wait_for(state: Path, stamp_ns: int) -> list[Any]:
    until_s = time.monotonic() + 120
    while stamp_ns not in (seen := watched(state)):
        assert time.monotonic() < until_s, seen
        time.sleep(0.02)
    return seen[stamp_ns]


def test_an_application_sees_live_frames_beside_their_results_and_a_slow_one_costs_its_own(
    start_gateway: Callable[..., EmbeddedGateway],
    keys: Path,
    tmp_path: Path,
    strange: str,
    stack: ExitStack,
) -> None:
    state = tmp_path / "state"
    gateway = start_gateway(state, applications=(strange, "watching"), application_silence_s=15.0)
    camera = Camera(keys, tmp_path / "device", gateway.port, stack)
    spots = 64 * 64 * 100 - 100 + 64 * 155
    camera.send(1, 64)
    assert wait_for(state, 1) == [64, 64, spots, "mono8", 0, True, 1]
    large = 300 * 300 * 100 - 100 + 64 * 155
    camera.send(2, 300)
    assert wait_for(state, 2)[:6] == [300, 300, large, "mono8", 0, True]
    camera.send(3, 64, does=7)  # it is busy with this one while the others are answered
    for stamp_ns in range(4, 24):
        camera.send(stamp_ns, 64)
    assert 3 not in watched(state), "they did not wait for it"
    assert len(camera.results) == 23
    assert wait_for(state, 23)[4] == 19, "of the others it sees the newest"
    camera.send(24, 64, does=8)
    camera.send(25, 64)
    assert wait_for(state, 25)[4] == 0
    assert sorted(watched(state)) == [1, 2, 3, 23, 25]
    metrics = gateway_metrics(gateway, keys)
    assert 'applications_total{application="watching",outcome="left_out"} 19.0' in metrics
    assert 'applications_total{application="watching",outcome="failed"} 1.0' in metrics
    gateway.stop()
    store = SqliteRecordStore(state)
    own = list(store.page(Query(kind="watched"), 0, 100))
    store.close()
    assert [one.body["count"] for one in own] == [1, 2, 3, 4, 5]


def test_a_live_frame_at_which_an_application_hangs_is_lost_and_the_next_are_shown(
    start_gateway: Callable[..., EmbeddedGateway],
    keys: Path,
    tmp_path: Path,
    strange: str,
    stack: ExitStack,
) -> None:
    assert strange
    state = tmp_path / "state"
    gateway = start_gateway(state, applications=("watching",), application_silence_s=3.0)
    camera = Camera(keys, tmp_path / "device", gateway.port, stack)
    camera.send(1, 64)
    wait_for(state, 1)
    camera.send(2, 64, does=9)
    camera.send(3, 64)
    camera.send(4, 300)
    assert wait_for(state, 4)[4] in (1, 2)
    assert 2 not in watched(state)
    gateway.restart()
    until_s, stamp_ns = time.monotonic() + 120, 4
    while max(watched(state)) == 4:  # what came while the link was down is live no more
        assert time.monotonic() < until_s
        stamp_ns += 1
        camera.send(stamp_ns, 64)
    gateway.stop()


def gateway_metrics(gateway: EmbeddedGateway, keys: Path) -> str:
    import httpx

    from mastra_ros.protocol.keys import load_device_key
    from mastra_ros.protocol.tls import client_context
    from mastra_ros.protocol.tokens import sign_token

    token = sign_token("cam-1", load_device_key(keys, "cam-1"), "mastra-gateway")
    return httpx.get(
        f"{gateway.url}/metrics",
        headers={"Authorization": f"Bearer {token}"},
        verify=client_context(keys / "ca.crt"),
    ).text
