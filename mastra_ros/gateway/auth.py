"""Who may speak to the gateway: an address on the allowlist and a token signed by a device.

The acceptor asks for the address before anything else; the token is checked before anything of a
request is read and before a WebSocket is accepted. What a token permits ends with it, and with
the key that signed it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import AuthenticationError, ConfigError, LinkError
from ..protocol.key_files import KeyFiles
from ..protocol.tokens import (
    LEEWAY_S,
    PublicKey,
    ReplayGuard,
    TokenRefused,
    Verified,
    check_token,
    key_bytes,
    load_public_key,
)
from .door.http import ADMIT
from .door.logs import Sparing
from .metrics import Metrics

logger = logging.getLogger(__name__)

OPEN_PATHS = ("/healthz",)
"""Paths that anybody may ask: they tell no more than that the gateway lives."""

DEVICE = "mastra.device"
"""Where the scope of a request names the device that was authenticated."""

PERMIT = "mastra.permit"
"""Where the scope of a request has what its token permits."""

REQUESTS_MAX = 64
"""Requests over HTTP at once."""
REQUESTS_DEVICE_MAX = 32
SEEN_MAX = 1024
"""Tokens of requests that need not be verified anew."""


class Allowlist:
    """Networks whose hosts may connect."""

    def __init__(self, networks: Sequence[str]) -> None:
        """Raises ConfigError naming an entry that is no network."""
        try:
            self._networks = [ipaddress.ip_network(text) for text in networks]
        except ValueError as error:
            raise ConfigError(f"allow: expected networks (CIDR): {error}") from error

    def admits(self, host: str) -> bool:
        """Whether the address `host` is in one of the networks; what is no address is not."""
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


class PublicKeys(KeyFiles):
    """Public keys of devices by name, of a folder of keys."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "devices")


@dataclass(frozen=True)
class Permit:
    """What a token permits: to speak for a device, until a time, with a key that is its own."""

    device: str
    until_s: float  # of the monotonic clock
    key: bytes = b""

    @classmethod
    def of(cls, verified: Verified) -> Permit:
        """What a good token permits from now on.

        One that has expired is good for a little while more, where the device's clock is behind.
        """
        left_s = verified.expires_s - time.time()
        if left_s <= 0:
            left_s = min(verified.life_s, LEEWAY_S)
        return cls(verified.device, time.monotonic() + left_s, verified.key)


