"""Rows of gateways that lie: whatever they say, the device lives, and loses nothing it kept."""

from __future__ import annotations

import contextlib
import hashlib
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mastra_ros.artefacts import BYTES_MAX
from mastra_ros.bridge.artefacts.folder import FILES_MAX
from mastra_ros.protocol import (
    Ack,
    FrameMessage,
    KeyFrameRequest,
    Message,
    Nack,
    ResultMessage,
    Session,
    Settings,
    encode,
)
from mastra_ros.protocol.artefacts import EXTENSION as ARTEFACTS
from mastra_ros.protocol.artefacts import ArtefactOffer, ArtefactPiece

from .row import Record, row
from .scene import Scene, scene
from .site import Sites, wait_until

ITEM = "0 lying gateways"


def _say(at: Scene, data: Any) -> bool:
    """Send bytes to the device if it is there."""
    with contextlib.suppress(Exception):  # it may hang up in the midst of it, as it should
        at.gateway.say_raw(data)
        return True
    return False


def _assault(at: Scene, record: Record, pieces: Sequence[Any], each_waits: bool = True) -> None:
    """Say each of these to the device, which may hang up and comes again."""
    for piece in pieces:
        if each_waits:
            wait_until(lambda: bool(at.gateway._connections))
        record.attempts += 1
        _say(at, piece)


def _under(sites: Sites, record: Record, pieces: Sequence[Any]) -> None:
    """Frames are kept and sent while these are said, and all of them arrive in the end."""
    at = scene(sites)
    with at.talking(sites, record) as stamps:
        stamps += at.device.do("send", count=20, late=True)
        _assault(at, record, pieces)
        stamps += at.device.do("send", count=20, late=False)


def _messages() -> list[bytes]:
    """Whole messages that a gateway may send, each a kind."""
    boxes = np.ones((3, 4), "<f4").tobytes()
    result = ResultMessage(
        "main",
        5,
        "cloud",
        boxes=boxes,
        scores=np.full(3, 0.5, "<f4").tobytes(),
        classes=np.zeros(3, "<i4").tobytes(),
        labels=("a", "b"),
    )
    return [
        encode(message)
        for message in (
            result,
            Ack("main", 5, False),
            Nack("main", 5, "corrupt", "text"),
            Settings({"compression.quality": 70}),
            KeyFrameRequest("main"),
        )
    ]


@row(ITEM, "messages with bytes flipped, cut and repeated")
def mutated(sites: Sites, record: Record) -> None:
    """Each ends its session or does nothing."""
    rng = random.Random(3)
    whole = _messages()
    pieces = []
    for _ in range(sites.over_runs(60, 3000)):
        data = bytearray(rng.choice(whole))
        for _ in range(rng.choice([1, 1, 3, 10])):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        if rng.random() < 0.3:
            data = data[: rng.randrange(len(data))] * rng.choice([1, 2])
        pieces.append(bytes(data))
    _under(sites, record, pieces)


@row(ITEM, "lists inside lists, and millions of empty ones")
def bombs(sites: Sites, record: Record) -> None:
    """None is unpacked."""
    kinds = [
        b"\x91" * 2_000_000,
        b"\xdd\x00\x7f\x00\x00" + b"\x90" * 0x7F0000,
        b"\xdc\xff\xff" * 100_000,
        b"\x81\xa1a" * 500_000,
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        encode(Settings({"x": ""}))[:-1] + b"\xdb\x7f\xff\xff\xff",
    ]
    _under(sites, record, kinds * sites.over_runs(1, 8))


@row(ITEM, "fragments that never end")
def fragments(sites: Sites, record: Record) -> None:
    """A message is bounded before it is whole."""

    def endless() -> Any:
        for _ in range(2000):
            yield bytes(64 * 1024)

    _under(sites, record, [endless() for _ in range(sites.over_runs(2, 10))])


@row(ITEM, "messages as text, and of types that nobody knows")
def unknown(sites: Sites, record: Record) -> None:
    """Unknown types are skipped in thousands, text ends the session."""
    import msgpack

    types = [msgpack.packb([1, kind, {}]) for kind in (0, 63, 64, 99, 127, 255, 2**40)]
    _under(sites, record, ["hello", "", *types * sites.over_runs(5, 200)])


