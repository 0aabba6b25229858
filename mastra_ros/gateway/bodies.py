"""Bodies of requests over HTTP: read up to a limit, decoded, and read on where they are refused.

A server that answers without reading the body, and closes, makes most clients see a broken pipe
and never the answer: they read only when all is sent, and what they then send is answered with a
reset. So what is refused is read on for a while, and thrown away (RFC 9112, 9.6).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import zlib
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .auth import DEVICE
from .memory import Account

DRAIN_S = 30.0
STRANGER_DRAIN_S = 10.0
"""A refused body is read on for so long at most; that of who has shown no token, for less."""
DRAIN_FACTOR = 8
"""A refused body is read on up to so many times the limit of bodies."""
CODINGS = ("gzip", "x-gzip", "deflate")
"""Codings of a body that are understood (RFC 9110, 8.4.1)."""

_NO_WEIGHT = re.compile(r"q\s*=\s*0(\.0*)?")

PART_BYTES = 262_144
"""A larger body is put together in a thread."""


@dataclass
class BadRequest(Exception):  # noqa: N818 - the client's fault and no error of ours
    """The request cannot be served, for the reason in `text`."""

    status: int
    text: str


async def read_body(request: Request, bytes_max: int, account: Account) -> bytes:
    """The body as it came. Raises BadRequest when it is larger than allowed or ends early.

    MemoryError when `account` has no room for it.
    """
    too_large = BadRequest(413, f"body: expected at most {bytes_max} bytes")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > bytes_max:
        raise BadRequest(413, f"{too_large.text}, got {announced}")
    # Pieces: where all of it is one buffer that grows, each step may copy 20 MB and hold up every
    # frame for it. Not what comes each time: of a byte or two, that takes many times its size.
    parts = [bytearray()]
    size = 0
    try:
        async for part in request.stream():
            account.hold(len(part))
            if len(parts[-1]) >= PART_BYTES:
                parts.append(bytearray())
            parts[-1] += part
            size += len(part)
            if size > bytes_max:
                raise too_large
    except ClientDisconnect:
        raise BadRequest(400, "the body ended early") from None
    if size <= PART_BYTES:
        return bytes(parts[0])
    return await asyncio.get_running_loop().run_in_executor(None, b"".join, parts)


def coding_of(request: Request) -> str:
    """How the body is coded; empty when it is not. Raises BadRequest(415) for what is unknown."""
    text = ", ".join(request.headers.getlist("content-encoding"))
    coding = text.strip().lower()
    if coding in ("", "identity"):
        return ""
    if coding not in CODINGS:
        raise BadRequest(
            415, f"content-encoding: expected gzip, deflate or none, got {text!r:.100}"
        )
    return coding


def decoded(body: bytes, coding: str, bytes_max: int) -> bytes:
    """The body without its coding. Raises BadRequest when it is damaged or grows too large."""
    if not coding:
        return body
    if coding == "deflate":
        return _inflate(
            body, zlib.MAX_WBITS if _has_zlib_header(body) else -zlib.MAX_WBITS, bytes_max
        )
    return _inflate(body, zlib.MAX_WBITS | 16, bytes_max)


def wanted_coding(request: Request) -> str:
    """How the answer may be coded (RFC 9110, 12.5.3); empty where it may not be."""
    text = ",".join(request.headers.getlist("accept-encoding"))
    for entry in text.lower().split(","):
        name, _, weight = (part.strip() for part in entry.partition(";"))
        if name in ("gzip", "deflate") and not _NO_WEIGHT.fullmatch(weight):
            return name
    return ""


def encoded(body: bytes, coding: str) -> bytes:
    """The body in a coding, quickly rather than as small as possible."""
    bits = zlib.MAX_WBITS | 16 if coding == "gzip" else zlib.MAX_WBITS
    stream = zlib.compressobj(1, zlib.DEFLATED, bits)
    return stream.compress(body) + stream.flush()


def _has_zlib_header(body: bytes) -> bool:
    """Some clients send raw deflate where RFC 9110 wants it inside zlib."""
    return len(body) >= 2 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0


def _inflate(body: bytes, window_bits: int, bytes_max: int) -> bytes:
    made = bytearray()
    rest = body
    while rest or not made:  # gzip may have several members
        stream = zlib.decompressobj(window_bits)
        try:
            made += stream.decompress(rest, bytes_max + 1 - len(made))
        except zlib.error as error:
            raise BadRequest(400, f"body: cannot be decompressed ({error})") from None
        if len(made) > bytes_max:
            raise BadRequest(413, f"body: expected at most {bytes_max} bytes when decompressed")
        if not stream.eof:
            raise BadRequest(400, "body: its compressed data end early")
        rest = stream.unused_data
        if rest and window_bits < 16:
            raise BadRequest(400, f"body: {len(rest)} bytes follow its compressed data")
        if not rest:
            break
    return bytes(made)


class ReadOn:
    """ASGI middleware: an answer that comes before the body has ended ends with the body.

    The answer is sent at once, for those who look for it while they send; its last byte is held
    back until the body is read, so that the connection is not closed while they do.
    """

    def __init__(self, app: ASGIApp, *, body_bytes_max: int) -> None:
        self._app = app
        self._body_bytes_max = body_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._body_bytes_max)
        await self._app(scope, exchange.receive, exchange.send)


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, bytes_max: int) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._bytes_max = bytes_max
        headers = {name.lower(): value for name, value in scope["headers"]}
        self._read = not (b"content-length" in headers or b"transfer-encoding" in headers)
        self._read = self._read or headers.get(b"content-length") == b"0"
        # Who waits for leave to send (RFC 9110, 10.1.1) sends nothing once an answer has come.
        self._waits = headers.get(b"expect", b"").lower() == b"100-continue"

    async def receive(self) -> Message:
        message = await self._receive()
        self._waits = False
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._read = True
        return message

    async def send(self, message: Message) -> None:
        if self._read:
            await self._send(message)
        elif message["type"] == "http.response.start":
            headers = [*message.get("headers", []), (b"connection", b"close")]
            await self._send({**message, "headers": headers})
        elif message.get("more_body", False) or self._waits:
            await self._send(message)
        else:
            # All but the last byte: with all of its length sent, an answer is over.
            body = message.get("body", b"")
            await self._send({**message, "body": body[:-1], "more_body": True})
            await self._drain()
            await self._send({**message, "body": body[-1:]})

    async def _drain(self) -> None:
        limit_s = DRAIN_S if DEVICE in self._scope else STRANGER_DRAIN_S
        with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
            await asyncio.wait_for(self._read_away(self._bytes_max * DRAIN_FACTOR), limit_s)

    async def _read_away(self, left: int) -> None:
        while left > 0 and not self._read:
            message = await self.receive()
            left -= len(message.get("body", b""))
