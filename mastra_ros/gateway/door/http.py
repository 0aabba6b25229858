"""HTTP/1.1 on a transport, by h11, for an ASGI application: one request after the other.

A request that is only answered keeps its place in the lobby; one that the application admits
(`scope["mastra.admit"]()`) leaves it until it is answered. Who is idle between requests, or slow
with a head or a body, is shown out.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import h11
from starlette.types import ASGIApp, Message, Scope

from .acceptor import LINGER_S, Acceptor, Guest
from .ending import Ended, abort
from .ordinary import Ordinary, ordinary
from .transports import Reader, resume

logger = logging.getLogger(__name__)

IDLE_S = 15.0
"""Between two requests."""
STALL_S = 20.0
"""Without a byte of a body that is not complete, or with an answer that is not taken in."""
BODY_S = 300.0
"""For a whole body."""
UNREAD_BYTES = 262_144
"""Body that waits for the application before the transport is paused."""

Express = Callable[[Ordinary, Callable[[], None], Callable[[bytes], None]], bool]
"""Takes an ordinary request, the function that admits it, and the one that is told the answer."""

ADMIT = "mastra.admit"
"""Where the scope of a request or WebSocket has the function that takes it out of the lobby."""


class HttpServer(Reader):
    """Speaks with one client."""

    def __init__(
        self,
        acceptor: Acceptor,
        guest: Guest,
        transport: asyncio.Transport,
        app: ASGIApp,
        express: Express | None = None,
    ) -> None:
        """`express` may take ordinary requests; the application gets all others."""
        self._express = express
        self._on_express = False  # whether it has a request
        self._express_until_s = 0.0
        self._express_watch: asyncio.TimerHandle | None = None
        self._later = b""  # what came during a request that was taken by it
        self._fresh = True  # whether h11 has been given nothing of the next request
        self._acceptor = acceptor
        self._guest = guest
        self._transport = transport
        self._app = app
        self._loop = asyncio.get_running_loop()
        self._h11 = h11.Connection(h11.SERVER)
        self._request: _Request | None = None
        self._admitted = False
        self._gone = False
        self._draining = False
        self._stall: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    # -- asyncio ---------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if self._draining:
            return
        if self._on_express:
            self._later += data
            self._transport.pause_reading()
        elif not (self._fresh and self._took(data)):
            self._fresh = False
            self._h11.receive_data(data)
            self._advance()

    def _took(self, data: bytes) -> bool:
        """Whether what came is a request that is answered on the short way."""
        asked = ordinary(data) if self._express is not None else None
        if asked is None or self._express is None:
            return False
        self._on_express = self._express(asked, self._admit, self._reply)
        if self._on_express:
            self._express_until_s = self._loop.time() + BODY_S
            if self._express_watch is None:
                self._express_watch = self._loop.call_later(BODY_S, self._watch_express)
        return self._on_express

    def _watch_express(self) -> None:
        """One timer for all requests that were taken: to set one for each takes longer."""
        self._express_watch = None
        if not self._on_express or self._gone:
            return
        if self._loop.time() >= self._express_until_s:
            abort(self._transport)
        else:
            self._express_watch = self._loop.call_at(self._express_until_s, self._watch_express)

    def _reply(self, response: bytes) -> None:
        """The answer to a request that was taken."""
        if self._gone:
            return
        self._transport.write(response)
        if self._writable.is_set():
            self._replied()
        else:
            self._request_task = self._loop.create_task(self._reply_taken_in())

    async def _reply_taken_in(self) -> None:
        """Wait while the client does not take in the answer."""
        try:
            await asyncio.wait_for(self._writable.wait(), STALL_S)
        except asyncio.TimeoutError:
            abort(self._transport)
        if not self._gone:
            self._replied()

    def _replied(self) -> None:
        self._on_express = False
        self._admitted = False
        self._acceptor.wait_again(self._guest, IDLE_S)
        if self._later:
            data, self._later = self._later, b""
            resume(self._transport)
            self.data_received(data)

    def eof_received(self) -> None:
        """See asyncio: who closes its side is not answered any more."""

    def pause_writing(self) -> None:
        """See asyncio."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """See asyncio."""
        self._writable.set()

    def connection_lost(self, _: Exception | None) -> None:
        """See asyncio."""
        self._gone = True
        self._calm()
        if self._express_watch is not None:
            self._express_watch.cancel()
        self._writable.set()
        if self._request is not None:
            self._request.disconnected()
        self._acceptor.gone(self._guest)
        self._transport = Ended()

    # -- reading ---------------------------------------------------------------------------

    def _advance(self) -> None:
        """Take in what has come, as far as it may be taken in now."""
        try:
            while not self._gone:
                event = self._h11.next_event()
                if event is h11.NEED_DATA:
                    return
                if event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                    self._transport.pause_reading()  # until this request is answered
                    return
                if isinstance(event, h11.Request):
                    self._begin(event)
                elif self._request is not None and isinstance(event, h11.Data):
                    self._request.feed(bytes(event.data))
                    if self._request.unread > UNREAD_BYTES:
                        self._transport.pause_reading()
                        return
                elif self._request is not None and isinstance(event, h11.EndOfMessage):
                    self._request.complete()
        except h11.RemoteProtocolError as error:
            self._refuse(error)

    def _begin(self, event: h11.Request) -> None:
        scope = self._scope(event)
        self._request = _Request(self, head_only=scope["method"] == "HEAD")
        task = self._loop.create_task(self._serve(scope, self._request))
        self._request.task = task

    def _scope(self, event: h11.Request) -> Scope:
        path, _, query = bytes(event.target).partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": bytes(event.http_version).decode("ascii"),
            "method": bytes(event.method).decode("ascii"),
            "scheme": "https",
            "path": unquote(path.decode("latin-1")),
            "raw_path": path,
            "query_string": query,
            "root_path": "",
            "headers": [(bytes(name), bytes(value)) for name, value in event.headers],
            "client": self._guest.peer,
            "server": None,
            ADMIT: self._admit,
        }

    def _admit(self) -> None:
        self._acceptor.admit(self._guest)
        self._admitted = True

    def want_body(self) -> None:
        """The application waits for more of the body."""
        if self._h11.they_are_waiting_for_100_continue:
            self._write(h11.InformationalResponse(status_code=100, headers=[]))
        if self._stall is None:
            self._stall = self._loop.call_later(STALL_S, abort, self._transport)
        resume(self._transport)
        self._advance()

    def _calm(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def fed(self) -> None:
        """Some of the body has come."""
        self._calm()

    def _refuse(self, error: h11.RemoteProtocolError) -> None:
        """What is no HTTP gets one answer, where an answer is still possible."""
        if self._h11.our_state in (h11.IDLE, h11.SEND_RESPONSE) and self._request is None:
            text = b'{"error": "not a request of HTTP/1.1"}'
            headers = [("Content-Type", "application/json"), ("Connection", "close")]
            headers.append(("Content-Length", str(len(text))))
            status = error.error_status_hint if error.error_status_hint < 500 else 400
            self._write(h11.Response(status_code=status, headers=headers))
            self._write(h11.Data(data=text))
            self._write(h11.EndOfMessage())
            self._hang_up()
        else:
            abort(self._transport)

    # -- answering -------------------------------------------------------------------------

    async def _serve(self, scope: Scope, request: _Request) -> None:
        try:
            await asyncio.wait_for(self._app(scope, request.receive, request.send), BODY_S)
            if not request.answered:
                raise RuntimeError("the application did not answer")
        except Exception as error:  # what one request brings about must cost no other
            if not self._gone:
                logger.error("request failed", exc_info=error)
                abort(self._transport)
            return
        finally:
            self._calm()
        self._next()

    def _next(self) -> None:
        """Be ready for the client's next request, where there may be one."""
        self._request = None
        if self._gone:
            return
        if self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
            self._hang_up()
            return
        self._h11.start_next_cycle()
        self._fresh = not self._h11.trailing_data[0]
        if self._admitted:
            self._admitted = False
        else:
            self._acceptor.admit(self._guest)
        self._acceptor.wait_again(self._guest, IDLE_S)
        resume(self._transport)
        self._advance()

    async def say(self, event: h11.Event) -> None:
        """Write a part of the answer, and wait while the client does not take it in."""
        if self._gone:
            return
        self._write(event)
        if not self._writable.is_set():
            try:
                await asyncio.wait_for(self._writable.wait(), STALL_S)
            except asyncio.TimeoutError:
                abort(self._transport)

    def _write(self, event: h11.Event) -> None:
        data = self._h11.send(event)
        if data:
            self._transport.write(data)

    def _hang_up(self) -> None:
        """Close; what still comes is read for a while, or the client would not see our answer."""
        self._draining = True
        resume(self._transport)
        if self._h11.their_state is h11.SEND_BODY:
            self._loop.call_later(LINGER_S, self._transport.close)
        else:
            self._transport.close()
        self._loop.call_later(2 * LINGER_S, abort, self._transport)


