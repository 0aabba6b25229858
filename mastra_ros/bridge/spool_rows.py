"""The rows of the spool's table: written, found, chosen and read back. See spool_file.SCHEMA."""

from __future__ import annotations

import sqlite3
import zlib

from ..errors import ProtocolError
from ..protocol import FrameMessage, decode
from ..types import FrameKey, Packet
from .salvage import SavedRecord
from .spool import rank_of, sending_class

OF_KEY = "stream = ? AND stamp_ns = ? AND frame_id = ?"


def packet_of(record: SavedRecord) -> Packet | None:
    """The packet of a record from a damaged file; None unless its checksum fits."""
    try:
        message = decode(record.data, bytes_max=len(record.data))
    except ProtocolError:
        return None
    if not isinstance(message, FrameMessage):
        return None
    packet = message.to_packet()
    return packet if record.checksum == checksum(packet.key, record.data) else None


def held(cursor: sqlite3.Cursor, key: FrameKey) -> tuple[int, int, int, int, float] | None:
    """rowid, sending class, rank, bytes and time of the record of a frame."""
    cursor.execute(
        f"SELECT rowid, sending, rank, bytes, put_s FROM record WHERE {OF_KEY}",  # noqa: S608
        key,
    )
    row: tuple[int, int, int, int, float] | None = cursor.fetchone()
    return row


def insert(cursor: sqlite3.Cursor, packet: Packet, data: bytes, put_s: float) -> None:
    key = packet.key
    cursor.execute(
        "INSERT INTO record"
        " (stream, stamp_ns, frame_id, sending, rank, put_s, bytes, checksum, data)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *key,
            sending_class(packet),
            rank_of(packet),
            put_s,
            len(data),
            checksum(key, data),
            data,
        ),
    )


def evict(cursor: sqlite3.Cursor, missing: int, totals: list[int]) -> int:
    """Delete the least worthy records until `missing` bytes are free; how many went."""
    count = 0
    while missing > 0:
        cursor.execute("SELECT rowid, rank, bytes FROM record ORDER BY rank, stamp_ns LIMIT 1")
        row, rank, size = cursor.fetchone()
        cursor.execute("DELETE FROM record WHERE rowid = ?", (row,))
        totals[rank] -= size
        missing -= size
        count += 1
    return count


def checksum(key: FrameKey, data: bytes) -> int:
    """Of the bytes and their frame; without an id the same as in older versions."""
    name = f"{key.stream}/{key.stamp_ns}" + (f"/{key.id}" if key.id else "")
    return zlib.crc32(data, zlib.crc32(name.encode()))


def take_over(cursor: sqlite3.Cursor, record: SavedRecord) -> None:
    """Keep a good record of a damaged file, unless its frame is here."""
    packet = packet_of(record)
    if packet is not None and held(cursor, packet.key) is None:
        insert(cursor, packet, record.data, record.put_s)
