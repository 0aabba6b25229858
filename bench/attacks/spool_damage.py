"""Rows of damaged spools: what is whole is delivered, what is lost is told, the spool is usable."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path

from .row import Record, row
from .scene import Scene, scene
from .site import Sites, wait_until

ITEM = "8 spool"
COUNT = 40
PAGE_BYTES = 4096
WAL_HEADER, WAL_FRAME = 32, 24 + PAGE_BYTES


def flip(path: Path, place: int, bit: int = 0x10) -> None:
    """One bit of a file."""
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ bit]))


def _each(
    sites: Sites,
    record: Record,
    damages: list[Callable[[Path], None]],
    lost_most: int = 0,
) -> None:
    """A filled spool, damaged like this, by a device that is started on it; again for each."""
    at = scene(sites)
    with at.watched(sites, record):
        for damage in damages:
            path = at.fresh_spool()
            stamps = at.fill(COUNT)
            damage(path)
            record.attempts += 1
            at.deliver()
            missing = at.missing(stamps)
            if missing > lost_most:
                record.lost += missing - lost_most
            if missing:
                _expect_told(at, record, missing)


def _expect_told(at: Scene, record: Record, missing: int) -> None:
    dropped = at.device.status.get("dropped", 0)
    record.expect(dropped >= missing, f"{missing} records are missing, {dropped} are counted")


@row(ITEM, "flips in the header of the file")
def header(sites: Sites, record: Record) -> None:
    """Of the format, the version, the application id: all records are delivered."""
    places = [0, 15, 18, 21, 40, 44, 56, 60, 63, 68, 71, 92, 96]
    chosen = sites.some(places, 4)
    _each(sites, record, [lambda path, at=at: flip(path, at) for at in chosen])  # type: ignore[misc]


@row(ITEM, "flips in the schema")
def schema(sites: Sites, record: Record) -> None:
    """All records are delivered."""

    def spoil(word: bytes) -> Callable[[Path], None]:
        return lambda path: flip(path, path.read_bytes().index(word), 0x04)

    words = [b"stamp_ns", b"by_sending", b"INTEGER", b"UNIQUE", b"record", b"CREATE"]
    _each(sites, record, [spoil(word) for word in sites.some(words, 2)])


@row(ITEM, "an index that names what is not there, and one that lacks records")
def index(sites: Sites, record: Record) -> None:
    """No record is handed out for ever, none is hidden."""

    def stale(before_that: str, statement: str) -> Callable[[Path], None]:
        def damage(path: Path) -> None:
            with contextlib.closing(sqlite3.connect(path)) as db:
                db.execute("PRAGMA journal_mode = DELETE")
                with db:
                    db.execute(before_that)
                query = "SELECT rootpage FROM sqlite_master WHERE name = 'by_sending'"
                (page,) = db.execute(query).fetchone()
                before = path.read_bytes()[(page - 1) * 4096 : page * 4096]
                with db:
                    db.execute(statement)
            with path.open("r+b") as file:
                file.seek((page - 1) * 4096)
                file.write(before)

        return damage

    twice = (
        "INSERT INTO record SELECT stream, stamp_ns, 'again', sending, rank, put_s, bytes,"
        " checksum, data FROM record WHERE rowid = 1"
    )
    gone = "DELETE FROM record WHERE frame_id = 'again'"
    _each(sites, record, [stale(twice, gone), stale(gone, twice)])


@row(ITEM, "flips anywhere in the file")
def anywhere(sites: Sites, record: Record) -> None:
    """What is damaged is dropped and counted, the rest is delivered."""
    rng = random.Random(8)

    def damage(path: Path) -> None:
        for _ in range(3):
            flip(path, rng.randrange(path.stat().st_size), 1 << rng.randrange(8))

    _each(sites, record, [damage] * sites.over_runs(3, 40), lost_most=3)


def _in_use(wal: Path) -> int:
    """Frames of the log's present generation."""
    data = wal.read_bytes()
    count = 0
    while data[WAL_HEADER + count * WAL_FRAME + 8 :][:8] == data[16:24]:
        count += 1
    return count


