"""Statuses of devices at a real gateway: hostile ones, older devices, and who may read them."""

from __future__ import annotations

import math
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgpack
import numpy as np
import pytest

from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.protocol import Probe, ProbeAck, Role, Session, encode
from mastra_ros.protocol.clients import add_client, client_audience, load_client_key
from mastra_ros.protocol.keys import audience_of, load_device_key
from mastra_ros.protocol.statuses import StatusNack, StatusReport
from mastra_ros.protocol.tokens import sign_token
from mastra_ros.statuses import pack_status


def deep(levels: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for _ in range(levels):
        made = {"x": made}
    return made


HOSTILE: dict[str, Any] = {
    "no bytes": {"at_ns": 1},
    "no msgpack": b"\xc1",
    "no map": msgpack.packb([1]),
    "wrong types": msgpack.packb({"link": "up", "at_ns": 1}),
    "wrong types inside": msgpack.packb({"route": {"switches": [3]}}),
    "too large": msgpack.packb({"x": "y" * 5000}),
    "too many": b"\xdf\xff\xff\xff\xff",
    "too deep": msgpack.packb(deep(50)),
    "deeper": b"\x81\xa1x" * 1300 + b"\xc0",
    "NaN": msgpack.packb({"link": {"rtt_ms": math.nan}}),
    "infinite": msgpack.packb({"anything": [math.inf]}),
    "bytes inside": msgpack.packb({"x": b"raw"}),
    "keys of other types": msgpack.packb({1: 2}),
}


@pytest.fixture
def greet(connect_device: Callable[..., Any], gateway: EmbeddedGateway) -> Callable[..., Any]:
    """A device that has announced statuses, or not."""

    def make(stream: str, *, extensions: tuple[str, ...] = ("status",)) -> Any:
        device = connect_device(gateway, stream=stream, greet=False)
        device.session = Session(
            Role.DEVICE,
            device="cam-1",
            stream=stream,
            now_ns=time.monotonic_ns(),
            extensions=extensions,
        )
        device.open()
        return device

    return make


@pytest.fixture(scope="module")
def ask(gateway: EmbeddedGateway, keys: Path, tls: ssl.SSLContext) -> Callable[..., httpx.Response]:
    """Asks as the client ida, or as a device."""
    add_client(keys, "ida", "reader")

    def get(path: str, who: str = "ida") -> httpx.Response:
        if who == "ida":
            token = sign_token(who, load_client_key(keys, who), client_audience(keys))
        else:
            token = sign_token(who, load_device_key(keys, who), audience_of(keys))
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.get(f"{gateway.url}{path}", headers=headers, verify=tls, timeout=60)

    return get


def settle(device: Any) -> None:
    """Return when the gateway has taken in all that was said before."""
    device.send(Probe(5))
    device.expect(ProbeAck)


def status_of(ask: Callable[..., httpx.Response], stream: str, query: str = "") -> dict[str, Any]:
    told = ask(f"/v1/devices/cam-1/status?stream={stream}{query}").json()["streams"]
    (one,) = told
    return dict(one)


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_status_costs_one_nack_and_the_session_goes_on(
    greet: Callable[..., Any], ask: Callable[..., httpx.Response], what: str
) -> None:
    device = greet("status-bad")
    bad = StatusReport(1, 7, b"")
    object.__setattr__(bad, "body", HOSTILE[what])
    device.websocket.send(encode(bad))
    nack = device.expect(StatusNack)
    assert nack.number == 7
    assert nack.code in ("corrupt", "too_large")
    mark = time.time_ns()
    device.send(StatusReport(2, mark, pack_status({"at_ns": mark})))
    settle(device)
    assert not [event for event in device._events if isinstance(event, StatusNack)]
    assert status_of(ask, "status-bad")["newest"]["status"] == {"at_ns": mark}


def test_the_newest_and_those_since_a_time_are_read_in_order(
    greet: Callable[..., Any], ask: Callable[..., httpx.Response]
) -> None:
    device = greet("status-good")
    body = {"at_ns": 5, "link": {"rtt_ms": 4.5, "connected": True}, "of_a_newer_version": [1]}
    device.send(StatusReport(1, 9, pack_status(body)))
    for number in (1, 2, 3):
        past = pack_status({"at_ns": number})
        device.send(StatusReport(1, number, past, (10 - number) * 10_000))
    settle(device)
    told = status_of(ask, "status-good")
    assert told["newest"]["status"] == body
    assert (told["connected"], told["heard"]) == (True, True)
    assert [one["status"]["at_ns"] for one in told["history"]] == [1, 2, 3, 5]
    since = told["history"][1]["at_ns"] + 1_000_000
    told = status_of(ask, "status-good", f"&since={since}")
    assert [one["status"]["at_ns"] for one in told["history"]] == [3, 5]
    (listed,) = [one for one in ask("/v1/devices").json()["devices"] if one["device"] == "cam-1"]
    assert listed["status"]["status-good"]["status"] == body
    assert listed["last_seen_s"] <= time.time()
    assert listed["heard"]


def test_a_device_that_has_gone_is_marked_and_its_last_status_is_still_there(
    greet: Callable[..., Any],
    ask: Callable[..., httpx.Response],
    wait_for: Callable[..., None],
) -> None:
    device = greet("status-gone")
    device.send(StatusReport(1, 1, pack_status({"at_ns": 1})))
    settle(device)
    device.websocket.close()
    wait_for(lambda: not status_of(ask, "status-gone")["heard"], "it to be marked")
    told = status_of(ask, "status-gone")
    assert not told["connected"]
    assert told["newest"]["status"] == {"at_ns": 1}


def test_a_device_reads_its_own_status_alone(ask: Callable[..., httpx.Response]) -> None:
    assert ask("/v1/devices/cam-1/status", "cam-1").status_code == 200
    assert ask("/v1/devices/cam-2/status", "cam-1").status_code == 403
    assert ask("/v1/devices/nobody/status").status_code == 404
    assert ask("/v1/devices/nobody/status", "cam-1").status_code == 403
    assert ask("/v1/devices/cam-1/status?since=x").status_code == 400
    never = ask("/v1/devices/cam-2/status").json()
    assert (never["device"], never["streams"]) == ("cam-2", [])


def test_a_device_of_an_older_version_is_served_as_before(
    greet: Callable[..., Any], picture: Callable[..., np.ndarray]
) -> None:
    device = greet("status-old", extensions=())
    device.websocket.send(encode(StatusReport(1, 1, b"\xc1")))
    device.infer(3, picture((2, 2)))
    assert not any(isinstance(event, StatusNack) for event in device._events)