def _answering(
    sites: Sites, record: Record, answer: Callable[[Scene, FrameMessage], Sequence[Message]]
) -> None:
    """Frames are sent to a gateway that answers like this; all come to a good one at last."""
    at = scene(sites)
    number = sites.over_runs(20, 300)
    with at.talking(sites, record) as stamps:
        at.gateway.answer = lambda frame: answer(at, frame)
        stamps += at.device.do("send", count=number // 2, late=True)
        for _ in range(number // 2):
            stamps += at.device.do("send", count=1, late=False, deadline_ms=300.0)
            time.sleep(0.01)
        wait_until(lambda: len(at.gateway.frames) >= 3)
        record.attempts += number


@row(ITEM, "acknowledgements of frames that were never sent, and each twice")
def false_acks(sites: Sites, record: Record) -> None:
    """They acknowledge nothing."""

    def answer(at: Scene, frame: FrameMessage) -> list[Message]:
        wrong = [
            Ack(frame.stream, frame.stamp_ns + 1, False),
            Ack(frame.stream, 0, True),
            Ack("another", frame.stamp_ns, False),
            Ack(frame.stream, frame.stamp_ns, False, id="another"),
        ]
        return [*wrong, *at.gateway.commit(frame), Ack(frame.stream, frame.stamp_ns, True)]

    _answering(sites, record, answer)


@row(ITEM, "results without acknowledgements")
def no_acks(sites: Sites, record: Record) -> None:
    """The frames are kept, and come to a gateway that commits them."""

    def answer(at: Scene, frame: FrameMessage) -> list[Message]:  # noqa: ARG001
        return [ResultMessage(frame.stream, frame.stamp_ns, "cloud", id=frame.id)]

    _answering(sites, record, answer)


@row(ITEM, "answers that never come")
def no_answers(sites: Sites, record: Record) -> None:
    """Frames fail at their deadlines, and are kept."""
    _answering(sites, record, lambda at, frame: [])  # noqa: ARG005


@row(ITEM, "a gateway that is overloaded for ever")
def overloaded(sites: Sites, record: Record) -> None:
    """What it refuses is kept for later."""

    def answer(at: Scene, frame: FrameMessage) -> list[Message]:  # noqa: ARG001
        return [Nack(frame.stream, frame.stamp_ns, "overloaded", "later\nERROR forged", frame.id)]

    _answering(sites, record, answer)


@row(ITEM, "sessions that end at once, again and again")
def short_sessions(sites: Sites, record: Record) -> None:
    """The device does not come ever faster, and keeps what it has."""
    at = scene(sites)
    with at.talking(sites, record) as stamps:
        stamps += at.device.do("send", count=10, late=True)
        for _ in range(sites.over_runs(10, 200)):
            wait_until(at.connected)
            at.hang_up()
            record.attempts += 1
        before = len(at.gateway.tokens)
        time.sleep(0.3)
        record.expect(len(at.gateway.tokens) - before < 40, "the device connects in a tight loop")


@row(ITEM, "a gateway that greets nobody, and then one that hears and says nothing")
def mute(sites: Sites, record: Record) -> None:
    """The device gives up in time, and finds the gateway when it is well again."""
    at = scene(sites)
    with at.talking(sites, record) as stamps:
        at.gateway.mute = True
        stamps += at.device.do("send", count=10, late=False)
        wait_until(lambda: not at.connected())
        at.gateway.tokens.clear()
        at.gateway.mute, at.gateway.greets = False, False
        record.attempts += 2
        stamps += at.device.do("send", count=10, late=True)
        wait_until(lambda: len(at.gateway.tokens) >= 1)


@row(ITEM, "offers of artefacts without number, without bytes, and that never come")
def offers(sites: Sites, record: Record) -> None:
    """Files and folders on the device are bounded, and frames go on beside them."""
    at = scene(sites)
    nothing, never = hashlib.sha256().hexdigest(), "0" * 64
    with at.talking(sites, record) as stamps:
        at.gateway.extensions = (ARTEFACTS,)
        at.hang_up()
        wait_until(lambda: any(ARTEFACTS in one.extensions for one in _sessions(at)))
        stamps += at.device.do("send", count=20, late=True)
        messages: list[Message] = []
        for n in range(sites.over_runs(200, 20_000)):
            kind, name = f"kind-{n}", f"name-{n}"
            messages.append(ArtefactOffer(4 * n, kind, name, 0, nothing))
            messages.append(ArtefactOffer(4 * n + 1, kind, name, 0, never))
            messages.append(ArtefactOffer(4 * n + 2, kind, name, BYTES_MAX, never, life_s=0.05))
            messages.append(ArtefactPiece(4 * n + 3, 10**6, b"never asked for", gone=n % 2 == 1))
        for message in messages:
            record.attempts += _say(at, encode(message))
        stamps += at.device.do("send", count=20, late=False)
        wait_until(lambda: bool(_stored(at)))
    record.expect(len(_stored(at)) <= FILES_MAX, f"{len(_stored(at))} files were stored")


def _sessions(at: Scene) -> list[Session]:
    return list(at.gateway._connections.values())


def _stored(at: Scene) -> list[Path]:
    return [path for path in at.device.artefacts.glob("*/*/*") if path.is_file()]
