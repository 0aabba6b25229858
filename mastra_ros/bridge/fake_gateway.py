"""A scripted gateway for tests: real TLS, real tokens, real sessions, and answers as told.

with FakeGateway(keys_folder, "camera-1") as gateway:
    gateway.answer = lambda frame: [Nack(frame.stream, frame.stamp_ns, "corrupt")]
    … connect a bridge to gateway.uri …
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from ..errors import AuthenticationError, ProtocolError
from ..protocol import (
    Ack,
    FrameMessage,
    Hello,
    Message,
    ResultMessage,
    Role,
    Send,
    Session,
    Silent,
    State,
)
from ..protocol.keys import load_public_keys
from ..protocol.tls import server_context
from ..protocol.tokens import verify_token
from ..types import FrameKey

TICK_S = 0.01


class FakeGateway:
    """Serves one device. What it does may be changed at any time by setting the attributes.

    frames: all that arrived, in order, over all connections. committed: keys that were answered
    by `commit`, each once. tokens: as presented. answer: what each frame is answered with.
    """

    def __init__(
        self,
        keys: Path,
        device: str = "camera-1",
        *,
        audience: str = "mastra-gateway",
        port: int = 0,
        tls_context: Any = None,
        settings: Mapping[str, Any] | None = None,
        codecs: tuple[str, ...] = (),
    ) -> None:
        self.codecs = codecs  # that it says to decode
        self.extensions: tuple[str, ...] = ()  # that it says to understand

        self.port = port
        self.frames: list[FrameMessage] = []
        self.committed: list[FrameKey] = []
        self.tokens: list[str] = []
        self.heard: list[Message] = []
        self.answer: Callable[[FrameMessage], Sequence[Message]] = self.commit
        self.answers_heartbeats = True
        self.mute = False  # hears everything and says nothing
        self.refuse_status = 0
        self.refuse_with: Callable[[], Response] | None = None
        self.greets = True
        self._keys = load_public_keys(keys)
        self._context = tls_context or server_context(keys / "server.crt", keys / "server.key")
        self._device = device
        self._audience = audience
        self._settings = settings
        self._connections: dict[ServerConnection, Session] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    @property
    def uri(self) -> str:
        """Where it listens."""
        return f"wss://127.0.0.1:{self.port}"

    def commit(self, frame: FrameMessage) -> list[Message]:
        """Acknowledge a frame and answer it without detections; the second time as a duplicate."""
        duplicate = frame.key in self.committed
        if not duplicate:
            self.committed.append(frame.key)
        return [
            ResultMessage(
                frame.stream,
                frame.stamp_ns,
                "cloud",
                labels=("open",),
                model="fake",
                late=frame.late,
                id=frame.id,
            ),
            Ack(frame.stream, frame.stamp_ns, duplicate, id=frame.id),
        ]

    def say(self, message: Message) -> None:
        """Send a message to every device that is connected."""

        async def send() -> None:
            for websocket, session in self._connections.items():
                await websocket.send(session.send(message, time.monotonic_ns()))

        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(send(), self._loop).result(10)

    def say_raw(self, data: bytes | str) -> None:
        """Send anything to every device that is connected."""

        async def send() -> None:
            for websocket in self._connections:
                await websocket.send(data)

        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(send(), self._loop).result(10)

    def start(self) -> FakeGateway:
        """Listen, on the same port as before when started again."""
        started: Future[None] = Future()
        self._thread = threading.Thread(
            target=asyncio.run, args=(self._main(started),), name="fake-gateway", daemon=True
        )
        self._thread.start()
        started.result(10)
        return self

    def stop(self) -> None:
        """Hang up without a word, as a gateway that is killed; a second call does nothing."""
        if self._thread is not None and self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
        self._thread = None

    def __enter__(self) -> FakeGateway:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()

    # -- in its thread ---------------------------------------------------------------------

    async def _main(self, started: Future[None]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server: Server = await serve(
            self._serve,
            "127.0.0.1",
            self.port,
            ssl=self._context,
            compression=None,
            ping_interval=None,
            process_request=self._check_token,
            max_size=2**24,
            close_timeout=0.1,
        )
        self.port = next(iter(server.sockets)).getsockname()[1]
        started.set_result(None)
        await self._stop.wait()
        for websocket in list(self._connections):
            websocket.transport.abort()
        server.close()
        await server.wait_closed()

    def _check_token(self, websocket: ServerConnection, request: Request) -> Response | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        self.tokens.append(token)
        if self.refuse_with is not None:
            return self.refuse_with()
        if self.refuse_status:
            return websocket.respond(HTTPStatus(self.refuse_status), "as told\n")
        try:
            if scheme != "Bearer" or request.path != "/v1/stream":
                raise AuthenticationError("expected a bearer token at /v1/stream")
            device = verify_token(token, self._keys, self._audience)
        except AuthenticationError as error:
            return websocket.respond(HTTPStatus.UNAUTHORIZED, f"{error}\n")
        return None if device == self._device else websocket.respond(HTTPStatus.FORBIDDEN, "")

    async def _serve(self, websocket: ServerConnection) -> None:
        session = Session(
            Role.GATEWAY,
            device=self._device,
            now_ns=time.monotonic_ns(),
            codecs=self.codecs,
            extensions=self.extensions,
        )
        self._connections[websocket] = session
        ticker = asyncio.ensure_future(self._tick(websocket, session))
        try:
            async for data in websocket:
                if isinstance(data, str):
                    raise ProtocolError("expected a binary message")
                for event in session.receive(data, time.monotonic_ns()):
                    await self._react(websocket, session, event)
        except (ConnectionClosed, ProtocolError):
            pass
        finally:
            ticker.cancel()
            del self._connections[websocket]

    async def _react(self, websocket: ServerConnection, session: Session, event: Any) -> None:
        now_ns = time.monotonic_ns()
        if isinstance(event, Message):
            self.heard.append(event)
        if self.mute:
            return
        if isinstance(event, Send) and self.answers_heartbeats:
            await websocket.send(event.data)
        elif isinstance(event, Hello) and self.greets:
            await websocket.send(session.welcome(now_ns, self._settings))
        elif isinstance(event, FrameMessage):
            self.frames.append(event)
            for message in self.answer(event):
                await websocket.send(session.send(message, now_ns))

    async def _tick(self, websocket: ServerConnection, session: Session) -> None:
        with contextlib.suppress(ConnectionClosed):
            while session.state is not State.CLOSED:
                for event in session.tick(time.monotonic_ns()):
                    if isinstance(event, Silent):
                        return
                    if isinstance(event, Send) and not self.mute:
                        await websocket.send(event.data)
                await asyncio.sleep(TICK_S)
