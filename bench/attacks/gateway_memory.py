"""Rows of memory and decoding: what a device sends costs it alone, and within bounds."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import os
import struct
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from websockets.asyncio.client import ClientConnection

from mastra_ros.compression import Encoder
from mastra_ros.config import CompressionConfig
from mastra_ros.privacy import hiding_nothing
from mastra_ros.protocol import Ack, FrameMessage, Goodbye, Heartbeat, Nack, Probe, encode
from mastra_ros.types import Frame, FrameKey

from . import client
from .row import MEBIBYTE, Attack, Record, row
from .site import ATTACKERS, Site, Sites

NESTED, MEMORY = "4 nesting", "5 memory"
GATE = hiding_nothing("drawn pictures; nobody is on them")
SIDE_PX = 5760  # 5760 * 5760 = 33.2 million
UNREAD = 500
"""Requests on one connection."""
INFER = "/v2/models/tiny/infer"

EMPTY_LISTS = b"\xdc\x08\x00" + b"\x90" * 2048


def _envelope(value: bytes) -> bytes:
    """A message of type 3 with one field, whose value is given as msgpack."""
    return b"\x92\x03\x81\xa4meta" + value


def _nested_lists() -> bytes:
    return _envelope(b"\xdc\x08\x00" + (b"\xdc\x07\xf0" + b"\x90" * 2032) * 2048)


def _small_maps() -> bytes:
    return _envelope(b"\xdc\x08\x00" + (b"\xdc\x07\xf0" + b"\x80" * 2032) * 2048)


def _deep() -> bytes:
    return _envelope(b"\x91" * 8_000_000 + b"\x90")


def _wide_maps() -> bytes:
    one = b"\xde\x00\xff" + b"".join(b"\xa2" + f"{n:02x}".encode() + b"\xc0" for n in range(255))
    return _envelope(b"\xdc\x08\x00" + one * 2048)


def _texts() -> bytes:
    return _envelope(b"\xdc\x08\x00" + (b"\xdc\x07\xf0" + b"\xa1x" * 2032) * 1024)


BOMBS = {
    "8 MB of nested empty lists": _nested_lists,
    "8 MB of empty maps in lists": _small_maps,
    "8 million lists inside each other": _deep,
    "half a million entries of maps": _wide_maps,
    "two million short texts": _texts,
}


def _bomb(sites: Sites, record: Record, data: bytes) -> None:
    site = sites.site()
    record.attempts = sites.over_runs(2, 100)
    record.memory_allowed = 128 * MEBIBYTE

    async def attack() -> None:
        for n in range(record.attempts):
            async with client.session(site, ATTACKERS[n % 3], f"bomb-{n}") as websocket:
                await websocket.send(data)
                heard = await client.closes(websocket)
                goodbyes = [one for one in heard if isinstance(one, Goodbye)]
                record.expect(bool(goodbyes), "the session did not end with a goodbye")

    with site.watched(record, least_s=sites.least_s):
        client.run(attack())


def _declare_bombs() -> None:
    def attack_with(make: Callable[[], bytes]) -> Attack:
        return lambda sites, record: _bomb(sites, record, make())

    for name, make in BOMBS.items():
        row(NESTED, name)(attack_with(make))


_declare_bombs()


@row(NESTED, "lists inside lists as the body of a request")
def nested_json(sites: Sites, record: Record) -> None:
    """JSON that grows twentyfold when it is read."""
    site = sites.site()
    record.attempts = sites.many(2, 8)
    record.memory_allowed = 1024 * MEBIBYTE + 128 * MEBIBYTE
    lists = b"[" + b"[]," * sites.many(2_000_000, 9_000_000) + b"[]]"
    tensor = b'{"name":"image","datatype":"UINT8","shape":[8,8],"data":' + lists + b"}"
    with site.watched(record, least_s=sites.least_s):
        for _ in range(record.attempts):
            answer = client.request(
                site, INFER, method="POST", content=b'{"inputs":[' + tensor + b"]}"
            )
            record.expect(answer.status_code in (400, 413, 503), f"status {answer.status_code}")


def _picture(stream: str, stamp_ns: int, side_px: int = SIDE_PX) -> FrameMessage:
    """A key frame that is large when it is decoded, and small as a file."""
    return replace(_drawn(side_px), stream=stream, stamp_ns=stamp_ns)


@functools.lru_cache
def _drawn(side_px: int) -> FrameMessage:
    """It takes long to make, and its name is not in it."""
    frame = Frame(FrameKey("any", 1), np.zeros((side_px, side_px, 3), np.uint8), "bgr8")
    encoder = Encoder(CompressionConfig(codec="jpeg"), "any")
    return FrameMessage.from_packet(encoder.encode(GATE.clear(frame)))


async def _large_pictures(site: Site, record: Record, devices: int, number: int) -> None:
    async def one(device: str) -> None:
        stream = f"large-{time.monotonic_ns()}"
        messages = await asyncio.to_thread(
            lambda: [encode(_picture(stream, n)) for n in range(1, number + 1)]
        )
        async with client.session(site, device, stream) as websocket:
            for data in messages:
                await websocket.send(data)
            answered, beats = 0, 0
            while answered < len(messages):
                try:
                    message = await client.hear(websocket, 1.0)
                except asyncio.TimeoutError:  # a device that waits says that it lives
                    await websocket.send(encode(Heartbeat(beats, 0)))
                    beats += 1
                    continue
                if message is None or isinstance(message, Goodbye):
                    record.expect(False, f"the session of large pictures has ended: {message}")
                    return
                answered += isinstance(message, (Ack, Nack))

    await asyncio.gather(*(one(device) for device in ATTACKERS[:devices]))


def _pictures(sites: Sites, record: Record, devices: int) -> None:
    # In the short form half of the budget, with fewer pictures.
    budget = sites.many(512, 1024) * MEBIBYTE
    site = sites.site(memory_bytes_max=budget)
    number = sites.many(6 // devices, 16)
    record.attempts = number * devices
    record.memory_allowed = budget
    with site.watched(record, least_s=sites.least_s):
        client.run(_large_pictures(site, record, devices, number))


@row(MEMORY, "pictures of 33 megapixels from one device")
def pictures_of_one(sites: Sites, record: Record) -> None:
    """Legal ones, as many as may be in flight."""
    _pictures(sites, record, 1)


@row(MEMORY, "pictures of 33 megapixels from three devices")
def pictures_of_three(sites: Sites, record: Record) -> None:
    """At the same time."""
    _pictures(sites, record, 3)


def _header(size: int, *, fin: bool, opcode: int = 2) -> bytes:
    """The header of a masked frame of a WebSocket; the mask is zero."""
    first = (0x80 if fin else 0) | opcode
    return bytes((first, 0x80 | 127)) + struct.pack(">Q", size) + bytes(4)


def _raw(websocket: ClientConnection, data: bytes) -> None:
    websocket.transport.write(data)


@row(MEMORY, "messages of 60 MB that are announced, and sent but for their end")
def unfinished_large(sites: Sites, record: Record) -> None:
    """Above the limit of 8 MB: refused at the header of the frame."""
    site = sites.site()
    record.attempts = sites.many(12, 24)
    record.memory_allowed = 96 * MEBIBYTE

    async def attack() -> None:
        async def one(n: int) -> None:
            async with client.session(site, ATTACKERS[n % 3], f"half-{n}") as websocket:
                _raw(websocket, _header(60_000_000, fin=True))
                with contextlib.suppress(OSError, RuntimeError):
                    for _ in range(100):
                        if websocket.transport.is_closing():
                            break
                        _raw(websocket, bytes(100_000))
                        await asyncio.sleep(0)
                heard = await client.closes(websocket)
                named = [one for one in heard if isinstance(one, Goodbye)]
                record.expect(
                    bool(named) and "8388608 bytes, got 60000000" in named[0].text,
                    f"the refusal does not say why: {named}",
                )

        await asyncio.gather(*(one(n) for n in range(record.attempts)))

    with site.watched(record, least_s=sites.least_s):
        client.run(attack())


@row(MEMORY, "messages in fragments that never end")
def endless_fragments(sites: Sites, record: Record) -> None:
    """Each fragment is small, and the sum is refused when it is above the limit."""
    site = sites.site()
    record.attempts = sites.many(6, 24)
    record.memory_allowed = 256 * MEBIBYTE
    fragment = _header(65_000, fin=False, opcode=0) + bytes(65_000)

    async def attack() -> None:
        async def one(n: int) -> None:
            async with client.session(site, ATTACKERS[n % 3], f"fragments-{n}") as websocket:
                _raw(websocket, _header(10, fin=False) + bytes(10))
                for _ in range(200):
                    if websocket.transport.is_closing():
                        break
                    _raw(websocket, fragment)
                    await asyncio.sleep(0.001)
                heard = await client.closes(websocket)
                goodbyes = [one for one in heard if isinstance(one, Goodbye)]
                record.expect(bool(goodbyes), "the session did not end with a goodbye")

        await asyncio.gather(*(one(n) for n in range(record.attempts)))

    with site.watched(record, least_s=sites.least_s):
        client.run(attack())


@row(MEMORY, "as many unfinished messages within the limit as sessions can hold")
def unfinished_legal(sites: Sites, record: Record) -> None:
    """Each is allowed; all together are not."""
    budget = 64 * MEBIBYTE
    site = sites.site(memory_bytes_max=budget)
    record.attempts = 24
    record.memory_allowed = budget + 64 * MEBIBYTE

    async def attack() -> None:
        async with contextlib.AsyncExitStack() as stack:
            for n in range(record.attempts):
                device = ATTACKERS[n % 3]
                with contextlib.suppress(Exception):
                    websocket = await stack.enter_async_context(
                        client.session(site, device, f"legal-{n}")
                    )
                    _raw(websocket, _header(8_000_000, fin=True) + bytes(7_000_000))
            await asyncio.sleep(0.5)
            took_ms = await client.connect_ms(site)
            record.expect(took_ms < sites.soon_ms, f"a device needed {took_ms:.0f} ms to connect")

    with site.watched(record, least_s=sites.least_s):
        client.run(attack())


@row(MEMORY, "a device that asks for probes and reads nothing")
def unread_answers(sites: Sites, record: Record) -> None:
    """What it does not take in is held for it within its share."""
    site = sites.site(memory_bytes_max=64 * MEBIBYTE)
    record.attempts = 120
    record.memory_allowed = 64 * MEBIBYTE

    async def attack() -> None:
        async with client.session(site, "evil-1", "probes") as websocket:
            websocket.transport.pause_reading()
            for n in range(record.attempts):
                await websocket.send(encode(Probe(n, 262_144)))
            await asyncio.sleep(0.3)
            websocket.transport.abort()

    with site.watched(record, least_s=sites.least_s):
        client.run(attack())


@row(MEMORY, "bodies of requests that are held open")
def held_bodies(sites: Sites, record: Record) -> None:
    """They have a budget of their own."""
    site = sites.site()
    record.attempts = sites.many(12, 24)
    record.memory_allowed = 256 * MEBIBYTE
    with site.watched(record, least_s=sites.least_s):
        held = []
        for _ in range(record.attempts):
            with contextlib.suppress(OSError):
                half = client.half_request(site, INFER, "evil-1", 32_000_000, bytes(1000))
                half.settimeout(0.5)
                held.append(half)
                half.sendall(bytes(20_000_000))
        for half in held:
            half.close()


@row(MEMORY, "pictures that unpack to more than they may, or than their messages say")
def decode_bombs(sites: Sites, record: Record) -> None:
    """The sizes are compared before anything is allocated."""
    site = sites.site()
    record.attempts = sites.many(4, 48)
    record.memory_allowed = 64 * MEBIBYTE
    stream = f"decode-{time.monotonic_ns()}"
    large = _picture(stream, 1, side_px=7000)

    async def attack() -> None:
        async with client.session(site, "evil-2", stream) as websocket:
            for n in range(1, record.attempts + 1):
                said_px = 7000 if n % 2 else 64
                bomb = replace(large, stamp_ns=n, width_px=said_px, height_px=said_px)
                await websocket.send(encode(bomb))
                while not isinstance(answer := await client.hear(websocket), (Ack, Nack)):
                    pass
                record.expect(isinstance(answer, Nack), "a bomb was acknowledged")

    with site.watched(record, least_s=sites.least_s):
        client.run(attack())


@row(NESTED, "messages with bytes flipped at random")
def mutated(sites: Sites, record: Record) -> None:
    """Whatever the bytes are, one session ends at most."""
    site = sites.site()
    record.attempts = sites.many(60, 2000)
    rng = np.random.default_rng(9)
    good = bytearray(encode(FrameMessage("mutated", 1, "key", 64, 64, "mono8", os.urandom(200))))

    async def attack() -> None:
        numbers = itertools.count()
        sent = 0
        while sent < record.attempts:
            async with client.session(site, "evil-3", f"mutated-{next(numbers)}") as websocket:
                with contextlib.suppress(Exception):
                    while sent < record.attempts:
                        sent += 1
                        data = bytearray(good)
                        for _ in range(3):
                            data[int(rng.integers(len(data)))] = int(rng.integers(256))
                        await websocket.send(bytes(data))

    with site.watched(record, least_s=sites.least_s):
        client.run(attack())


@row(MEMORY, "requests one behind the other, whose answers nobody reads")
def unread(sites: Sites, record: Record) -> None:
    """No more are answered than the connection takes in."""
    site = sites.site()
    record.attempts = sites.many(20, 100) * UNREAD
    record.memory_allowed = 64 * MEBIBYTE

    async def attack() -> None:
        writers = await client.tls(site, "127.0.0.2", record.attempts // UNREAD)
        for writer in writers:
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * UNREAD)
        took_ms = await client.connect_ms(site, "evil-3")
        record.expect(took_ms < sites.soon_ms, f"a device needed {took_ms:.0f} ms to connect")
        for writer in writers:
            writer.transport.abort()

    with site.watched(record, least_s=sites.least_s):
        client.run(attack())
