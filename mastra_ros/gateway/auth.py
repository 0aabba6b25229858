"""Who may speak to the gateway: an address on the allowlist and a token signed by a device.

Both are checked before anything of the request is read and before a WebSocket is accepted.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import AuthenticationError, ConfigError
from ..protocol.tokens import PublicKey, ReplayGuard, load_public_key, verify_token
from .metrics import Metrics

logger = logging.getLogger(__name__)

OPEN_PATHS = ("/healthz",)
"""Paths that anybody may ask: they tell no more than that the gateway lives."""

DEVICE = "mastra.device"
"""Where the scope of a request names the device that was authenticated."""


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


class PublicKeys(Mapping[str, "bytes | PublicKey"]):
    """Public keys of a folder by name of the device, read when asked for.

    So a device that is added may connect at once, and one whose file is removed no longer.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "devices"

    def __getitem__(self, device: str) -> PublicKey:
        try:
            return load_public_key((self._folder / f"{device}.pub").read_bytes())
        except OSError:
            raise KeyError(device) from None

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(path.stem for path in self._folder.glob("*.pub")))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Gatekeeper:
    """ASGI middleware: refuses with 403 by address, with 401 by token, in one line of log each.

    A token opens one stream session only, since whoever has seen it could use it again; for
    requests over HTTP it may be used until it expires.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: Mapping[str, bytes | PublicKey],
        audience: str,
        allowlist: Allowlist,
        metrics: Metrics,
    ) -> None:
        self._app = app
        self._keys = keys
        self._audience = audience
        self._allowlist = allowlist
        self._metrics = metrics
        self._replay = ReplayGuard()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        host = scope["client"][0] if scope.get("client") else ""
        if not self._allowlist.admits(host):
            await self._refuse(403, "address", "address is not on the allowlist", scope, send)
            return
        try:
            scope[DEVICE] = self._device_of(scope)
        except AuthenticationError as error:
            await self._refuse(401, "token", str(error), scope, send)
            return
        await self._app(scope, receive, send)

    def _device_of(self, scope: Scope) -> str:
        values = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
        if len(values) != 1:
            raise AuthenticationError("token: expected one header Authorization: Bearer …")
        scheme, _, token = values[0].decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            raise AuthenticationError("token: expected the scheme Bearer")
        replay = self._replay if scope["type"] == "websocket" else None
        return verify_token(token.strip(), self._keys, self._audience, replay=replay)

    async def _refuse(self, status: int, cause: str, why: str, scope: Scope, send: Send) -> None:
        self._metrics.auth_failures.labels(cause).inc()
        host = scope["client"][0] if scope.get("client") else "unknown address"
        logger.warning("refused %s %.100r: %s", host, scope["path"], why)
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
        response = JSONResponse({"error": why}, status, headers)
        await response(scope, _nothing_to_receive, send)


async def _nothing_to_receive() -> dict[str, Any]:
    return {"type": "http.disconnect"}
