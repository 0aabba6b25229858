"""Frames under one stamp are told apart on the device, by gateways of either version."""

from __future__ import annotations

import logging
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import msgpack
import pytest

from mastra_ros.bridge import SqliteSpool, spool_file
from mastra_ros.bridge.spool import MemorySpool, Spool
from mastra_ros.errors import SpoolError
from mastra_ros.protocol import Ack, FrameMessage, Message, ResultMessage
from mastra_ros.types import FrameKey, PacketKind

DEADLINE_MS = 5000.0
SCHEMA_0 = """
CREATE TABLE record (
    stream TEXT NOT NULL,
    stamp_ns INTEGER NOT NULL,
    sending INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    put_s REAL NOT NULL,
    bytes INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    data BLOB NOT NULL,
    UNIQUE (stream, stamp_ns)
);
CREATE INDEX by_sending ON record (sending, stamp_ns);
CREATE INDEX by_rank ON record (rank, stamp_ns, bytes);
CREATE INDEX by_age ON record (put_s);
PRAGMA application_id = 1297306706;
"""


def key(frame_id: str, stamp_ns: int = 7) -> FrameKey:
    return FrameKey("main", stamp_ns, frame_id)


def old_record(stamp_ns: int, kind: str = "key") -> bytes:
    """A record as the spool wrote it before frames had ids."""
    fields = {
        "stream": "main",
        "stamp_ns": stamp_ns,
        "kind": kind,
        "width_px": 64,
        "height_px": 48,
        "encoding": "bgr8",
        "payload": stamp_ns.to_bytes(8, "big"),
        "reference_ns": 1 if kind == "delta" else 0,
        "meta": {},
        "deadline_ms": 0.0,
        "hard": False,
        "late": True,
    }
    return bytes(msgpack.packb((3, fields), use_bin_type=True))


