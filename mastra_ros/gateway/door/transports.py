"""TLS on accepted sockets: by aiofastnet where it is installed, else by asyncio itself.

aiofastnet calls OpenSSL without the detour over Python's memory buffers; what it gives is a
transport of asyncio in all that is used here, but for one fault: see `resume`. It is what picows
stands on.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

from .ending import abort

try:
    from aiofastnet import connect_accepted_socket
except ImportError:  # no wheel for this machine
    _connect: Callable[..., Any] | None = None
else:
    _connect = connect_accepted_socket


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
        made = await _connect(loop, make_protocol, sock, **how)
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