def _log_damaged(sites: Sites, record: Record, damage: Callable[[Path, int], None]) -> None:
    """The device is killed; its log is damaged; what is lost by that is told and counted."""
    at = scene(sites)
    with at.watched(sites, record):
        at.device.start("wss://127.0.0.1:1")
        stamps: list[int] = []
        for _ in range(30):  # a commit each
            stamps += at.device.keep(1)
        at.device.kill()
        wal = Path(f"{at.device.spool}-wal")
        half = _in_use(wal) // 2
        record.expect(half > 3, f"only {half} frames in the log")
        damage(wal, half)
        record.attempts += 1
        logged = len(at.device.log)
        at.device.start(at.gateway.uri)
        at.check_usable()
        missing = at.missing(stamps)
        _expect_told(at, record, missing)
        told = f"{missing} records that were kept are missing" in at.device.log[logged:]
        record.expect(told and missing > 0, f"{missing} are missing, and the log does not say so")


@row(ITEM, "a write-ahead log that is cut")
def log_cut(sites: Sites, record: Record) -> None:
    """SQLite says nothing of what stood behind."""

    def damage(wal: Path, half: int) -> None:
        os.truncate(wal, WAL_HEADER + half * WAL_FRAME + 100)

    _log_damaged(sites, record, damage)


@row(ITEM, "a write-ahead log with a flipped bit")
def log_flipped(sites: Sites, record: Record) -> None:
    """Likewise."""
    _log_damaged(sites, record, lambda wal, half: flip(wal, WAL_HEADER + half * WAL_FRAME + 100))


@row(ITEM, "SIGKILL while records are written")
def killed(sites: Sites, record: Record) -> None:
    """What was said to be kept is delivered after the next start."""
    at = scene(sites)
    with at.watched(sites, record):
        stamps: list[int] = []
        for _ in range(sites.over_runs(2, 30)):
            at.device.start("wss://127.0.0.1:1")
            stamps += at.device.keep(5)
            at.device.do("send", count=200, late=True)  # under way when it is killed
            os.kill(at.device.pid, signal.SIGKILL)
            at.device.kill()
            record.attempts += 1
        at.device.start(at.gateway.uri)
        record.lost += at.settle(stamps)
        at.check_usable()
        record.expect(not at.device.status["dropped"], "records were dropped")


@row(ITEM, "a clock that jumps years ahead between two runs")
def clock_between(sites: Sites, record: Record) -> None:
    """A record looks old then, and is delivered all the same."""

    def age(path: Path) -> None:
        with contextlib.closing(sqlite3.connect(path)) as db, db:
            db.execute("UPDATE record SET put_s = put_s - 3e8")

    _each(sites, record, [age])


@row(ITEM, "a clock that jumps ahead and back while frames are kept")
def clock_jumps(sites: Sites, record: Record) -> None:
    """No jump makes a record older."""
    at = scene(sites)
    with at.watched(sites, record):
        at.device.start("wss://127.0.0.1:1")
        stamps: list[int] = []
        jumps_s = sites.some((3e7, -3e7, 1e6, -2e6, 1e9), 3)
        for by_s in jumps_s:
            stamps += at.device.keep(5)
            at.device.do("jump", by_s=by_s)
            record.attempts += 1
        stamps += at.device.keep(5)
        at.device.stop()
        at.device.start(at.gateway.uri)
        wait_until(at.connected)
        record.lost += at.settle(stamps)
        at.device.drain()
        record.expect(not at.device.status["dropped"], "records were dropped")
        at.device.do("jump", by_s=-sum(jumps_s))


@row(ITEM, "pages of zeros, as a power cut leaves them")
def zeros(sites: Sites, record: Record) -> None:
    """What stood in them is dropped and counted, the rest is delivered."""
    rng = random.Random(9)

    def damage(path: Path) -> None:
        page = rng.randrange(1, path.stat().st_size // PAGE_BYTES)
        with path.open("r+b") as file:
            file.seek(page * PAGE_BYTES)
            file.write(bytes(PAGE_BYTES))

    _each(sites, record, [damage] * sites.over_runs(3, 30), lost_most=COUNT)
