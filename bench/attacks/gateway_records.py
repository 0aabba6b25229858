"""Rows of records and artefacts: what is wrong costs its device a refusal, and nobody else."""

from __future__ import annotations

import contextlib
from typing import Any

from mastra_ros.protocol import Hello, Message, Records, RecordsAck, encode
from mastra_ros.protocol.artefacts import ArtefactAck, ArtefactPiece, ArtefactRequest
from mastra_ros.protocol.records import RecordItem
from mastra_ros.records import pack_body

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
        hello = Hello(1, "evil-1", stream, extensions=("records", "artefacts"))
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
