"""Artefacts come down from a real gateway: through cuts, whole, once, and to their device alone."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from mastra_ros.artefacts import Artefact
from mastra_ros.bridge import BridgeClient
from mastra_ros.bridge.artefacts import Received
from mastra_ros.bridge.clearing import NothingToHide
from mastra_ros.config import BridgeConfig
from mastra_ros.emulation import ShapingProxy, parse_faults
from mastra_ros.gateway.applications.keeping import Keeping
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.protocol import Role, Session
from mastra_ros.protocol.artefacts import ArtefactOffer, ArtefactPiece, ArtefactRequest
from mastra_ros.records import Record


class Devices:
    """Bridges, and the artefacts that they have received."""

    def __init__(self, keys: Path, folder: Path, stack: ExitStack) -> None:
        self._keys, self._folder, self._stack = keys, folder, stack
        self.received: list[Received] = []
        self._heard = threading.Condition()

    def connect(self, port: int, device: str = "cam-1") -> BridgeClient:
        config = BridgeConfig(
            gateway=f"wss://127.0.0.1:{port}",
            keys_dir=str(self._keys),
            device=device,
            stream="down",
            spool_path=str(self._folder / f"{device}.sqlite"),
            artefacts_dir=str(self._folder / device),
            reconnect_delay_min_s=0.02,
            reconnect_delay_max_s=0.1,
            heartbeat_interval_ms=50.0,
            heartbeat_timeout_ms=2000.0,
        )

        def nothing(*_: Any) -> None:
            pass

        client = BridgeClient(
            *(config,),
            on_result=nothing,
            on_failed=nothing,
            on_status=nothing,
            clearer=NothingToHide(),
            on_artefact=self._hear,
        )
        client.start()
        self._stack.callback(client.stop, 10.0)
        return client

    def _hear(self, received: Received) -> None:
        with self._heard:
            self.received.append(received)
            self._heard.notify_all()

    def await_count(self, count: int) -> list[Received]:
        with self._heard:
            assert self._heard.wait_for(lambda: len(self.received) >= count, 120), self.received
            return list(self.received)


@pytest.fixture
def devices(keys: Path, tmp_path: Path) -> Iterator[Devices]:
    with ExitStack() as stack:
        yield Devices(keys, tmp_path / "devices", stack)


def waiting(state: Path, *artefacts: Artefact) -> None:
    """Leave artefacts in the state of a gateway that does not run."""
    keeping = Keeping(state)
    for place, artefact in enumerate(artefacts):
        keeping.put("test", artefact, place, 0)
    keeping.close()


def test_a_large_one_arrives_whole_through_cuts_and_is_offered_no_more(
    tmp_path: Path, start_gateway: Callable[..., EmbeddedGateway], devices: Devices
) -> None:
    data = os.urandom(3_000_000)
    state = tmp_path / "state"
    waiting(state, Artefact("bundle", "large", data, version="3", device="cam-1", stream="down"))
    gateway = start_gateway(state)
    with ShapingProxy("127.0.0.1", gateway.port) as proxy:
        proxy.set_faults(parse_faults("rate=20mbit@0s"))
        devices.connect(proxy.port)
        part = tmp_path / "devices" / "cam-1" / "bundle" / "large"
        for wanted in (300_000, 900_000, 1_800_000):
            until_s = time.monotonic() + 120
            while not any(path.stat().st_size >= wanted for path in part.glob(".*.part")):
                assert time.monotonic() < until_s
                assert not devices.received
                time.sleep(0.005)
            proxy.set_faults(parse_faults("rate=20mbit@0s,reset@0s"))
            proxy.restart_clock()
        (received,) = devices.await_count(1)
        assert received.path.read_bytes() == data
        assert (received.offer.version, received.offer.kind) == ("3", "bundle")
        keeping = Keeping(state)
        until_s = time.monotonic() + 60
        while keeping.undelivered("cam-1", "down", time.time(), 10):
            assert time.monotonic() < until_s
            time.sleep(0.02)
        keeping.close()
    assert len(devices.received) == 1


def test_verdicts_go_up_and_the_yield_comes_down(
    tmp_path: Path, start_gateway: Callable[..., EmbeddedGateway], devices: Devices
) -> None:
    gateway = start_gateway(tmp_path / "state")
    client = devices.connect(gateway.port)
    for board, verdict in enumerate(("pass", "reject", "pass", "pass")):
        client.send_record(Record("verdict", board, {"verdict": verdict, "defects": []}))
    until_s = time.monotonic() + 120
    told: dict[str, Any] = {}
    while told.get("boards") != 4:
        assert time.monotonic() < until_s, told
        devices.await_count(1)
        newest = devices.received[-1]
        if newest.path.exists():
            told = json.loads(newest.path.read_bytes())
        time.sleep(0.01)
    assert (told["line"], told["pass"], told["yield"]) == ("cam-1/down", 3, 0.75)


def test_an_artefact_is_for_its_own_device_and_what_has_expired_for_nobody(
    tmp_path: Path,
    start_gateway: Callable[..., EmbeddedGateway],
    devices: Devices,
    connect_device: Callable[..., Any],
) -> None:
    state = tmp_path / "state"
    mine = Artefact("plan", "mine", b"mine", device="cam-1", stream="down")
    old = Artefact("plan", "old", b"old", device="cam-1", stream="down", expires_s=0.001)
    other = Artefact("plan", "other", b"other", device="cam-2", stream="down")
    waiting(state, old, other, mine)
    gateway = start_gateway(state)
    devices.connect(gateway.port)
    (received,) = devices.await_count(1)
    assert received.path.read_bytes() == b"mine"
    # Somebody else's is not given to one who asks for it by its number.
    thief = connect_device(gateway, stream="thief", greet=False)
    thief.session = Session(
        *(Role.DEVICE,),
        device="cam-1",
        stream="thief",
        now_ns=time.monotonic_ns(),
        extensions=("artefacts",),
    )
    thief.open()
    for number in range(1, 4):
        thief.send(ArtefactRequest(number, 0, 3))
        assert thief.expect(ArtefactPiece).gone
    assert not any(isinstance(event, ArtefactOffer) for event in thief._events)


def test_one_that_is_replaced_in_mid_transfer_is_given_up_and_the_newest_alone_arrives(
    tmp_path: Path, start_gateway: Callable[..., EmbeddedGateway], devices: Devices
) -> None:
    state = tmp_path / "state"
    whose: dict[str, Any] = {"device": "cam-1", "stream": "down"}
    waiting(state, Artefact("plan", "p", os.urandom(2_000_000), version="1", **whose))
    gateway = start_gateway(state, applications=())
    with ShapingProxy("127.0.0.1", gateway.port) as proxy:
        proxy.set_faults(parse_faults("rate=20mbit@0s"))
        devices.connect(proxy.port)
        home = tmp_path / "devices" / "cam-1" / "plan" / "p"
        until_s = time.monotonic() + 120
        while not any(path.stat().st_size >= 200_000 for path in home.glob(".*.part")):
            assert time.monotonic() < until_s
            time.sleep(0.005)
        newest = os.urandom(300_000)
        keeping = Keeping(state)
        for place, data in enumerate((os.urandom(500_000), newest), 1):
            assert keeping.put("test", Artefact("plan", "p", data, version="2", **whose), place, 0)
        keeping.close()
        while list(home.glob(".*.part")):
            assert time.monotonic() < until_s, "the one that is gone is fetched no further"
            time.sleep(0.005)
        proxy.set_faults(parse_faults("rate=20mbit@0s,reset@0s"))
        proxy.restart_clock()
        (received,) = devices.await_count(1)
    assert received.path.read_bytes() == newest
    assert [path.name for path in home.iterdir()] == [received.path.name]
