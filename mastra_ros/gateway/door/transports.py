"""TLS on accepted sockets: by aiofastnet where it is installed, else by asyncio itself.

aiofastnet calls OpenSSL without the detour over Python's memory buffers; what it gives is a
transport of asyncio in all that is used here, but for one fault: see `resume`. It is what picows
stands on.

Each connection has buffers of its own, and for each read one is made for the data, unless the
protocol has one (`Reader`). Both are kept small, for there may be a thousand connections, and what
they leave behind in the allocator's heap is not given back to the system.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

from .ending import abort

try:
    from aiofastnet import connect_accepted_socket
except ImportError:  # no wheel for this machine
    _connect: Callable[..., Any] | None = None
else:
    _connect = connect_accepted_socket

_RECORD_BYTES = 16_384 + 64
INCOMING_BYTES, OUTGOING_BYTES = 4 * _RECORD_BYTES, 2 * _RECORD_BYTES
"""What of a connection is read and written by one call to the system; aiofastnet's own sizes, 16
records each, are 526 kB a connection."""
READ_BYTES = 262_144
"""Most that a protocol is given at once."""


class Reader(asyncio.BufferedProtocol):
    """As asyncio.Protocol, with one buffer for all connections of a thread.

    Without it 256 kB are allocated for each read, however little has come.
    """

    def data_received(self, data: bytes) -> None:
        """What has come."""
        raise NotImplementedError

    def get_buffer(self, _: int) -> memoryview:
        """See asyncio."""
        return _reading.view

    def buffer_updated(self, nbytes: int) -> None:
        """See asyncio."""
        self.data_received(_reading.view[:nbytes].tobytes())


class _Reading(threading.local):
    def __init__(self) -> None:
        self.view = memoryview(bytearray(READ_BYTES))


_reading = _Reading()


def quiet(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A handler of exceptions for the loop: that a peer is gone, or speaks no TLS, is no fault.

    Who waits for the handshake hears of it. asyncio is as quiet by itself.
    """
    error = context.get("exception")
    if isinstance(error, type):  # what aiofastnet says of some errors
        del context["exception"]
        context["message"] = f"{context.get('message')} ({error.__name__})"
    if str(context.get("message")).startswith("SSL handshake failed"):
        return
    if "transport" in context and isinstance(error, OSError):
        return
    loop.default_exception_handler(context)


async def open_tls(
    make_protocol: Callable[[], asyncio.BaseProtocol],
    sock: socket.socket,
    context: ssl.SSLContext,
    handshake_s: float,
) -> asyncio.Transport:
    """Shake hands on an accepted socket; OSError or TimeoutError when that fails."""
    loop = asyncio.get_running_loop()
    how: dict[str, Any] = {"ssl": context, "ssl_handshake_timeout": handshake_s}
    if _connect is None:
        made = await loop.connect_accepted_socket(make_protocol, sock, **how)
    else:
        sizes = {"ssl_incoming_bio_size": INCOMING_BYTES, "ssl_outgoing_bio_size": OUTGOING_BYTES}
        made = await _connect(loop, make_protocol, sock, **how, **sizes)
    return made[0]


def resume(transport: asyncio.Transport) -> None:
    """Read on, and be given what had been received already when reading was paused.

    aiofastnet 1.2 keeps that until more comes, which it does not once a client waits for us.
    """
    transport.resume_reading()
    read_on = getattr(transport, "_do_read", None)
    if read_on is not None:
        asyncio.get_running_loop().call_soon(_read_on, transport, read_on)


def _read_on(transport: asyncio.Transport, read_on: Callable[[], None]) -> None:
    if transport.is_closing() or not transport.is_reading():
        return
    try:
        read_on()
    except ssl.SSLError:  # what it says where it reads by itself: the connection is over
        abort(transport)
