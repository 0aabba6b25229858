"""Rows of authorization: a session lasts as long as its token and key; no token works twice."""

from __future__ import annotations

import asyncio
import contextlib
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from mastra_ros.protocol import Goodbye, Heartbeat, Hello, Message, Renewal, Welcome, encode
from mastra_ros.protocol.keys import load_device_key
from mastra_ros.protocol.tokens import sign_token

from . import client
from .healthy import tls_of
from .row import Record, row
from .site import Site, Sites, wait_until

ITEM = "6 authorization"
SOON_S = 5.0
LIFE_S = 2.0


async def _until_goodbye(
    site: Site, record: Record, device: str, life_s: float, patience_s: float
) -> Goodbye | None:
    """Keep a session talking, and see with which words it ends."""
    async with client.session(
        site, device, f"kept-{time.monotonic_ns()}", life_s=life_s
    ) as websocket:
        until = time.monotonic() + patience_s
        n = 0
        while time.monotonic() < until:
            with contextlib.suppress(Exception):
                await websocket.send(encode(Heartbeat(n, n)))
            n += 1
            record.attempts += 1
            try:
                message = await client.hear(websocket, 0.2)
            except asyncio.TimeoutError:
                continue
            if isinstance(message, Goodbye):
                return message
            if message is None:
                break
    return None


@row(ITEM, "a session whose token has expired")
def expired(sites: Sites, record: Record) -> None:
    """Of a device that does not renew: it is closed in order, and may come back."""
    site = sites.site()
    with site.watched(record, least_s=sites.least_s):
        word = client.run(_until_goodbye(site, record, "evil-1", LIFE_S, LIFE_S + SOON_S))
        record.expect(word is not None and word.code == "closing", f"expected closing, got {word}")


def _key_changes(sites: Sites, record: Record, new: bytes | None) -> None:
    site = sites.site()
    path = site.keys / "devices" / "evil-2.pub"
    before = path.read_bytes()

    async def attack() -> Goodbye | None:
        async def change() -> None:
            await asyncio.sleep(0.3)
            if new is None:
                path.unlink()
            else:
                path.write_bytes(new)

        changing = asyncio.ensure_future(change())
        word = await _until_goodbye(site, record, "evil-2", 300.0, SOON_S)
        await changing
        return word

    try:
        with site.watched(record, least_s=sites.least_s):
            word = client.run(attack())
    finally:
        path.write_bytes(before)
    record.expect(word is not None and word.code == "forbidden", f"expected forbidden, got {word}")


@row(ITEM, "a session whose key is removed")
def removed(sites: Sites, record: Record) -> None:
    """It ends within seconds."""
    _key_changes(sites, record, None)


@row(ITEM, "a session whose key is replaced")
def rotated(sites: Sites, record: Record) -> None:
    """The old key is worth nothing, though its token has not expired."""
    public = Ed25519PrivateKey.generate().public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _key_changes(sites, record, pem)


async def _opens(site: Site, token: str) -> int:
    """The status of an attempt to connect with this token."""
    try:
        async with connect(
            f"wss://127.0.0.1:{site.port}/v1/stream",
            ssl=tls_of(site.keys),
            additional_headers={"Authorization": f"Bearer {token}"},
            proxy=None,
        ):
            return 101
    except InvalidStatus as error:
        return error.response.status_code


@row(ITEM, "a used token after the gateway was killed and started again")
def replayed(sites: Sites, record: Record) -> None:
    """What was used is remembered as long as it would be good."""
    with sites.own_site() as site:
        record.attempts = 4
        used = [client.token(site, "evil-1") for _ in range(2)]
        with site.watched(record, least_s=sites.least_s):
            for token in used:
                record.expect(client.run(_opens(site, token)) == 101, "a fresh token is refused")
            site.gateway.kill()
            site.gateway.restart()
            for token in used:
                status = client.run(_opens(site, token))
                record.expect(status == 401, f"a used token got {status}")
            wait_until(lambda: site.seen().acknowledged > 0)


@row(ITEM, "tokens for another gateway")
def elsewhere(sites: Sites, record: Record) -> None:
    """A new installation accepts its own audience alone."""
    site = sites.site()
    key = load_device_key(site.keys, "evil-1")
    wrong = ("mastra-gateway", "", "mastra-gateway-0123456789abcdef", "MASTRA-GATEWAY")
    record.attempts = len(wrong)
    with site.watched(record, least_s=sites.least_s):
        for audience in wrong:
            status = client.run(_opens(site, sign_token("evil-1", key, audience)))
            record.expect(status == 401, f"audience {audience!r} got {status}")


@row(ITEM, "renewals with tokens of others, used ones and rubbish")
def false_renewals(sites: Sites, record: Record) -> None:
    """None prolongs the session."""
    site = sites.site()

    async def attack() -> Message | None:
        first = client.token(site, "evil-1", lifetime_s=LIFE_S)
        used = client.token(site, "evil-1")
        record.expect(await _opens(site, used) == 101, "a fresh token is refused")
        false = [client.token(site, "evil-2"), used, "a.b.c", "", first]
        async with connect(
            f"wss://127.0.0.1:{site.port}/v1/stream",
            ssl=tls_of(site.keys),
            additional_headers={"Authorization": f"Bearer {first}"},
            proxy=None,
        ) as websocket:
            await websocket.send(encode(Hello(1, "evil-1", "renewed", renews=True)))
            welcome = await client.hear(websocket)
            record.expect(isinstance(welcome, Welcome) and welcome.renews, "not announced")
            until = time.monotonic() + LIFE_S + SOON_S
            while time.monotonic() < until:
                with contextlib.suppress(Exception):
                    await websocket.send(encode(Renewal(false[record.attempts % len(false)])))
                record.attempts += 1
                try:
                    message = await client.hear(websocket, 0.25)
                except asyncio.TimeoutError:
                    continue
                if message is None or isinstance(message, Goodbye):
                    return message
        return Hello(1, "still", "open")

    with site.watched(record, least_s=sites.least_s):
        word = client.run(attack())
    record.expect(
        word is None or (isinstance(word, Goodbye) and word.code == "closing"),
        f"expected an end, got {word}",
    )


@row(ITEM, "a session whose key becomes rubbish")
def rubbish_key(sites: Sites, record: Record) -> None:
    """It ends as where the key was removed, and other devices' keys are read all the same."""
    _key_changes(sites, record, b"-----BEGIN PUBLIC KEY-----\n\x00\xff\n")
