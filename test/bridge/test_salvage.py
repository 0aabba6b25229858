"""Good records are read out of files that SQLite itself refuses, and nothing else is."""

from __future__ import annotations

import random
import zlib
from pathlib import Path

import pytest

from mastra_ros.bridge import SqliteSpool
from mastra_ros.bridge.salvage import SavedRecord, salvage
from mastra_ros.errors import ProtocolError
from mastra_ros.protocol import FrameMessage, decode
from mastra_ros.types import FrameKey, Packet, PacketKind

COUNT = 60
SIZES = (10, 900, 4000, 9000, 70_000)


def good(record: SavedRecord) -> bool:
    try:
        return isinstance(decode(record.data, len(record.data)), FrameMessage)
    except ProtocolError:
        return False


def keys_in(path: Path) -> set[FrameKey]:
    found = [decode(record.data, len(record.data)) for record in salvage(path, good)]
    keys = [message.key for message in found if isinstance(message, FrameMessage)]
    assert len(keys) == len(set(keys))
    return set(keys)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    rng = random.Random(3)
    spool = SqliteSpool(tmp_path / "spool.sqlite")
    for n in range(COUNT):
        payload = rng.randbytes(rng.choice(SIZES))
        spool.put([Packet(FrameKey("main", 1000 + n), PacketKind.KEY, payload, 8, 8, "jpeg")])
    spool.close()
    return tmp_path / "spool.sqlite"


ALL = {FrameKey("main", 1000 + n) for n in range(COUNT)}


def test_a_whole_file_gives_all_its_records(path: Path) -> None:
    assert keys_in(path) == ALL


def test_records_come_back_to_the_byte(path: Path) -> None:
    for record in salvage(path, good):
        message = decode(record.data, len(record.data))
        assert isinstance(message, FrameMessage)
        assert record.put_s > 1.6e9
        named = zlib.crc32(f"main/{message.stamp_ns}".encode())
        assert record.checksum == zlib.crc32(record.data, named)


def test_what_is_in_the_log_alone_counts_too(tmp_path: Path) -> None:
    spool = SqliteSpool(tmp_path / "spool.sqlite")
    spool.put([Packet(FrameKey("main", 1), PacketKind.KEY, b"x" * 9000, 8, 8, "jpeg")])
    assert keys_in(tmp_path / "spool.sqlite") == {FrameKey("main", 1)}
    spool.close()


def test_records_that_were_deleted_do_not_come_back(tmp_path: Path) -> None:
    spool = SqliteSpool(tmp_path / "spool.sqlite")
    for n in range(COUNT):
        spool.put([Packet(FrameKey("main", n), PacketKind.KEY, b"x" * 9000, 8, 8, "jpeg")])
    spool.acknowledge([FrameKey("main", n) for n in range(COUNT - 10)])
    spool.close()
    assert (
        len(keys_in(tmp_path / "spool.sqlite") - {FrameKey("main", n) for n in range(50, 60)}) <= 2
    )


@pytest.mark.parametrize("byte", [*range(24), *range(28, 100, 4)])
def test_a_flip_in_the_header_costs_no_record(path: Path, byte: int) -> None:
    data = bytearray(path.read_bytes())
    data[byte] ^= 0x41
    path.write_bytes(data)
    assert keys_in(path) == ALL


def test_a_lost_header_and_schema_cost_no_record(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[:4096] = bytes(4096)
    path.write_bytes(data)
    assert keys_in(path) == ALL


def test_flips_cost_the_records_that_they_hit_and_no_other(path: Path) -> None:
    rng = random.Random(5)
    data = bytearray(path.read_bytes())
    for _ in range(5):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    found = keys_in(path)
    assert found <= ALL
    assert len(found) >= COUNT - 25  # a page of the smallest ones holds several


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.7])
def test_a_file_cut_short_gives_what_is_left(path: Path, kept: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    assert keys_in(path) <= ALL


def test_noise_gives_nothing_and_raises_nothing(tmp_path: Path) -> None:
    rng = random.Random(7)
    for n in range(20):
        noise = tmp_path / f"{n}"
        noise.write_bytes(rng.randbytes(rng.choice([0, 1, 99, 4096, 50_000])))
        assert keys_in(noise) == set()


def test_noise_behind_a_true_header_gives_nothing(path: Path) -> None:
    rng = random.Random(8)
    head = path.read_bytes()[:100]
    for _ in range(10):
        path.write_bytes(head + b"".join(bytes([0x0D]) + rng.randbytes(4095) for _ in range(20)))
        assert keys_in(path) == set()


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(OSError, match="link"):
        keys_in(tmp_path / "link")
