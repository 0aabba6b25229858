"""Lets clients in: people and programs that read what devices told or steer them, and are none.

A client's token is for an audience of its own. It opens the paths of reading and the metrics, those
of changing to an operator, and nothing of devices; everything else goes on to their gatekeeper.
"""

from __future__ import annotations

import json
import logging
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import AuthenticationError
from ..protocol.clients import CHANGERS, ClientKeys, client_audience, role_of
from ..protocol.tokens import TOKEN_CHARACTERS_MAX, check_token
from .door.http import ADMIT
from .door.logs import Sparing

logger = logging.getLogger(__name__)

CLIENT = "mastra.client"
"""Where the scope of a request names the client that was authenticated."""
PERSON_HEADER = "x-mastra-person"
"""For whom a client asks, as it says; only the audit looks at it."""
REQUESTS_CLIENT_MAX = 8
"""Requests of one client at once."""


@dataclass(frozen=True)
class Client:
    """Who reads, and as what."""

    name: str
    role: str

    @property
    def may_change(self) -> bool:
        """Whether it may change something, and not only read."""
        return self.role in CHANGERS


class ClientDoor:
    """ASGI middleware before the gatekeeper: `inside` is the application behind it."""

    def __init__(
        self,
        gatekeeper: ASGIApp,
        inside: ASGIApp,
        *,
        keys_dir: Path,
        paths: Collection[str],
        changed: Collection[str] = (),
        logs: Sparing | None = None,
    ) -> None:
        """paths: what clients may read, changed: where an operator may change something.

        Each stands for all that is below it, too.
        """
        self._gatekeeper = gatekeeper
        self._inside = inside
        self._folder = keys_dir
        self._keys = ClientKeys(keys_dir)
        self._audience = client_audience(keys_dir)
        self._paths = tuple(paths)
        self._changed = tuple(changed)
        self._logs = logs or Sparing(logger)
        self._requests: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        token = _token(scope) if scope["type"] == "http" else ""
        if not token or _audience(token) != self._audience:
            await self._gatekeeper(scope, receive, send)
            return
        try:
            verified = check_token(token, self._keys, self._audience)
            client = Client(verified.device, role_of(self._folder, verified.device))
        except AuthenticationError as error:
            self._logs.warning("client", "refused %.100s: %s", scope["path"], str(error))
            await _answer(401, str(error), {"WWW-Authenticate": "Bearer"})(scope, receive, send)
            return
        if not self._may(client, scope["path"], scope["method"]):
            await _answer(403, f"a {client.role} may not do this")(scope, receive, send)
            return
        if self._requests[client.name] >= REQUESTS_CLIENT_MAX:
            await _answer(503, "too many requests", {"Retry-After": "1"})(scope, receive, send)
            return
        scope[CLIENT] = client
        if (admit := scope.get(ADMIT)) is not None:
            admit()
        self._requests[client.name] += 1
        try:
            await self._inside(scope, receive, send)
        finally:
            self._requests[client.name] -= 1
            if not self._requests[client.name]:
                del self._requests[client.name]

    def _may(self, client: Client, path: str, method: str) -> bool:
        if method in ("GET", "HEAD"):
            return _below(path, self._paths)
        return client.may_change and _below(path, self._changed)


def _below(path: str, allowed: Collection[str]) -> bool:
    return any(path == one or path.startswith(f"{one}/") for one in allowed)


def _answer(status: int, text: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": text}, status, headers)


def _token(scope: Scope) -> str:
    """The bearer token of a request, where it has one."""
    values = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
    scheme, _, token = (values[0] if len(values) == 1 else b"").decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _audience(token: str) -> str:
    """For whom an unverified token says it is: it only says at which door it is looked at."""
    parts = token.split(".")
    if len(token) > TOKEN_CHARACTERS_MAX or len(parts) != 3:
        return ""
    try:
        claims: Any = json.loads(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return ""
    audience = claims.get("aud") if isinstance(claims, dict) else ""
    return audience if isinstance(audience, str) else ""
