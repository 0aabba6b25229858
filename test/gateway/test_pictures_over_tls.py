"""A device shows pictures to a gateway that is looked at, over TLS: then, and not otherwise."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from mastra_ros.bridge import BridgeClient, BridgeStatus
from mastra_ros.bridge.clearing import NothingToHide
from mastra_ros.bridge.pictures import ShownPictures
from mastra_ros.compression.view import encode_view
from mastra_ros.config import BridgeConfig
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.privacy import hiding_nothing
from mastra_ros.protocol import Ack, Heartbeat, HeartbeatAck, ResultMessage, decode
from mastra_ros.types import Frame, FrameKey

GATE = hiding_nothing("drawn pictures")
PATH = "/v1/devices/cam-1/picture"
LEVELS = 40
"""A picture of number n is as bright as 6 * (n modulo this)."""


class Shower:
    """A bridge, and a camera of 40 pictures/s beside it that shows all of them."""

    def __init__(self, gateway: EmbeddedGateway, keys: Path, folder: Path) -> None:
        self.status: BridgeStatus | None = None
        self.looks: list[float] = []
        self.number = 0
        self.pictures = ShownPictures(self.looks.append)
        config = BridgeConfig(
            gateway=f"wss://127.0.0.1:{gateway.port}",
            keys_dir=str(keys),
            device="cam-1",
            stream="shown",
            spool_path=str(folder / "spool.sqlite"),
            artefacts_dir=str(folder / "artefacts"),
        )
        self.client = BridgeClient(
            config,
            on_result=lambda _: None,
            on_failed=lambda *_: None,
            on_status=lambda status: setattr(self, "status", status),
            clearer=NothingToHide(),
            pictures=self.pictures,
        )
        self._stopped = threading.Event()
        self._camera = threading.Thread(target=self._film, daemon=True)

    def start(self) -> None:
        self.client.start()
        self._camera.start()

    def stop(self) -> None:
        self._stopped.set()
        self._camera.join()
        assert self.client.stop(10.0)

    @property
    def connected(self) -> bool:
        return self.status is not None and self.status.link.connected

    def begun(self) -> int:
        """How many have begun to be sent."""
        return self.pictures.showing._number

    def _film(self) -> None:
        while not self._stopped.wait(0.025):
            self.number += 1
            image = np.full((48, 64, 3), 6 * (self.number % LEVELS), np.uint8)
            cleared = GATE.clear(Frame(FrameKey("shown", self.number), image, "bgr8"))
            self.pictures.send(encode_view(cleared))


@pytest.fixture
def shower(
    gateway: EmbeddedGateway, keys: Path, tmp_path: Path, wait_for: Callable[..., None]
) -> Iterator[Shower]:
    made = Shower(gateway, keys, tmp_path)
    made.start()
    try:
        wait_for(lambda: made.connected, "the link")
        yield made
    finally:
        made.stop()


def test_pictures_come_while_they_are_asked_for_two_a_second(
    shower: Shower, http: Callable[..., httpx.Response], wait_for: Callable[..., None]
) -> None:
    wait_for(lambda: shower.number > 20, "pictures that nobody asks for")
    assert shower.begun() == 0
    assert shower.looks == []

    wait_for(lambda: http(PATH).status_code == 200, "a picture")
    began_s, before, seen = time.monotonic(), shower.begun(), set()

    def look() -> bool:
        answer = http(PATH)
        shown = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
        assert shown.shape == (48, 64, 3)
        seen.add(round(float(shown.mean()) / 6))
        return len(seen) >= 5

    wait_for(look, "pictures that go on")
    # However long that took: two a second, and the one that was due when it began.
    took_s = time.monotonic() - began_s
    assert shower.begun() - before <= 2 * took_s + 2
    assert max(shower.looks) <= 10.0

    # Nobody asks any more: the wish ends, and whatever the camera makes stays here.
    def unwanted() -> bool:
        return not shower.pictures.showing.wanted(time.monotonic_ns())

    wait_for(unwanted, "the end of the wish")
    before, made = shower.begun(), shower.number
    wait_for(lambda: shower.number > made + 40, "more pictures")
    assert shower.begun() == before


def test_a_device_that_shows_nothing_says_why(
    gateway: EmbeddedGateway,
    keys: Path,
    tmp_path: Path,
    http: Callable[..., httpx.Response],
    wait_for: Callable[..., None],
) -> None:
    class Shut(NothingToHide):
        """A gate under whose promise no picture was made."""

        def passes_live(self, packet: Any) -> bool:
            return False

    made = Shower(gateway, keys, tmp_path)
    made.client._gate.clearer = Shut()
    made.start()
    try:
        wait_for(lambda: made.connected, "the link")
        wait_for(lambda: b"withheld" in http(PATH).content, "the reason")
        answer = http(PATH)
        assert answer.status_code == 404
        assert "privacy" in answer.json()["withheld"]
        assert made.begun() == 0
    finally:
        made.stop()


def test_a_device_that_does_not_know_it_is_not_asked(
    gateway: EmbeddedGateway,
    connect_device: Callable[..., Any],
    http: Callable[..., httpx.Response],
) -> None:
    device = connect_device(gateway, device="cam-1", stream="older")
    receive, said = device.websocket.recv, list[Any]()

    def recv(timeout: float) -> bytes | str:
        data = receive(timeout)
        said.append(decode(data))
        return data

    device.websocket.recv = recv
    for _ in range(3):
        assert http(PATH).status_code in (200, 404)
    device.infer(1, np.zeros((64, 64), np.uint8))  # what was said before has come
    assert {type(message) for message in said} <= {HeartbeatAck, Heartbeat, ResultMessage, Ack}
