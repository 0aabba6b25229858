"""Rows of what is said: logs that forge nothing and stay small, requests answered with 400."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed

from mastra_ros.errors import ProtocolError
from mastra_ros.protocol import FrameMessage, Goodbye, decode, encode
from mastra_ros.protocol.keys import load_device_key
from mastra_ros.protocol.tokens import sign_token

from . import client
from .healthy import tls_of
from .row import Record, row
from .site import Site, Sites

LOGS, REQUESTS = "10 logs", "10 requests"
INFER = "/v2/models/tiny/infer"
STAMP_NS = 1_611_686_018_427_387_904
FORGED = "2026-01-01 00:00:00,000 INFO mastra_ros.gateway.server: forged"
SEPARATORS = ("\n", "\r\n", "\x1b[2K\r", "\x0b", "\x85", "\u2028", "\u202e")


@row(LOGS, "goodbyes whose text forges lines")
def forged_lines(sites: Sites, record: Record) -> None:
    """Control characters are escaped."""
    site = sites.site()
    record.attempts = len(SEPARATORS)

    async def attack() -> None:
        for n, separator in enumerate(SEPARATORS):
            async with client.session(site, "evil-1", f"forge-{n}") as websocket:
                # Past our own class, which would escape it before it is sent.
                text = f"bye{separator}{FORGED}"
                good = encode(Goodbye("closing", "x" * len(text.encode())))
                await websocket.send(good.replace(b"x" * len(text.encode()), text.encode()))
                await client.closes(websocket)

    with site.watched(record, least_s=sites.least_s):
        client.run(attack())
    lines = site.log.splitlines()
    record.expect(not any(line.startswith(FORGED) for line in lines), "a line was forged")
    record.expect("\x1b" not in site.log, "a terminal would be told what to do")


@row(LOGS, "paths, names and tokens that forge lines")
def forged_requests(sites: Sites, record: Record) -> None:
    """Whatever of a request is logged is one line."""
    site = sites.site()
    record.attempts = 3
    with site.watched(record, least_s=sites.least_s):
        for path in (f"/%0A{FORGED.replace(' ', '%20')}", "/v2/models/%1B%5B2K", "/%E2%80%A8x"):
            client.request(site, path)
            client.request(site, path, headers={"Authorization": "Bearer a.b.c"})
    lines = site.log.splitlines()
    record.expect(not any(line.startswith(FORGED) for line in lines), "a line was forged")
    record.expect("\x1b" not in site.log, "a terminal would be told what to do")


@row(LOGS, "thousands of refused tokens")
def refused_tokens(sites: Sites, record: Record) -> None:
    """One line a kind and minute."""
    site = sites.site()
    record.attempts = sites.over_runs(60, 4000)
    before = len(site.log.splitlines())
    with (
        site.watched(record, least_s=sites.least_s),
        httpx.Client(base_url=f"https://127.0.0.1:{site.port}", verify=tls_of(site.keys)) as http,
    ):
        for n in range(record.attempts):
            # A stranger of another name each time, and then rubbish that differs.
            forged = sign_token(f"nobody-{n}", load_device_key(site.keys, "evil-1"), "x")
            token = forged if n % 2 else f"{n}.{n}.{n}"
            http.get("/v2", headers={"Authorization": f"Bearer {token}"})
    lines = site.log.splitlines()[before:]
    record.expect(len(lines) <= 12, f"{len(lines)} lines of log for {record.attempts} refusals")


@row(LOGS, "thousands of refused frames")
def refused_frames(sites: Sites, record: Record) -> None:
    """One line a kind and minute."""
    site = sites.site()
    record.attempts = sites.many(300, 8000)
    before = len(site.log.splitlines())

    async def attack() -> None:
        async with client.session(site, "evil-3", "refused") as websocket:
            for n in range(1, record.attempts + 1):
                stream = "refused" if n % 2 else f"other-{n}"
                message = FrameMessage(stream, n, "key", 64, 64, "mono8", b"damaged")
                await websocket.send(encode(message))
            with contextlib.suppress(Exception):
                while await client.hear(websocket, 0.5) is not None:
                    pass

    with site.watched(record, least_s=sites.least_s):
        client.run(attack())
    lines = site.log.splitlines()[before:]
    record.expect(len(lines) <= 12, f"{len(lines)} lines of log for {record.attempts} frames")


def _tensor(**changes: Any) -> dict[str, Any]:
    tensor = {"name": "image", "datatype": "UINT8", "shape": [8, 8], "data": [0] * 64}
    return {**tensor, **changes}


def _post(site: Site, body: bytes, headers: dict[str, str] | None = None) -> int:
    answer = client.request(site, INFER, method="POST", content=body, headers=headers or {})
    return answer.status_code


def _all_are_400(sites: Sites, record: Record, posts: list[tuple[bytes, dict[str, str]]]) -> None:
    site = sites.site()
    record.attempts = len(posts)
    with site.watched(record, least_s=sites.least_s):
        for body, headers in posts:
            status = _post(site, body, headers)
            record.expect(status == 400, f"{body[:60]!r} {headers} got {status}")


@row(REQUESTS, "lengths of headers with thousands of digits")
def absurd_lengths(sites: Sites, record: Record) -> None:
    """And other lengths that are none."""
    name = "Inference-Header-Content-Length"
    lengths = ("9" * 5000, "9" * 4301, "0" * 4000, "-1", "1e3", "+1", "0x10", "1_000")
    _all_are_400(sites, record, [(b"{}", {name: length}) for length in lengths])


@row(REQUESTS, "numbers beyond what a double holds")
def absurd_numbers(sites: Sites, record: Record) -> None:
    """In data, shapes and sizes."""
    absurd = [10**400, -(10**400), 10**308 * 9, float("inf"), float("nan"), 2**64]
    bodies = [_tensor(data=[n] * 64) for n in absurd] + [_tensor(shape=[n, 8]) for n in absurd]
    bodies += [_tensor(data=None, parameters={"binary_data_size": n}) for n in absurd]
    posts: list[tuple[bytes, dict[str, str]]]
    posts = [(json.dumps({"inputs": [tensor]}).encode(), {}) for tensor in bodies]
    posts.append((b'{"inputs": [' + b"9" * 5000 + b"]}", {}))
    _all_are_400(sites, record, posts)


@row(REQUESTS, "lone surrogates in texts")
def surrogates(sites: Sites, record: Record) -> None:
    """They cannot be sent back."""
    lone = "\ud800"
    requests: list[dict[str, Any]] = [
        {"id": lone, "inputs": [_tensor()]},
        {"inputs": [_tensor(name=lone)]},
        {"inputs": [_tensor(datatype=lone)]},
        {"inputs": [_tensor()], "outputs": [{"name": lone}]},
        {"inputs": [_tensor(data=[lone] * 64)]},
    ]
    _all_are_400(sites, record, [(json.dumps(one).encode(), {}) for one in requests])


@row(REQUESTS, "what is no HTTP")
def no_http(sites: Sites, record: Record) -> None:
    """Each connection ends by itself, with 400 or without a word."""
    site = sites.site()
    heads = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /v1/stream HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nX\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X-A: 1\r\n" * 5000 + b"\r\n",
        bytes(range(256)) + b"\r\n\r\n",
    ]
    record.attempts = len(heads)
    with site.watched(record, least_s=sites.least_s):
        for head in heads:
            raw = socket.create_connection(("127.0.0.1", site.port), timeout=15.0)
            context: ssl.SSLContext = tls_of(site.keys)
            with context.wrap_socket(raw, server_hostname="127.0.0.1") as wrapped:
                answer = b""
                with contextlib.suppress(OSError):
                    wrapped.sendall(head)
                    while part := wrapped.recv(65_536):
                        answer += part
                good = not answer or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
                record.expect(good, f"{head[:40]!r} was answered {answer[:40]!r}")


@row(REQUESTS, "stamps that no header of ROS can carry")
def impossible_stamps(sites: Sites, record: Record) -> None:
    """Neither end takes them: a frame's here, a result's in the device."""
    site = sites.site()
    stamps = (2**63 - 1, -(2**63), 2**31 * 10**9, -(2**31) * 10**9 - 1)
    record.attempts = len(stamps)
    good = encode(FrameMessage("stamps", STAMP_NS, "key", 8, 8, "mono8", b""))
    number = STAMP_NS.to_bytes(8, "big")

    async def attack() -> None:
        for n, stamp in enumerate(stamps):
            # As an older or other code would write it.
            wire = (b"\xd3" if stamp < 0 else b"\xcf") + stamp.to_bytes(8, "big", signed=stamp < 0)
            data = good.replace(b"\xcf" + number, wire).replace(b"\xd3" + number, wire)
            with contextlib.suppress(ProtocolError):
                decode(data)
                record.expect(False, f"stamp {stamp} was decoded")
            async with client.session(site, "evil-1", f"stamps-{n}") as websocket:
                with contextlib.suppress(ConnectionClosed):
                    await websocket.send(data)
                heard = await client.closes(websocket)
                named = any(isinstance(one, Goodbye) for one in heard)
                record.expect(named, f"stamp {stamp} ended no session")

    with site.watched(record, least_s=sites.least_s):
        client.run(attack())