class Gatekeeper:
    """ASGI middleware that lets in those with a good token; others get 401, and a kind a line.

    A token opens one stream session only, since whoever has seen it could use it again; for
    requests over HTTP it may be used until it expires.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: Mapping[str, bytes | PublicKey],
        audiences: Collection[str],
        metrics: Metrics,
        replay: ReplayGuard | None = None,
        logs: Sparing | None = None,
    ) -> None:
        self._app = app
        self._keys = keys
        self._audiences = audiences
        self._metrics = metrics
        self._replay = replay or ReplayGuard()
        self._logs = logs or Sparing(logger)
        self._requests: Counter[str] = Counter()
        self._in_work = 0  # of all of them
        self._seen: OrderedDict[bytes, tuple[Verified, object]] = OrderedDict()

    def known(self, authorization: bytes) -> str:
        """The device of a token that was good before and still is; empty: it must be looked at.

        Its key is compared with the one that is there now, and the clock with its times.
        """
        seen = self._seen.get(authorization)
        if seen is None:
            return ""
        verified, key = seen
        began_s = verified.expires_s - verified.life_s
        in_time = began_s - LEEWAY_S <= time.time() < verified.expires_s
        if in_time and key is not None and self._keys.get(verified.device) is key:
            self._seen.move_to_end(authorization)
            return verified.device
        del self._seen[authorization]
        return ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in OPEN_PATHS and scope["type"] == "http":
            await self._app(scope, receive, send)
            return
        try:
            permit = self._permit(scope)
        except AuthenticationError as error:
            await self._refuse(error, scope, send)
            return
        scope[PERMIT] = permit
        scope[DEVICE] = permit.device
        if scope["type"] == "http":
            await self._admit(permit.device, scope, receive, send)
            return
        _admitted(scope)
        await self._app(scope, receive, send)

    def renew(self, device: str, token: str) -> Permit:
        """What a fresh token permits the session of `device`; AuthenticationError if nothing."""
        permit = Permit.of(self._check(token, replay=True))
        if permit.device != device:
            raise TokenRefused(f"it is of {permit.device}, not of {device}", "of another device")
        return permit

    def withdrawn(self, permit: Permit) -> str:
        """Why a permit is not good any more before its time; empty when it is."""
        try:
            known = self._keys.get(permit.device)
            key = load_public_key(known) if isinstance(known, bytes) else known
        except AuthenticationError:
            key = None
        if key is None:
            return "the key of this device has been removed"
        return "" if key_bytes(key) == permit.key else "the key of this device has been replaced"

    def permit_of(self, authorizations: Sequence[str], peer: Any, what: str) -> Permit:
        """What the token of a call over gRPC permits; AuthenticationError, told, if nothing."""
        try:
            return Permit.of(self._check(_bearer(authorizations), replay=False))
        except AuthenticationError as error:
            self._tell(error, peer, what)
            raise

    @contextlib.contextmanager
    def counted(self, device: str) -> Iterator[None]:
        """As `begin` and `end`."""
        self.begin(device)
        try:
            yield
        finally:
            self.end(device)

    def begin(self, device: str) -> None:
        """One request, of so many at once over whatever transport. Raises LinkError beyond."""
        everybody = self._in_work
        if everybody >= REQUESTS_MAX or self._requests[device] >= REQUESTS_DEVICE_MAX:
            self._logs.warning("requests", "%s: %d requests are in work", device, everybody)
            raise LinkError("too many requests")
        self._requests[device] += 1
        self._in_work += 1

    def end(self, device: str) -> None:
        """One that has begun is over."""
        self._in_work -= 1
        self._requests[device] -= 1
        if not self._requests[device]:
            del self._requests[device]

    async def _admit(self, device: str, scope: Scope, receive: Receive, send: Send) -> None:
        """One request over HTTP."""
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self.counted(device))
            except LinkError as error:
                refusal = JSONResponse({"error": str(error)}, 503, {"Retry-After": "1"})
                await refusal(scope, receive, send)
                return
            _admitted(scope)
            await self._app(scope, receive, send)

    def _permit(self, scope: Scope) -> Permit:
        values = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
        token = _bearer([value.decode("latin-1") for value in values])
        stream = scope["type"] == "websocket"
        verified = self._check(token, replay=stream)
        if not stream:
            self._seen[values[0]] = verified, self._keys.get(verified.device)
            if len(self._seen) > SEEN_MAX:
                self._seen.popitem(last=False)
        return Permit.of(verified)

    def _check(self, token: str, *, replay: bool) -> Verified:
        return check_token(
            token, self._keys, self._audiences, replay=self._replay if replay else None
        )

    async def _refuse(self, error: AuthenticationError, scope: Scope, send: Send) -> None:
        self._tell(error, scope.get("client"), scope["path"])
        response = JSONResponse({"error": str(error)}, 401, {"WWW-Authenticate": "Bearer"})
        await response(scope, _nothing_to_receive, send)

    def _tell(self, error: AuthenticationError, peer: Any, what: str) -> None:
        self._metrics.auth_failures.labels("token").inc()
        host = peer[0] if peer else "unknown address"
        kind = error.kind if isinstance(error, TokenRefused) else "token"
        self._logs.warning(kind, "refused %s %.100s: %s", host, what, str(error))


def _bearer(values: Sequence[str]) -> str:
    """The token in the one header `Authorization`. Raises TokenRefused."""
    if len(values) != 1:
        raise TokenRefused("expected one header Authorization: Bearer …")
    scheme, _, token = values[0].partition(" ")
    if scheme.lower() != "bearer":
        raise TokenRefused("expected the scheme Bearer")
    return token.strip()


def _admitted(scope: Scope) -> None:
    """Tell the acceptor that this connection has proven who it is."""
    if (admit := scope.get(ADMIT)) is not None:
        admit()


async def _nothing_to_receive() -> dict[str, Any]:
    return {"type": "http.disconnect"}
