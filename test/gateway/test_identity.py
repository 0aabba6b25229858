"""A frame is (device, stream, stamp, id): two under one stamp are two, one sent twice is one."""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from mastra_ros.compression import Decoder, Encoder
from mastra_ros.config import CompressionConfig, GatewayConfig
from mastra_ros.errors import StoreError
from mastra_ros.gateway import sqlite_store
from mastra_ros.gateway.frames import Answer, Frames
from mastra_ros.gateway.metrics import Metrics
from mastra_ros.gateway.models import Models, ServedModel
from mastra_ros.gateway.references import References
from mastra_ros.gateway.sqlite_store import FILE_NAME, SqliteStore
from mastra_ros.gateway.store import FrameId, Record
from mastra_ros.privacy import hiding_nothing
from mastra_ros.protocol import Ack, FrameMessage, ResultMessage, decode
from mastra_ros.types import Detections, Frame, FrameKey

DEADLINE_S = 20.0
STAMP_NS = 1_600_000_000_000_000_000

SCHEMA_1 = """
CREATE TABLE IF NOT EXISTS results (
    id INTEGER PRIMARY KEY,
    device TEXT NOT NULL,
    stream TEXT NOT NULL,
    stamp_ns INTEGER NOT NULL,
    committed_s REAL NOT NULL,
    data BLOB NOT NULL,
    UNIQUE (device, stream, stamp_ns)
)
"""


class GrayDetector:
    """Finds one box whose score is the mean gray level of the picture."""

    labels = ("gray",)
    model = "gray"
    version = "1"

    def detect_batch(self, frames: Any) -> list[Detections]:
        box = np.array([[0, 0, 1, 1]], np.float32)
        return [
            Detections(
                box,
                np.array([frame.image.mean() / 255], np.float32),
                np.zeros(1, np.int32),
                self.labels,
            )
            for frame in frames
        ]

    def close(self) -> None:
        """Nothing to free."""


class Gateway:
    """The way of frames through a gateway with a real store and a real decoder."""

    def __init__(self, folder: Path) -> None:
        self.store = SqliteStore(folder)
        metrics = Metrics()
        self._executor = ThreadPoolExecutor(2)
        config = GatewayConfig(batch_size_max=1, batch_delay_ms=0.0)
        self._models = Models([ServedModel("gray", GrayDetector(), config, metrics)])
        self._frames = Frames(
            store=self.store,
            references=References(Decoder, self._executor, streams_max=4, bytes_max=10**8),
            models=self._models,
            metrics=metrics,
            executor=self._executor,
            frames_max=9,
            pixels_max=10**6,
        )

    async def take(self, message: FrameMessage) -> tuple[Answer, ResultMessage, Ack]:
        answer = await self._frames.answer("cam", message, 0)
        result, ack = answer.messages
        assert isinstance(result, ResultMessage)
        assert isinstance(ack, Ack)
        return answer, result, ack

    async def close(self) -> None:
        await self._frames.close()
        await self._models.close()
        self._executor.shutdown()
        self.store.close()


def run(folder: Path, *messages: FrameMessage) -> list[tuple[str, float, str]]:
    """Outcome, gray level found and id of each frame, sent one after the other."""

    async def main() -> list[tuple[str, float, str]]:
        gateway = Gateway(folder)
        told = []
        try:
            for message in messages:
                answer, result, ack = await gateway.take(message)
                assert result.key == ack.key == message.key
                gray = float(result.to_result().detections.scores[0]) * 255
                told.append((answer.outcome, round(gray), ack.id))
        finally:
            await gateway.close()
        return told

    return asyncio.run(main())


GATE = hiding_nothing("pictures made for this test")


def picture(gray: int) -> Any:
    return np.full((64, 64), gray, np.uint8)


def message(gray: int, frame_id: str = "", stamp_ns: int = STAMP_NS) -> FrameMessage:
    encoder = Encoder(CompressionConfig(codec="png"))
    frame = Frame(FrameKey("main", stamp_ns, frame_id), picture(gray), "mono8")
    packet = encoder.encode(GATE.clear(frame))
    return FrameMessage.from_packet(packet)


def test_two_recordings_with_the_same_stamps_each_get_their_own_results(tmp_path: Path) -> None:
    first = [message(40, f"a-{n}", STAMP_NS + n) for n in range(3)]
    second = [message(200, f"b-{n}", STAMP_NS + n) for n in range(3)]
    told = run(tmp_path, *first, *second)
    assert told[:3] == [("committed", 40, f"a-{n}") for n in range(3)]
    assert told[3:] == [("committed", 200, f"b-{n}") for n in range(3)]
    again = run(tmp_path, *second, *first)
    assert [outcome for outcome, _, _ in again] == ["duplicate"] * 6
    assert [gray for _, gray, _ in again] == [200] * 3 + [40] * 3


