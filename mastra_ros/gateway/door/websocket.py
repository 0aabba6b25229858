"""A WebSocket on a transport, by the protocol of `websockets`, for an ASGI application.

Its protocol does no I/O and reads a frame's header before its payload, so that a message which will
be larger than it may is refused before any of it is kept. What has come of a message that is not
complete is held in the memory of its device, as are messages that the application has not taken.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Scope
from websockets.datastructures import Headers
from websockets.exceptions import PayloadTooBig
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import SEND_EOF, State
from websockets.server import ServerProtocol

from .acceptor import LINGER_S, Acceptor, Guest
from .cutting import Cutter, framed, groups
from .ending import Ended, abort
from .http import ADMIT
from .transports import Reader, resume

logger = logging.getLogger(__name__)
_quiet = logging.getLogger(f"{__name__}.protocol")
_quiet.setLevel(logging.CRITICAL)  # it would write a line a connection and fault

WAITING_MAX = 32
"""Messages that wait for the application before the transport is paused."""

MEMORY = "mastra.memory"
"""Where the scope has the account of its device, once the application knows the device."""
FAULT = "mastra.fault"
"""Where an event `websocket.receive` without data says what is wrong with what came."""
HEAR = "mastra.hear"
"""Where the scope may have what hears a message at once; False when that has to wait."""
SAY = "mastra.say"
"""Where the scope has what writes messages at once; False when the connection cannot take them."""
RECORD_BYTES = 1024
"""Messages are written together up to so much. A client can read nothing of a record of TLS before
all of it is there: over a slow link a large one would hold up the first message in it."""
TURN_MAX = 64
"""Messages that are heard of what has come in one call; the others wait."""


class WebSocketServer(Reader):
    """Speaks with one client."""

    def __init__(
        self,
        acceptor: Acceptor,
        guest: Guest,
        transport: asyncio.Transport,
        app: ASGIApp,
        message_bytes_max: int,
    ) -> None:
        self._acceptor = acceptor
        self._guest = guest
        self._transport = transport
        self._app = app
        self._waiting_bytes_max = message_bytes_max
        self._loop = asyncio.get_running_loop()
        self._protocol = ServerProtocol(max_size=message_bytes_max, logger=_quiet)
        self._request: Request | None = None
        self._scope: Scope = {}
        self._greeted = False
        self._denial: Response | None = None
        self._parts: list[bytes] = []  # of a message that is not complete
        self._unfinished_bytes = 0
        self._waiting_bytes = 0  # of messages that the application has not taken
        self._held_bytes = 0  # of both, in the account
        self._cutter = Cutter(self._complete, self._other)
        self._turn = 0
        self._incoming: deque[bytes | Message] = deque()
        self._arrived: asyncio.Future[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._failed = False
        self._gone = False
        self._paused = False
        self._code = 1006
        self._task: asyncio.Task[None] | None = None

    # -- asyncio ---------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if self._failed:
            return
        if self._request is None:
            self._protocol.receive_data(data)
            self._begin()
            return
        self._turn = 0
        self._cutter.feed(data)
        if not self._failed:
            self._settle()

    def _settle(self) -> None:
        """After what has come: keep the account, answer, and read no more than can be taken."""
        self._hold()
        self._flush()
        many = len(self._incoming) > WAITING_MAX or self._waiting_bytes > self._waiting_bytes_max
        if many and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """See asyncio."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """See asyncio."""
        self._writable.set()

    def connection_lost(self, _: Exception | None) -> None:
        """See asyncio."""
        self._gone = True
        self._writable.set()
        self._put({"type": "websocket.disconnect", "code": self._code})
        self._acceptor.gone(self._guest)
        self._drop()
        self._transport = Ended()

    # -- reading ---------------------------------------------------------------------------

    def _begin(self) -> None:
        """The request is there: ask the application."""
        events = self._protocol.events_received()
        if not events or self._protocol.handshake_exc is not None:
            self._fail(self._protocol.handshake_exc)
            return
        request = events[0]
        assert isinstance(request, Request)
        self._request = request
        # Until it is accepted nothing more is read.
        self._paused = True
        self._transport.pause_reading()
        target, _, query = request.path.partition("?")
        self._scope = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss",
            "path": unquote(target),
            "raw_path": target.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "root_path": "",
            "headers": [
                (name.lower().encode("latin-1"), value.encode("utf-8", "surrogateescape"))
                for name, value in request.headers.raw_items()
            ],
            "client": self._guest.peer,
            "server": None,
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
            SAY: self._say,
            ADMIT: lambda: self._acceptor.admit(self._guest),
        }
        self._task = self._loop.create_task(self._serve())

    async def _serve(self) -> None:
        try:
            await self._app(self._scope, self.receive, self.send)
        except Exception:  # what one connection brings about must cost no other
            logger.exception("connection failed")
        if not self._gone:
            self._hang_up()

    def _take(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            self._parts.append(bytes(frame.data))
            if frame.fin:
                parts, self._parts = self._parts, []
                self._unfinished_bytes = 0
                self._complete(parts[0] if len(parts) == 1 else b"".join(parts))
        elif frame.opcode is Opcode.CLOSE:
            self._code = self._protocol.close_code or 1005
            self._put({"type": "websocket.disconnect", "code": self._code})

    def _complete(self, data: bytes) -> None:
        """A message is there."""
        if self._failed or self._protocol.state is not State.OPEN:
            return
        hear = self._scope.get(HEAR)
        self._turn += 1
        if hear is not None and not self._incoming and self._turn <= TURN_MAX and hear(data):
            return
        self._waiting_bytes += len(data)
        self._put(data)

    def _other(self, data: bytes) -> bool:
        """A piece of another frame is there."""
        self._unfinished_bytes += len(data)
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._take(event)
                if not self._parts:
                    self._unfinished_bytes = 0
        if self._protocol.parser_exc is not None:
            self._fail(self._protocol.parser_exc)
        return not self._failed

    def _put(self, item: bytes | Message) -> None:
        self._incoming.append(item)
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    def _fail(self, error: Exception | None) -> None:
        """What came is no WebSocket, or too large: the application has the last word."""
        self._failed = True
        self._drop()
        if self._scope:
            fault = f"broken WebSocket ({type(error).__name__})"
            if isinstance(error, PayloadTooBig):
                size = (error.size or 0) + (error.current_size or 0)
                limit = error.max_size + (error.current_size or 0)
                fault = f"envelope: expected at most {limit} bytes, got {size}"
            self._put({"type": "websocket.receive", FAULT: fault})
        else:
            self._flush()
            self._hang_up()

    def _hold(self) -> None:
        """Keep the account of what is here; without room for it the connection ends."""
        memory = self._scope.get(MEMORY)
        if memory is None:
            return
        held = self._unfinished_bytes + self._cutter.waiting_bytes + self._waiting_bytes
        more = held - self._held_bytes
        if more <= 0:
            memory.give(-more)
        elif not memory.take(more):
            self._failed = True
            self._protocol.fail(CloseCode.TRY_AGAIN_LATER)  # which also forgets what it holds
            self._drop()
            self._put({"type": "websocket.receive", FAULT: ""})
            return
        self._held_bytes += more

    def _drop(self) -> None:
        """Forget what is not complete, and what nobody will take."""
        self._parts.clear()
        self._cutter.drop()
        self._unfinished_bytes = 0
        if self._gone or self._failed:
            self._incoming = deque(one for one in self._incoming if not isinstance(one, bytes))
            self._waiting_bytes = 0
        self._hold()

    # -- ASGI ------------------------------------------------------------------------------

    async def receive(self) -> Message:
        """The next event for the application."""
        if not self._greeted:
            self._greeted = True
            return {"type": "websocket.connect"}
        while not self._incoming:
            if self._gone:
                return {"type": "websocket.disconnect", "code": self._code}
            self._arrived = self._loop.create_future()
            await self._arrived
        item = self._incoming.popleft()
        if not isinstance(item, bytes):
            return item
        self._waiting_bytes -= len(item)
        self._hold()
        few = len(self._incoming) < WAITING_MAX // 2
        if self._paused and few and self._waiting_bytes <= self._waiting_bytes_max // 2:
            self._paused = False
            resume(self._transport)
        return {"type": "websocket.receive", "bytes": item}

    async def send(self, message: Any) -> None:
        """What the application says; RuntimeError when the connection is gone."""
        kind = message["type"]
        if self._gone:
            if kind == "websocket.send":
                raise RuntimeError("the connection is gone")
            return
        if kind == "websocket.send":
            self._write(bytes(message["bytes"]))
        elif kind == "websocket.accept":
            self._accept()
        elif kind == "websocket.close" and self._protocol.state is State.CONNECTING:
            self._deny(HTTPStatus.FORBIDDEN, Headers(), b"")
        elif kind == "websocket.close":
            self._close(message.get("code", 1000), message.get("reason") or "")
        elif kind == "websocket.http.response.start":
            pairs = [
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in message.get("headers", [])
                if name.lower() != b"content-length"
            ]
            self._denial = Response(message["status"], "", Headers(pairs))
        elif kind == "websocket.http.response.body" and self._denial is not None:
            self._deny(self._denial.status_code, self._denial.headers, message.get("body", b""))
        if not self._writable.is_set():
            await self._writable.wait()

    def _accept(self) -> None:
        assert self._request is not None
        self._protocol.send_response(self._protocol.accept(self._request))
        self._flush()
        if self._protocol.state is State.OPEN:
            self._paused = False
            resume(self._transport)
        else:
            self._hang_up()

    def _deny(self, status: int, headers: Headers, body: bytes) -> None:
        headers["Content-Length"] = str(len(body))
        headers["Connection"] = "close"
        response = Response(status, HTTPStatus(status).phrase, headers, body)
        self._protocol.send_response(response)
        self._flush()
        self._hang_up()

    def _write(self, data: bytes) -> None:
        if self._protocol.state is State.OPEN:
            self._protocol.send_binary(data)
            self._flush()
        elif self._failed:
            # The protocol has closed itself; a last word is still heard before its close frame.
            self._transport.write(Frame(Opcode.BINARY, data).serialize(mask=False))
        else:
            raise RuntimeError("the WebSocket is closed")

    def _say(self, messages: Sequence[bytes]) -> bool:
        """Write these together, unless the client takes in nothing at the moment."""
        usable = self._protocol.state is State.OPEN and not self._gone and not self._failed
        if not usable or not self._writable.is_set() or self._transport.is_closing():
            return False
        for group in groups(messages, RECORD_BYTES):
            self._transport.write(framed(group))
        return True

    def _close(self, code: int, reason: str) -> None:
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
        self._flush()
        self._hang_up()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data and not self._transport.is_closing():
                self._transport.write(data)
            elif data == SEND_EOF and not self._failed:
                self._transport.close()
                self._loop.call_later(LINGER_S, abort, self._transport)

    def _hang_up(self) -> None:
        """Close when the client has answered our close frame, or soon."""
        self._flush()
        if self._failed or self._protocol.state is State.CLOSING:
            # What still comes is read and thrown away, or the client would not see our last words.
            resume(self._transport)
            self._loop.call_later(LINGER_S, self._transport.close)
        else:
            self._transport.close()
        self._loop.call_later(2 * LINGER_S, abort, self._transport)
