"""Rows of lock-out: nobody who may not come in, or only occupies a place, keeps others out."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import time

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from mastra_ros.protocol import Heartbeat, encode

from . import client
from .row import Record, many_files, row
from .site import DEADLINE_S, Site, Sites

ITEM = "3 lock-out"
CLIENT_HELLO = b"\x16\x03\x01\x00\x04\x01\x00\x00\x00"
"""The shortest: TLS answers it with an alert, where anybody listens."""
STRANGER, NEIGHBOUR, OWN = "127.0.0.3", "127.0.0.2", "127.0.0.1"


async def _a_device_comes_in(sites: Sites, site: Site, record: Record, times: int = 5) -> None:
    for _ in range(times):
        took_ms = await client.connect_ms(site, "evil-3")
        record.expect(took_ms < sites.soon_ms, f"a device needed {took_ms:.0f} ms to connect")


def _idle_tcp(sites: Sites, record: Record, source: str) -> None:
    site = sites.site()
    record.attempts = sites.many(600, 2000)

    async def attack() -> None:
        idle = await client.tcp(site, source, record.attempts)
        try:
            await _a_device_comes_in(sites, site, record)
        finally:
            for sock in idle:
                sock.close()

    with many_files(), site.watched(record, least_s=sites.least_s):
        client.run(attack())


async def _closed_unheard(site: Site, record: Record) -> None:
    """Strangers are let go at once, whatever they say, and long before a neighbour that is idle."""
    (neighbour,) = await client.tcp(site, NEIGHBOUR, 1)
    strangers = await client.tcp(site, STRANGER, 20)
    for sock in strangers[::2]:
        with contextlib.suppress(OSError):
            sock.send(CLIENT_HELLO)
    loop = asyncio.get_running_loop()
    heard = 0
    try:
        for sock in strangers:
            with contextlib.suppress(ConnectionError, OSError):
                heard += bool(await asyncio.wait_for(loop.sock_recv(sock, 1), DEADLINE_S))
        record.expect(not heard, f"{heard} strangers got an answer to their first words")
        with contextlib.suppress(BlockingIOError):  # nothing has come: it is as it was
            with contextlib.suppress(ConnectionError):
                neighbour.recv(1)
            record.expect(False, "strangers stay as long as a neighbour who says nothing")
    except asyncio.TimeoutError:
        record.expect(False, f"a stranger's connection is open after {DEADLINE_S:g} s")
    finally:
        for sock in (neighbour, *strangers):
            sock.close()


@row(ITEM, "idle connections from an address that is not on the allowlist")
def idle_strangers(sites: Sites, record: Record) -> None:
    """They cost an accept each, and are closed before a word is heard."""
    _idle_tcp(sites, record, STRANGER)
    client.run(_closed_unheard(sites.site(), record))
    lines = [line for line in sites.site().log.splitlines() if STRANGER in line]
    record.expect(0 < len(lines) <= 2, f"{len(lines)} lines of log about it")


@row(ITEM, "idle connections from an allowed address")
def idle_neighbours(sites: Sites, record: Record) -> None:
    """They never begin a handshake."""
    _idle_tcp(sites, record, NEIGHBOUR)


@row(ITEM, "idle connections from the device's own address")
def idle_own(sites: Sites, record: Record) -> None:
    """As behind one router."""
    _idle_tcp(sites, record, OWN)


@row(ITEM, "idle connections past their TLS handshake")
def idle_tls(sites: Sites, record: Record) -> None:
    """Each has cost a handshake, and then says nothing."""
    site = sites.site()
    record.attempts = sites.many(100, 1000)

    async def attack() -> None:
        opening = asyncio.ensure_future(client.tls(site, NEIGHBOUR, record.attempts))
        await asyncio.sleep(0.2)  # in the midst of it
        await _a_device_comes_in(sites, site, record)
        idle = await opening
        await _a_device_comes_in(sites, site, record)
        for writer in idle:
            writer.transport.abort()

    with many_files(), site.watched(record, least_s=sites.least_s):
        client.run(attack())


@row(ITEM, "handshakes that stop half-way")
def half_handshakes(sites: Sites, record: Record) -> None:
    """A record of TLS is announced, and a part of it is sent."""
    site = sites.site()
    record.attempts = sites.many(300, 2000)

    async def attack() -> None:
        idle = await client.tcp(site, NEIGHBOUR, record.attempts)
        for sock in idle:
            with contextlib.suppress(OSError):
                sock.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        try:
            await _a_device_comes_in(sites, site, record)
        finally:
            for sock in idle:
                sock.close()

    with many_files(), site.watched(record, least_s=sites.least_s):
        client.run(attack())


@row(ITEM, "heads of requests that never end")
def slow_heads(sites: Sites, record: Record) -> None:
    """A byte now and then keeps nobody's place."""
    site = sites.site()
    record.attempts = sites.many(80, 400)

    async def attack() -> None:
        slow = await client.tls(site, NEIGHBOUR, record.attempts)
        until = time.monotonic() + sites.least_s
        while time.monotonic() < until:
            for writer in slow:
                if not writer.transport.is_closing():
                    writer.write(b"X-A: 1\r\n" if slow.index(writer) % 2 else b"G")
            await _a_device_comes_in(sites, site, record, 1)
            await asyncio.sleep(0.1)
        for writer in slow:
            writer.transport.abort()

    with many_files(), site.watched(record, least_s=sites.least_s):
        client.run(attack())


