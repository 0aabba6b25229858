"""The only way to the page: who is not logged in, or comes from another page, gets no further.

ASGI middleware around NiceGUI, which by itself answers every Origin with credentials. For HTTP and
WebSocket alike:
- the Host must be one of ours, or a name that was made to point here would pass as us
  (DNS rebinding);
- a WebSocket, and every request that is not GET or HEAD, must name one of our origins
  (RFC 6455, 10.2; OWASP: cross-site request forgery). The cookie is SameSite=Strict beside it;
- without the cookie of an open session only the log-in is answered.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from http.cookies import CookieError, SimpleCookie

from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .logins import COOKIE, Logins

logger = logging.getLogger(__name__)

PERSON = "mastra.person"
"""Where the scope of a request names who is logged in."""
OPEN_PATHS = (
    *("/login", "/logout", "/healthz", "/favicon.ico"),
    *("/oidc/start", "/oidc/callback"),  # nothing is there without a provider
)
COOKIE_BYTES_MAX = 4096
BODY_BYTES_MAX = 65_536
"""Of a request; nothing is uploaded here."""
POLICY_VIOLATION = 1008

# NiceGUI runs scripts and styles that it writes into its page; nothing comes from elsewhere.
HEADERS = {
    "content-security-policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
        "connect-src 'self'; frame-ancestors 'none'; base-uri 'self'; form-action 'self'; "
        "object-src 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # With no-referrer a browser says Origin: null of our own forms.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Guard:
    """`login` answers the open paths, `page` everything else for those who are logged in."""

    def __init__(
        self, page: ASGIApp, login: ASGIApp, logins: Logins, *, origins: Collection[str]
    ) -> None:
        """origins: ours, such as https://dash.example:8444, without a path."""
        self._page = page
        self._login = login
        self._logins = logins
        self._origins = frozenset(origins)
        self._hosts = frozenset(origin.partition("://")[2] for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._page(scope, receive, send)
            return
        socket = scope["type"] == "websocket"
        if why := self._foreign(scope, socket=socket):
            logger.warning("refused %s %.100s: %s", scope["type"], ascii(scope["path"]), why)
            await _refuse(403, why, scope, receive, send)
            return
        if not socket and scope["path"] in OPEN_PATHS:
            await self._login(scope, _bounded(receive), _with_headers(send, scope))
            return
        cookie = cookie_of(scope)
        person = self._logins.person(cookie, touch=not socket) if cookie else None
        if person is None:
            if not socket and scope["method"] == "GET" and scope["path"] in ("/", "/fleet"):
                away = RedirectResponse("/login", 303)
                await away(scope, receive, _with_headers(send, scope))
            else:
                await _refuse(401, "not logged in", scope, receive, send)
            return
        scope[PERSON] = person
        if socket:
            # NiceGUI talks over one socket for as long as the page is open: the session is asked
            # for again with each message, so that it ends with its person or its time.
            await self._page(scope, self._watched(cookie, receive, send), send)
        else:
            await self._page(scope, _bounded(receive), _with_headers(send, scope))

    def _foreign(self, scope: Scope, *, socket: bool) -> str:
        """Why this comes from elsewhere; empty when it is from one of our own pages."""
        host = header_of(scope, b"host")
        if host not in self._hosts:
            return "the host is not one of this dashboard"
        origin = header_of(scope, b"origin")
        changes = socket or scope["method"] not in ("GET", "HEAD")
        # socket.io polls over GET with answers that carry what the page may see.
        if (changes or origin) and origin not in self._origins:
            return "the origin is not one of this dashboard"
        return ""

    def _watched(self, cookie: str, receive: Receive, send: Send) -> Receive:
        async def watched() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive" and not self._logins.person(
                cookie, touch=False
            ):
                await send({"type": "websocket.close", "code": POLICY_VIOLATION})
                return {"type": "websocket.disconnect", "code": POLICY_VIOLATION}
            return message

        return watched


def cookie_of(scope: Scope) -> str:
    """The session's cookie of a request; empty where there is none, or two."""
    text = header_of(scope, b"cookie")
    if len(text) > COOKIE_BYTES_MAX:
        return ""
    try:
        found = SimpleCookie(text).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value


def header_of(scope: Scope, name: bytes) -> str:
    """A header of a request; empty where there is none, or several."""
    values = [value for key, value in scope["headers"] if key.lower() == name]
    return values[0].decode("latin-1") if len(values) == 1 else ""


def _bounded(receive: Receive) -> Receive:
    """Ends a body that is too long, as if its sender had left."""
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        return {"type": "http.disconnect"} if seen > BODY_BYTES_MAX else message

    return bounded


def _with_headers(send: Send, scope: Scope) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [
                (name, value)
                for name, value in message["headers"]
                # NiceGUI would let any page of the world read the answers.
                if name.lower().decode("latin-1") not in HEADERS
                and not name.lower().startswith(b"access-control-")
            ]
            ours = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            if scope["path"] in (*OPEN_PATHS, "/"):
                ours.append((b"cache-control", b"no-store"))
            message = {**message, "headers": [*kept, *ours]}
        await send(message)

    return sending


async def _refuse(status: int, why: str, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        # Before it was accepted a close is answered with 403.
        await receive()
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": why})
        return
    answer: Response = PlainTextResponse(why, status)
    await answer(scope, receive, _with_headers(send, scope))
