"""Rows of records and artefacts: what is wrong costs its device a refusal, and nobody else."""

from __future__ import annotations

import contextlib
from typing import Any

from mastra_ros.protocol import Hello, Message, Records, RecordsAck, encode
from mastra_ros.protocol.artefacts import ArtefactAck, ArtefactPiece, ArtefactRequest
from mastra_ros.protocol.records import RecordItem
from mastra_ros.protocol.sets import SetAck, SetHead, SetPiece
from mastra_ros.protocol.statuses import StatusNack, StatusReport
from mastra_ros.records import pack_body
from mastra_ros.statuses import pack_status

from . import client
from .healthy import open_websocket
from .row import Record, row
from .site import Site, Sites

RECORDS = "20 records"
EPOCH = "0" * 16
WRONG: tuple[Any, ...] = (
    None,
    [],
    ["verdict", "1", 0, 5, b"\x80"],
    ["verdict", 1, 0, 5, b"\x90"],
    ["verdict", 1, 0, 5, b"\xdf\xff\xff\xff\xff"],
    ["verdict", 1, 0, 5, b"\x81\xa1a" * 5000],
    ["verdict", 1, 0, 5, bytes(70_000)],
    ["../verdict", 1, 0, 5, b"\x80"],
    ["verdict", 2**63 - 1, 2**63 - 1, 5, b"\x80"],
)


def _good(seq: int, kind: str = "verdict") -> list[Any]:
    return RecordItem(kind, seq, seq - 1, 5, pack_body({"n": seq})).to_list()


async def _speak(site: Site, stream: str, messages: list[Message]) -> list[Message | None]:
    """Say these as a device that knows records and artefacts, and hear what is answered."""
    heard: list[Message | None] = []
    async with open_websocket(site.port, site.keys, "evil-1", "127.0.0.1", 300.0) as websocket:
        hello = Hello(1, "evil-1", stream, extensions=("records", "artefacts", "status", "sets"))
        await websocket.send(encode(hello))
        for message in messages:
            await websocket.send(encode(message))
        with contextlib.suppress(Exception):
            while (answer := await client.hear(websocket, 2.0)) is not None:
                heard.append(answer)
    return heard


@row(RECORDS, "records of wrong types, sizes and depth")
def wrong_records(sites: Sites, record: Record) -> None:
    """One refusal each, and the session goes on."""
    site = sites.site()
    messages: list[Message] = [
        Records(n, "wrong", EPOCH, (wrong,)) for n, wrong in enumerate(WRONG)
    ]
    messages.append(Records(len(WRONG), "wrong", EPOCH, (_good(1, "last"),)))
    record.attempts = len(WRONG)
    heard: list[Any] = []
    with site.watched(record, least_s=sites.least_s):
        heard = client.run(_speak(site, "wrong", messages))
    acks = [one for one in heard if isinstance(one, RecordsAck)]
    record.expect(len(acks) == len(messages), f"{len(acks)} answers to {len(messages)} messages")
    record.expect(
        sum(len(ack.refused) for ack in acks) == len(WRONG), "not each wrong one was refused once"
    )


@row(RECORDS, "foreign streams, forged epochs and gaps")
def forged_records(sites: Sites, record: Record) -> None:
    """None is kept."""
    site = sites.site()
    messages: list[Message] = [
        Records(0, "somebody", EPOCH, (_good(1),)),
        Records(1, "forged", "../../epoch", (_good(1),)),
        Records(2, "forged", EPOCH, (_good(1),)),
        Records(3, "forged", EPOCH, (_good(9), _good(10))),
    ]
    messages += [
        Records(4 + n, "forged", f"{n:032x}", (_good(1, "epochs"),))
        for n in range(sites.many(50, 1000))
    ]
    record.attempts = len(messages)
    heard: list[Any] = []
    with site.watched(record, least_s=sites.least_s):
        heard = client.run(_speak(site, "forged", messages))
    acks = {one.number: one for one in heard if isinstance(one, RecordsAck)}
    for number in (0, 1, 3):
        told = acks.get(number)
        record.expect(told is not None and len(told.refused) == 1, f"message {number} was taken")