@row(ITEM, "one device's key opens as many sessions as it gets")
def one_key(sites: Sites, record: Record) -> None:
    """Others still get theirs."""
    site = sites.site(sessions_max=8)
    record.attempts = 20

    async def keep(websocket: ClientConnection) -> None:
        """Say that the device lives: a session that says nothing is ended, and leaves its place."""
        with contextlib.suppress(ConnectionClosed):
            for n in itertools.count():
                await websocket.send(encode(Heartbeat(n, n)))
                await asyncio.sleep(0.5)

    async def attack() -> None:
        async with contextlib.AsyncExitStack() as stack:
            held: list[ClientConnection] = []
            most = 0
            for n in range(record.attempts):
                with contextlib.suppress(Exception):
                    entering = client.session(site, "evil-1", f"slot-{n}")
                    held.append(await stack.enter_async_context(entering))
                    stack.callback(asyncio.ensure_future(keep(held[-1])).cancel)
                most = max(most, sum(one.state is State.OPEN for one in held))
            record.expect(0 < most <= 4, f"one device has {most} of 8 sessions")
            await _a_device_comes_in(sites, site, record, 1)

    with site.watched(record, least_s=sites.least_s):
        client.run(attack())


@row(ITEM, "many sessions are asked for at the same moment")
def at_once(sites: Sites, record: Record) -> None:
    """The number of sessions is never overrun."""
    site = sites.site(sessions_max=8)
    record.attempts = 24

    async def attack() -> None:
        async def one(n: int) -> bool:
            device = ("evil-1", "evil-2", "evil-3")[n % 3]
            try:
                async with client.session(site, device, f"race-{n}"):
                    await asyncio.sleep(1.0)
            except Exception:
                return False
            return True

        opened = sum(await asyncio.gather(*(one(n) for n in range(record.attempts))))
        record.expect(1 <= opened <= 7, f"{opened} sessions besides the healthy one, of 8 in all")

    with site.watched(record, least_s=sites.least_s):
        client.run(attack())


@row(ITEM, "requests whose bodies never end")
def slow_bodies(sites: Sites, record: Record) -> None:
    """They keep neither sessions nor requests of another device out."""
    site = sites.site()
    record.attempts = 40
    held: list[socket.socket] = []

    def post() -> None:
        with contextlib.suppress(OSError):
            path = "/v2/models/tiny/infer"
            held.append(client.half_request(site, path, "evil-1", 100_000, b"{"))

    with site.watched(record, least_s=sites.least_s):
        for _ in range(record.attempts):
            post()
        client.run(_a_device_comes_in(sites, site, record, 1))
        status = client.request(site, "/v2", "evil-2").status_code
        record.expect(status == 200, f"another device's request got {status}")
        for sock in held:
            sock.close()


@row(ITEM, "connections come and go as fast as they can")
def churn(sites: Sites, record: Record) -> None:
    """Each is closed as soon as it is open."""
    site = sites.site()

    async def attack() -> None:
        until = time.monotonic() + sites.least_s
        while time.monotonic() < until:
            for sock in await client.tcp(site, NEIGHBOUR, 20):
                sock.close()
            record.attempts += 20
        await _a_device_comes_in(sites, site, record, 1)

    with many_files(), site.watched(record, least_s=sites.least_s):
        client.run(attack())


@row(ITEM, "a stream that its device takes over from itself, again and again")
def taken_over(sites: Sites, record: Record) -> None:
    """The last session has it, and the places of the others are free."""
    site = sites.site(sessions_max=8)
    record.attempts = sites.many(30, 300)

    async def attack() -> None:
        async with contextlib.AsyncExitStack() as stack:
            opened: list[ClientConnection] = []
            for _ in range(record.attempts):
                entering = client.session(site, "evil-1", "mine")
                opened.append(await stack.enter_async_context(entering))
            await _a_device_comes_in(sites, site, record, 1)
            for one in opened[:-1]:
                await client.closes(one)
            await opened[-1].send(encode(Heartbeat(1, 1)))
            answer = await client.hear(opened[-1])
            record.expect(answer is not None, "the last session is not served")

    with site.watched(record, least_s=sites.least_s):
        client.run(attack())