class _Request:
    """One request: the two functions that ASGI gives to the application."""

    def __init__(self, server: HttpServer, *, head_only: bool) -> None:
        self._server = server
        self._parts: deque[bytes] = deque()
        self._arrived = asyncio.Event()
        self._complete = False
        self._told = False  # that the body is complete
        self._gone = False
        self.task: asyncio.Task[None] | None = None
        self.head_only = head_only
        self.unread = 0
        self.answered = False

    def feed(self, data: bytes) -> None:
        self._parts.append(data)
        self.unread += len(data)
        self._server.fed()
        self._arrived.set()

    def complete(self) -> None:
        self._complete = True
        self._server.fed()
        self._arrived.set()

    def disconnected(self) -> None:
        self._gone = True
        self._arrived.set()

    async def receive(self) -> Message:
        while not (self._parts or self._gone or (self._complete and not self._told)):
            self._arrived.clear()
            if not self._complete:
                self._server.want_body()
            if not self._arrived.is_set():
                await self._arrived.wait()
        if self._parts:
            data = self._parts.popleft()
            self.unread -= len(data)
            return {"type": "http.request", "body": data, "more_body": True}
        if self._complete and not self._told:
            self._told = True
            return {"type": "http.request", "body": b"", "more_body": False}
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any] | Message) -> None:
        if message["type"] == "http.response.start":
            headers = [(bytes(name), bytes(value)) for name, value in message.get("headers", [])]
            named = {name.lower() for name, _ in headers}
            if not self._complete and b"connection" not in named:
                # The rest of the body is not waited for.
                headers.append((b"Connection", b"close"))
            await self._server.say(h11.Response(status_code=message["status"], headers=headers))
        elif message["type"] == "http.response.body":
            data = message.get("body", b"")
            if data and not self.head_only:
                await self._server.say(h11.Data(data=bytes(data)))
            if not message.get("more_body", False):
                await self._server.say(h11.EndOfMessage())
                self.answered = True