@row(RECORDS, "pieces of others' artefacts, and acknowledgements of them")
def foreign_artefacts(sites: Sites, record: Record) -> None:
    """Nothing of them is given."""
    site = sites.site()
    messages: list[Message] = []
    for n in range(sites.many(100, 5000)):
        messages.append(ArtefactRequest(n, 0, 65_536))
        messages.append(ArtefactAck(n, "0" * 64, "stored"))
    record.attempts = len(messages)
    heard: list[Any] = []
    with site.watched(record, least_s=sites.least_s):
        heard = client.run(_speak(site, "thief", messages))
    pieces = [one for one in heard if isinstance(one, ArtefactPiece)]
    record.expect(all(piece.gone and not piece.data for piece in pieces), "a piece was given")


STATUSES = (
    b"",
    b"\xc1",
    b"\x90",
    b"\xdf\xff\xff\xff\xff",
    b"\x81\xa1x" * 1300 + b"\xc0",
    b"\x81\xa1x\xcb\x7f\xf8" + bytes(6),  # NaN
    b"\x81\xa4link\xa2up",
    bytes(60_000),
)


@row(RECORDS, "statuses of wrong types, sizes and depth, and a flood of them")
def wrong_statuses(sites: Sites, record: Record) -> None:
    """One refusal each, and the session goes on."""
    site = sites.site()
    messages: list[Message] = [StatusReport(1, n, body) for n, body in enumerate(STATUSES)]
    flood = sites.many(200, 20_000)
    good = pack_status({"at_ns": 1})
    messages += [StatusReport(1, 100 + n, good) for n in range(flood)]
    messages.append(Records(0, "status", EPOCH, (_good(1),)))
    record.attempts = len(messages)
    heard: list[Any] = []
    with site.watched(record, least_s=sites.least_s):
        heard = client.run(_speak(site, "status", messages))
    nacks = [one.number for one in heard if isinstance(one, StatusNack)]
    wrong = sorted(number for number in nacks if number < len(STATUSES))
    record.expect(wrong == list(range(len(STATUSES))), f"refused of the wrong ones: {wrong}")
    record.expect(len(nacks) > len(STATUSES) + flood // 2, "the flood was not refused")
    record.expect(any(isinstance(one, RecordsAck) for one in heard), "the session did not go on")


def _head(seq: int, size: int, **other: Any) -> tuple[Any, ...]:
    told = {"set": "sweep", "after": seq - 1, "stamp_ns": 5, "epoch": EPOCH, **other}
    return SetHead(seq=seq, size=size, **told).to_tuple()


@row(RECORDS, "frames of sets with wrong heads, bodies and pieces")
def wrong_frames_of_sets(sites: Sites, record: Record) -> None:
    """One refusal each, nothing of them is kept, and the session goes on."""
    site = sites.site()
    heads: list[tuple[Any, ...]] = [
        (),
        ("sweep", 1),
        _head(1, 1, set="../sweep"),
        _head(1, 2**40),
        _head(1, -1),
        _head(1, 1, after=7),
        _head(1, 1, epoch="../../epoch"),
        _head(1, 1, stamp_ns=2**70 // 2**8),
        ([[[[[]]]]], 1, 0, 5, 1, EPOCH),
    ]
    messages: list[Message] = [SetPiece(n, "set", 0, b"x", head) for n, head in enumerate(heads)]
    wrong = len(heads)
    bodies = (b"\xc1", b"\x80", b"\x81\xa8sequence\xc0", b"\x82\xa8sequence\x01\xa5frame\xc4\x01x")
    for body in bodies:
        messages.append(SetPiece(wrong, "set", 0, body, _head(1, len(body))))
        wrong += 1
    messages.append(SetPiece(wrong, "somebody", 0, b"x", _head(1, 1)))
    messages.append(SetPiece(wrong + 1, "set", 0, b"xx", _head(1, 9)))  # a piece is missing
    messages.append(SetPiece(wrong + 1, "set", 5, b"xxxx"))
    wrong += 2
    messages += [SetPiece(10**6 + n, "set", 77, b"x") for n in range(sites.many(50, 5000))]
    messages.append(Records(0, "set", EPOCH, (_good(1),)))
    record.attempts = len(messages)
    heard: list[Any] = []
    with site.watched(record, least_s=sites.least_s):
        heard = client.run(_speak(site, "set", messages))
    acks = [one for one in heard if isinstance(one, SetAck)]
    numbers = sorted(one.number for one in acks)
    record.expect(numbers == list(range(wrong)), f"answered: {numbers}")
    record.expect(all(len(one.refused) == 1 for one in acks), "one of them was taken")
    record.expect(any(type(one) is RecordsAck for one in heard), "the session did not go on")
