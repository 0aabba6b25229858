"""Frames of WebSocket are cut out of whatever pieces they come in."""

from __future__ import annotations

import random

import pytest
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side

from mastra_ros.gateway.door.cutting import SMALL_BYTES, Cutter, framed, groups


class Heard:
    """What a cutter hands on."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.others = b""
        self.cutter = Cutter(self.messages.append, self.other)

    def other(self, data: bytes) -> bool:
        self.others += data
        return True


def frame(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=True)


ORDINARY = [b"", b"a", bytes(125), b"b" * 126, b"c" * 65_535, b"d" * SMALL_BYTES]
FRAGMENTS = [
    frame(Opcode.BINARY, b"one ", fin=False),
    frame(Opcode.PING, b"between"),
    frame(Opcode.CONT, b"two ", fin=False),
    frame(Opcode.CONT, b"three"),
]
OTHERS = [
    frame(Opcode.TEXT, b"text"),
    frame(Opcode.BINARY, bytes(SMALL_BYTES + 1)),
    *FRAGMENTS,
    frame(Opcode.PONG, b""),
]


@pytest.mark.parametrize("seed", range(4))
def test_the_cut_does_not_depend_on_the_pieces(seed: int) -> None:
    rng = random.Random(seed)
    ordinary = [frame(Opcode.BINARY, data) for data in ORDINARY]
    stream = b"".join([*ordinary[:3], *OTHERS, *ordinary[3:], OTHERS[0]])
    heard = Heard()
    at = 0
    while at < len(stream):
        size = rng.choice([1, 2, 3, 7, 100, 5000, 70_000])
        heard.cutter.feed(stream[at : at + size])
        at += size
    assert heard.messages == ORDINARY
    assert heard.others == b"".join([*OTHERS, OTHERS[0]])
    assert heard.cutter.waiting_bytes == 0


def test_a_message_in_fragments_is_left_to_the_protocol_to_its_end() -> None:
    heard = Heard()
    heard.cutter.feed(b"".join(FRAGMENTS[:2]))
    # Wrong at this place: not for the cutter to take it for a message of its own.
    heard.cutter.feed(frame(Opcode.BINARY, b"in between"))
    assert heard.messages == []
    assert heard.others == b"".join(FRAGMENTS[:2]) + heard.others[-len(b"in between") - 6 :]


@pytest.mark.parametrize(
    "head", [bytes((0x82, 5)), bytes((0xC2, 0x85)), bytes((0x83, 0x85)), bytes((0x82, 0xFF, 0xFF))]
)
def test_what_is_against_the_rules_is_left_to_the_protocol(head: bytes) -> None:
    heard = Heard()
    heard.cutter.feed(head + bytes(20))
    assert heard.messages == []
    assert heard.others.startswith(head)


def test_nothing_is_kept_of_what_is_not_wanted() -> None:
    messages: list[bytes] = []
    cutter = Cutter(messages.append, lambda _: False)
    cutter.feed(frame(Opcode.TEXT, b"text") + frame(Opcode.BINARY, b"after it"))
    assert messages == []
    assert cutter.waiting_bytes == 0


def test_what_is_written_together_is_read_as_so_many_messages() -> None:
    sent = [b"", b"x" * 125, b"y" * 126, b"z" * 65_536]
    client = Protocol(Side.CLIENT, max_size=None)
    client.receive_data(framed(sent))
    frames = [one for one in client.events_received() if isinstance(one, Frame)]
    assert [bytes(one.data) for one in frames] == sent
    assert all(one.fin and one.opcode is Opcode.BINARY for one in frames)


@pytest.mark.parametrize(
    ("sizes", "made"),
    [
        ([], []),
        ([3, 3, 4], [[3, 3, 4]]),
        ([3, 3, 5], [[3, 3], [5]]),
        ([50, 3, 50, 0, 11, 10], [[50], [3], [50], [0], [11], [10]]),
        ([1] * 25, [[1] * 10, [1] * 10, [1] * 5]),
    ],
)
def test_a_large_message_is_written_apart_from_the_small_ones_before_it(
    sizes: list[int], made: list[list[int]]
) -> None:
    found = [[len(data) for data in group] for group in groups([bytes(n) for n in sizes], 10)]
    assert found == made
