"""Records of devices at a real gateway: hostile ones, older devices, SIGKILL on both sides."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.gateway.records import SqliteRecordStore
from mastra_ros.gateway.records.store import Query
from mastra_ros.protocol import Records, RecordsAck, Role, Session, encode
from mastra_ros.protocol.records import Committed, RecordItem
from mastra_ros.records import pack_body

EPOCH = "0123456789abcdef"
WITHIN_S = 120.0


def item(seq: int, kind: str = "verdict") -> list[Any]:
    return RecordItem(kind, seq, seq - 1, 5, pack_body({"n": seq})).to_list()


@pytest.fixture
def greet(connect_device: Callable[..., Any], gateway: EmbeddedGateway) -> Callable[..., Any]:
    """A device that has announced records, or not."""

    def make(stream: str, *, extensions: tuple[str, ...] = ("records",)) -> Any:
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


def test_records_are_acknowledged_and_a_frame_beside_them_is_answered(
    greet: Callable[..., Any], picture: Callable[..., np.ndarray]
) -> None:
    device = greet("records-good")
    device.send(Records(1, "records-good", EPOCH, (item(1), item(2), item(1, "event"))))
    ack = device.expect(RecordsAck)
    assert list(ack.all_committed()) == [Committed("verdict", 2), Committed("event", 1)]
    device.infer(7, picture((1, 1)))


def test_a_record_may_have_64_kib_and_not_a_byte_more(greet: Callable[..., Any]) -> None:
    device = greet("records-largest")
    fill = 65_536 - len(pack_body({"fill": bytes(65_000)})) + 65_000
    largest = {"fill": bytes(fill)}
    assert len(pack_body(largest)) == 65_536
    over = msgpack.packb({"fill": bytes(fill + 1)})
    taken = RecordItem("verdict", 1, 0, 5, pack_body(largest)).to_list()
    device.send(Records(1, "records-largest", EPOCH, (taken,)))
    assert list(device.expect(RecordsAck).all_committed()) == [Committed("verdict", 1)]
    too_much = ["verdict", 2, 1, 5, over]
    device.send(Records(2, "records-largest", EPOCH, (too_much, item(1, "event"))))
    ack = device.expect(RecordsAck)
    assert list(ack.all_committed()) == [Committed("event", 1)]
    assert [one.seq for one in ack.all_refused()] == [2]


@pytest.mark.parametrize(
    "message",
    [
        Records(1, "records-bad", EPOCH, (item(1)[:4],)),
        Records(1, "records-bad", EPOCH, (["verdict", 2**63 - 1, 5, 5, b"\x80"] * 2,)),
        Records(1, "records-bad", EPOCH, (["verdict", 1, 0, 5, b"\xdd\xff\xff\xff\xff"],)),
        Records(1, "records-bad", EPOCH, (["verdict", 1, 0, 5, b"\x81\xa1a" * 300 + b"\xc0"],)),
        Records(1, "records-bad", EPOCH, (["verdict", 1, 0, 5, bytes(70_000)],)),
        Records(1, "records-bad", EPOCH, (["../verdict", 1, 0, 5, b"\x80"],)),
        Records(1, "somebody-else", EPOCH, (item(1),)),
        Records(1, "records-bad", "", (item(1),)),
        Records(1, "records-bad", EPOCH, ({"kind": [[[]]]},)),
    ],
)
def test_a_hostile_record_costs_one_refusal_and_the_session_goes_on(
    greet: Callable[..., Any], message: Records
) -> None:
    device = greet("records-bad")
    device.send(message)
    (refused,) = device.expect(RecordsAck).all_refused()
    assert refused.code in ("corrupt", "forbidden")
    device.send(Records(2, "records-bad", "f" * 16, (item(1, f"k{time.monotonic_ns()}"),)))
    ack = device.expect(RecordsAck)
    assert ack.number == 2
    assert not ack.refused


def test_a_gap_costs_one_refusal_that_says_where_to_go_on(greet: Callable[..., Any]) -> None:
    device = greet("records-gap")
    device.send(Records(1, "records-gap", EPOCH, (item(1),)))
    device.expect(RecordsAck)
    device.send(Records(2, "records-gap", EPOCH, (item(5), item(6))))
    (refused,) = device.expect(RecordsAck).all_refused()
    assert (refused.seq, refused.code, refused.last) == (5, "gap", 1)


def test_a_device_of_an_older_version_is_served_as_before(
    greet: Callable[..., Any], picture: Callable[..., np.ndarray]
) -> None:
    device = greet("records-old", extensions=())
    assert device.session.extensions == frozenset()
    device.websocket.send(encode(Records(1, "records-old", EPOCH, (item(1),))))
    device.infer(3, picture((2, 2)))
    assert not any(isinstance(event, RecordsAck) for event in device._events)


@pytest.fixture
def producer(tmp_path: Path, keys: Path) -> Iterator[Callable[[str, int], subprocess.Popen[str]]]:
    """Starts a device in a process of its own that tells records; ended after the test."""
    started: list[subprocess.Popen[str]] = []

    def start(uri: str, count: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "bench.record_teller", uri, str(keys)]
        command += [str(tmp_path / "device"), str(count), "cam-1"]
        root = str(Path(__file__).resolve().parents[3])
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": root},
            cwd=root,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def committed(folder: Path) -> int:
    """How many records a gateway that runs has committed."""
    db = sqlite3.connect(folder / "records.sqlite3")
    try:
        return int(db.execute("SELECT count(*) FROM record").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        db.close()


def test_kills_on_both_sides_lose_no_record_and_count_none_twice(
    tmp_path: Path,
    start_gateway: Callable[..., EmbeddedGateway],
    producer: Callable[[str, int], subprocess.Popen[str]],
) -> None:
    """The short form of bench/records.py --kills."""
    state, count = tmp_path / "state", 1500
    gateway = start_gateway(state)
    uri = f"wss://127.0.0.1:{gateway.port}"
    until_s = time.monotonic() + WITHIN_S
    for kills in range(4):
        device = producer(uri, count)
        wanted = (kills + 1) * count // 8
        while committed(state) < wanted and device.poll() is None:
            assert time.monotonic() < until_s, f"{committed(state)} records are committed"
            time.sleep(0.005)
        device.send_signal(signal.SIGKILL)
        device.wait()
        if kills % 2:
            gateway.restart()
    producer(uri, count)
    while committed(state) < count:
        assert time.monotonic() < until_s, f"{committed(state)} of {count} records are committed"
        time.sleep(0.02)
    gateway.stop()
    store = SqliteRecordStore(state)
    kept = store.page(Query(), 0, 10 * count)
    store.close()
    assert sorted(record.body["n"] for record in kept) == list(range(count)), (
        "none lost, none twice"
    )
    for kind in ("verdict", "event"):
        numbers = [record.body["n"] for record in kept if record.name.kind == kind]
        assert numbers == sorted(numbers), "in order"
