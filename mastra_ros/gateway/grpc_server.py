"""gRPC on a port of its own: the same allowlist, TLS 1.3 and tokens as everything else.

grpclib speaks HTTP/2 on the transports that our acceptor hands out, since the server of grpcio
cannot be told to speak TLS 1.3 alone. A token stands in the metadata: `authorization: Bearer …`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import ssl
from collections.abc import Callable, Iterator
from typing import Any, cast

from ..errors import (
    AuthenticationError,
    DependencyError,
    LinkError,
    ModelError,
    ProtocolError,
)
from ..protocol.checks import printable
from .auth import Gatekeeper
from .bodies import BadRequest, decoded
from .door.acceptor import Acceptor, Guest
from .door.logs import Sparing
from .grpc_calls import CALLS, Calls, NotServed
from .memory import Pool
from .openinference.messages import SERVICE, message

logger = logging.getLogger(__name__)

NAMES = ("h2",)
"""What is offered as the protocol inside TLS; clients of gRPC insist on it."""
CODINGS = ("gzip", "deflate")
PATIENCE_S = 30.0
"""For a message to come, and for an answer to be read."""
IDLE_S = 300.0
"""A connection without calls is kept for so long, if there is room for it."""
WINDOW_BYTES = 1 << 20
"""A peer may send so much of a request, and of all of them, before it is read."""


def load_grpclib() -> Any:
    """The package. Raises DependencyError where it or protobuf is not installed."""
    try:
        import grpclib.config
        import grpclib.const
        import grpclib.encoding.proto
        import grpclib.events
        import grpclib.protocol
        import grpclib.server
        import h2.config

        message("ModelInferRequest")
    except ImportError as error:
        raise DependencyError(
            'gateway.grpc_port: needs grpclib and protobuf: pip install "mastra-ros[grpc]"'
        ) from error
    del h2
    return grpclib


class GrpcServer:
    """Makes the protocol of each connection that the acceptor lets in."""

    def __init__(
        self, calls: Calls, gatekeeper: Gatekeeper, body_bytes_max: int, bodies: Pool
    ) -> None:
        """Raises DependencyError."""
        self._grpclib = load_grpclib()
        self._calls = calls
        self._gatekeeper = gatekeeper
        self._body_bytes_max = body_bytes_max
        self._bodies = bodies
        self._logs = Sparing(logger)

    def make_protocol(self, acceptor: Acceptor, guest: Guest) -> asyncio.Protocol:
        """For one connection past its handshake."""
        import h2.config

        grpclib = self._grpclib
        unary = grpclib.const.Cardinality.UNARY_UNARY
        visit = _Visit(acceptor, guest)
        mapping = {
            f"{SERVICE}/{name}": grpclib.const.Handler(
                functools.partial(self._serve, name, visit),
                unary,
                message(f"{name}Request"),
                message(f"{name}Response"),
            )
            for name in CALLS
        }
        config = grpclib.config.Configuration(
            http2_connection_window_size=WINDOW_BYTES, http2_stream_window_size=WINDOW_BYTES
        ).__for_server__()
        plain = h2.config.H2Configuration(client_side=False, header_encoding="ascii")
        handler = _handler(grpclib, mapping)
        return _connection(grpclib, handler, (config, plain), acceptor, guest)

    async def _serve(self, name: str, visit: _Visit, stream: Any) -> None:
        status = self._grpclib.const.Status
        try:
            permit = self._gatekeeper.permit_of(
                stream.metadata.getall("authorization", []), stream.peer.addr(), f"gRPC {name}"
            )
            with visit.call(), self._gatekeeper.counted(permit.device):
                answer = await self._answer(name, permit.device, stream)
                await asyncio.wait_for(stream.send_message(answer), PATIENCE_S)
        except AuthenticationError as error:
            raise self._grpclib.GRPCError(status.UNAUTHENTICATED, str(error)) from error
        except NotServed as error:
            raise self._refusal(status.NOT_FOUND, error) from error
        except (ProtocolError, BadRequest) as error:
            raise self._refusal(status.INVALID_ARGUMENT, error) from error
        except (LinkError, MemoryError) as error:
            raise self._refusal(status.UNAVAILABLE, error) from error
        except ModelError as error:
            raise self._refusal(status.INTERNAL, error) from error
        except asyncio.TimeoutError as error:
            text = f"the message was not sent, or the answer not read, within {PATIENCE_S:g} s"
            raise self._grpclib.GRPCError(status.DEADLINE_EXCEEDED, text) from error

    def _refusal(self, status: Any, error: Exception) -> Exception:
        text = error.text if isinstance(error, BadRequest) else str(error)
        made: Exception = self._grpclib.GRPCError(status, printable(text)[:500])
        return made

    async def _answer(self, name: str, device: str, stream: Any) -> Any:
        async with self._bodies.held(device) as account:
            head = await asyncio.wait_for(stream._stream.recv_data(5), PATIENCE_S)
            if len(head) < 5:
                raise ProtocolError("expected a message")
            size = int.from_bytes(head[1:], "big")
            if size > self._body_bytes_max:
                raise ProtocolError(f"expected at most {self._body_bytes_max} bytes, got {size}")
            account.hold(size)
            data = await asyncio.wait_for(stream._stream.recv_data(size), PATIENCE_S)
            if len(data) < size:
                raise ProtocolError("the message ended early")
            if head[0]:
                account.hold(self._body_bytes_max)
                data = await self._expanded(stream, data)
            return await self._calls.answer(name, data, device)

    async def _expanded(self, stream: Any, data: bytes) -> bytes:
        coding = dict(stream._stream.headers or ()).get("grpc-encoding", "")
        if coding not in CODINGS:
            raise ProtocolError(f"grpc-encoding: expected gzip or deflate, got {coding!r:.40}")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, decoded, data, coding, self._body_bytes_max)


class _Visit:
    """The calls in work on one connection: without any, its guest waits again."""

    def __init__(self, acceptor: Acceptor, guest: Guest) -> None:
        self._acceptor, self._guest = acceptor, guest
        self._calls = 0

    @contextlib.contextmanager
    def call(self) -> Iterator[None]:
        """One call of somebody who has shown a token."""
        if not self._calls:
            self._acceptor.admit(self._guest)
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1
            transport = self._guest.transport
            if not self._calls and transport is not None and not transport.is_closing():
                self._acceptor.wait_again(self._guest, IDLE_S)


def _connection(
    grpclib: Any, handler: Any, configs: tuple[Any, Any], acceptor: Acceptor, guest: Guest
) -> asyncio.Protocol:
    """One that the acceptor may end, and that tells it when it has ended."""

    class Connection(grpclib.protocol.H2Protocol):  # type: ignore[misc]
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            guest.transport = cast(asyncio.Transport, transport)
            super().connection_made(transport)

        def connection_lost(self, exc: BaseException | None) -> None:
            acceptor.gone(guest)
            super().connection_lost(exc)

    made: asyncio.Protocol = Connection(handler, *configs)
    return made


def _handler(grpclib: Any, mapping: dict[str, Any]) -> Any:
    """One that keeps the headers of a call, which say how its message is compressed."""

    class Handler(grpclib.server.Handler):  # type: ignore[misc]
        def accept(self, stream: Any, headers: Any, release: Callable[[], Any]) -> None:
            stream.headers = headers
            super().accept(stream, headers, release)

    codec = grpclib.encoding.proto.ProtoCodec()
    return Handler(mapping, codec, None, grpclib.events._DispatchServerEvents())


def with_alpn(context: ssl.SSLContext) -> ssl.SSLContext:
    """The same, which agrees on HTTP/2."""
    context.set_alpn_protocols(list(NAMES))
    return context