def test_an_older_device_is_known_by_stream_and_stamp_beside_newer_ones(tmp_path: Path) -> None:
    told = run(tmp_path, message(10), message(99, "a-1"), message(10), message(99, "a-1"))
    assert told == [
        ("committed", 10, ""),
        ("committed", 99, "a-1"),
        ("duplicate", 10, ""),
        ("duplicate", 99, "a-1"),
    ]


def test_a_delta_whose_acknowledgement_was_lost_and_its_key_frame_count_once(
    tmp_path: Path,
) -> None:
    encoder = Encoder(CompressionConfig(codec="png"))
    frames = [Frame(FrameKey("main", STAMP_NS, f"a-{n}"), picture(n), "mono8") for n in (40, 90)]
    key = FrameMessage.from_packet(encoder.encode(GATE.clear(frames[0])))
    encoder.acknowledge(STAMP_NS, "a-40")
    changed = frames[0].image.copy()
    changed[:32, :32] = 255
    frame = Frame(FrameKey("main", STAMP_NS, "a-50"), changed, "mono8")
    delta = FrameMessage.from_packet(encoder.encode(GATE.clear(frame)))
    assert delta.kind == "delta"
    # Its acknowledgement is lost: it goes to the spool, and is encoded anew, whole, by its id.
    renewed = FrameMessage.from_packet(encoder.encode(GATE.clear(frame), late=True))
    told = run(tmp_path, key, delta, renewed)
    assert [outcome for outcome, _, _ in told] == ["committed", "committed", "duplicate"]
    assert told[1][1:] == told[2][1:]
    with closing(SqliteStore(tmp_path)) as store:
        assert store.count() == 2


def test_a_message_as_older_devices_write_it_has_no_id() -> None:
    fields = {
        "stream": "main",
        "stamp_ns": STAMP_NS,
        "kind": "key",
        "width_px": 4,
        "height_px": 4,
        "encoding": "mono8",
        "payload": b"x",
        "reference_ns": 0,
        "meta": {},
        "deadline_ms": 0.0,
        "hard": False,
        "late": True,
    }
    read = decode(msgpack.packb((3, fields), use_bin_type=True))
    assert isinstance(read, FrameMessage)
    assert read.key == FrameKey("main", STAMP_NS)


def old_result(gray: int, stamp_ns: int) -> bytes:
    """A result as the store of schema 1 holds it: without an id."""
    fields = {
        "stream": "main",
        "stamp_ns": stamp_ns,
        "origin": "cloud",
        "boxes": np.array([[0, 0, 1, 1]], "<f4").tobytes(),
        "scores": np.array([gray / 255], "<f4").tobytes(),
        "classes": np.zeros(1, "<i4").tobytes(),
        "labels": ["gray"],
        "model": "gray",
        "version": "1",
        "inference_ms": 1.0,
        "late": False,
        "error": "",
    }
    return bytes(msgpack.packb((5, fields), use_bin_type=True))


@pytest.fixture
def old_store(tmp_path: Path) -> Path:
    """A folder with a store of schema 1 that holds 50 results."""
    folder = tmp_path / "state"
    folder.mkdir()
    with closing(sqlite3.connect(folder / FILE_NAME)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(SCHEMA_1)
        db.execute("PRAGMA user_version = 1")
        for n in range(50):
            db.execute(
                "INSERT INTO results (device, stream, stamp_ns, committed_s, data)"
                " VALUES (?, ?, ?, ?, ?)",
                ("cam", "main", STAMP_NS + n, 4e9, old_result(n, STAMP_NS + n)),
            )
        db.commit()
    return folder


def test_a_store_of_the_older_schema_answers_older_devices_and_no_newer_frame(
    old_store: Path,
) -> None:
    told = run(old_store, message(7, "", STAMP_NS + 3), message(7, "a-1", STAMP_NS + 3))
    # What a spool of the older version sends again has no id either, and counts once.
    assert told == [("duplicate", 3, ""), ("committed", 7, "a-1")]
    with closing(SqliteStore(old_store)) as store:
        assert store.count() == 51
        for n in range(50):
            record = store.find(FrameId("cam", "main", STAMP_NS + n))
            assert record is not None
            assert record.data == old_result(n, STAMP_NS + n)
        assert not store.commit(Record(FrameId("cam", "main", 1, "x"), b"new")).result(9).duplicate
    with closing(sqlite3.connect(old_store / FILE_NAME)) as db:
        ids = [row[0] for row in db.execute("SELECT id FROM results ORDER BY stamp_ns, id")]
        assert ids[1:4] == [1, 2, 3], "the oldest are forgotten first, by their old numbers"


def test_a_migration_that_fails_loses_nothing(
    old_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        broken = (*sqlite_store._FROM_1, "INSERT INTO nowhere VALUES (1)")
        patch.setattr(sqlite_store, "_FROM_1", broken)
        with pytest.raises(StoreError, match="no such table: nowhere"):
            SqliteStore(old_store)
    with closing(SqliteStore(old_store)) as store:
        assert store.count() == 50
        assert store.find(FrameId("cam", "main", STAMP_NS + 49)) is not None