@pytest.fixture
def old_spool(tmp_path: Path) -> Path:
    """A spool as an older version left it: 20 key frames and 10 deltas."""
    path = tmp_path / "spool.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(SCHEMA_0)
        for n in range(100, 130):
            kind = "key" if n < 120 else "delta"
            data = old_record(n, kind)
            check = zlib.crc32(data, zlib.crc32(f"main/{n}".encode()))
            sending, rank = (0, 1) if kind == "key" else (1, 0)
            row = ("main", n, sending, rank, 4e9, len(data), check, data)
            db.execute("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        db.commit()
    return path


def test_a_spool_of_the_older_schema_gives_all_its_frames_without_ids(old_spool: Path) -> None:
    with closing(SqliteSpool(old_spool)) as spool:
        assert spool.stats().records == 30
        packets = spool.next_batch(100)
        assert [packet.key for packet in packets] == [key("", n) for n in range(100, 130)]
        assert [p.payload for p in packets] == [n.to_bytes(8, "big") for n in range(100, 130)]
        assert spool.stats().dropped_total == 0
        assert spool.acknowledge([key("", n) for n in range(100, 120)]) == 20
    with closing(SqliteSpool(old_spool)) as spool:
        assert [packet.key.stamp_ns for packet in spool.next_batch(100)] == list(range(120, 130))


def test_a_migration_of_the_spool_that_fails_loses_nothing(
    old_spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        broken = spool_file._AFTER_SCHEMA + "INSERT INTO nowhere VALUES (1);"
        patch.setattr(spool_file, "_AFTER_SCHEMA", broken)
        with closing(SqliteSpool(old_spool)) as spool:  # begun anew, with all its records
            assert len(spool.next_batch(100)) == 30
            assert spool.stats().dropped_total == 0
    with closing(SqliteSpool(old_spool)) as spool:
        assert len(spool.next_batch(100)) == 30


def test_a_spool_of_a_newer_version_is_left_alone(old_spool: Path) -> None:
    with closing(sqlite3.connect(old_spool)) as db:
        db.execute("ALTER TABLE record ADD COLUMN region TEXT")
        db.execute("PRAGMA user_version = 3")
    before = old_spool.read_bytes()
    with pytest.raises(SpoolError, match="expected a spool of version 2 or 0, got 3"):
        SqliteSpool(old_spool)
    assert not list(old_spool.parent.glob("*.damaged*"))
    assert old_spool.read_bytes() == before


@pytest.mark.parametrize("kind", ["disk", "memory"])
def test_two_frames_under_one_stamp_are_two_in_the_spool(
    kind: str, tmp_path: Path, packet: Any
) -> None:
    spool: Spool = SqliteSpool(tmp_path / "spool.sqlite") if kind == "disk" else MemorySpool()
    first = packet(7, PacketKind.DELTA, key=key("a-1"))
    second = packet(7, PacketKind.DELTA, key=key("a-2"), payload=bytes(300))
    assert spool.put([first, second]) == [True, True]
    renewed = packet(7, key=key("a-1"), payload=bytes(200))  # takes the place of its own delta
    assert spool.put([renewed, packet(0, key=key("a-3", 0))]) == [True, True]
    found = {p.key: (p.kind.value, len(p.payload)) for p in spool.next_batch(9)}
    assert found == {
        key("a-1"): ("key", 200),
        key("a-2"): ("delta", 300),
        key("a-3", 0): ("key", 500),
    }
    assert [p.key for p in spool.next_batch(9, {key("a-1")})] == [key("a-3", 0), key("a-2")]
    assert spool.acknowledge([key("a-2"), key("", 7)]) == 1
    assert {p.key for p in spool.next_batch(9)} == {key("a-1"), key("a-3", 0)}
    spool.close()


def test_frames_under_one_stamp_are_answered_each_for_itself(
    connected: Any, gateway: Any, ears: Any, packet: Any
) -> None:
    def slow_first(frame: FrameMessage) -> list[Message]:
        return [] if frame.id == "a-1" else gateway.commit(frame)

    gateway.answer = slow_first
    client = connected()
    for frame_id in ("a-1", "a-2"):
        client.send(packet(7, key=key(frame_id)), DEADLINE_MS)
    ears.wait(lambda: ears.results, "a result")
    assert [result.key for result in ears.results] == [key("a-2")]
    ears.wait_status(lambda s: s.acknowledged_id == "a-2" and s.acknowledged_ns == 7, "its picture")
    assert ears.status.link.in_flight == 1


def as_older(messages: list[Message]) -> list[Message]:
    """What a gateway of an older version answers: the same, without ids."""
    plain: list[Message] = []
    for message in messages:
        if isinstance(message, ResultMessage):
            plain.append(ResultMessage(message.stream, message.stamp_ns, "cloud", labels=("open",)))
        elif isinstance(message, Ack):
            plain.append(Ack(message.stream, message.stamp_ns, message.duplicate))
    return plain


def test_an_older_gateway_is_understood_by_its_stamps_and_said_once(
    connected: Any, gateway: Any, ears: Any, packet: Any, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.answer = lambda frame: as_older(gateway.commit(frame))
    client = connected()
    with caplog.at_level(logging.WARNING):
        for number in (1, 2, 3):
            client.send(packet(number, key=key(f"a-{number}", number)), DEADLINE_MS)
        ears.wait(lambda: len(ears.results) == 3, "results")
        ears.wait_status(lambda s: s.link.in_flight == 0 and s.acknowledged_id == "a-3")
    assert [result.key for result in ears.results] == [key(f"a-{n}", n) for n in (1, 2, 3)]
    assert sum("knows frames by their stamps alone" in line for line in caplog.messages) == 1


def test_an_older_gateway_empties_a_spool_of_frames_with_ids(
    bridge: Any, config: Any, gateway: Any, ears: Any, packet: Any
) -> None:
    gateway.answer = lambda frame: as_older(gateway.commit(frame))
    client = bridge(config())
    for number in (1, 2, 3):
        client.send(packet(number, key=key(f"a-{number}", number), late=True), 0.0)
    ears.wait_status(lambda s: s.delivered_late == 3 and s.link.spooled == 0, "an empty spool")
    assert {result.key for result in ears.results} == {key(f"a-{n}", n) for n in (1, 2, 3)}
    assert all(result.late for result in ears.results)


def test_a_spool_of_the_older_version_is_delivered_and_its_frames_count_once(
    bridge: Any, config: Any, gateway: Any, ears: Any, old_spool: Path
) -> None:
    # Before the update one of its frames was committed, and its acknowledgement was lost.
    gateway.committed.append(key("", 100))
    bridge(config(spool_path=str(old_spool)))
    ears.wait_status(lambda s: s.delivered_late == 30 and s.link.spooled == 0, "an empty spool")
    assert {frame.id for frame in gateway.frames} == {""}
    assert sorted(k.stamp_ns for k in gateway.committed) == list(range(100, 130))
