"""TLS on accepted sockets: by aiofastnet where it is installed, else by asyncio itself.

aiofastnet calls OpenSSL without the detour over Python's memory buffers; what it gives is a
transport of asyncio in all that is used here. It is what picows stands on.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any, cast

try:
    from aiofastnet import connect_accepted_socket as _connect
except ImportError:  # no wheel for this machine
    _connect = None


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
        transport, _ = await loop.connect_accepted_socket(make_protocol, sock, **how)
    else:
        transport, _ = await _connect(loop, make_protocol, sock, **how)
    return cast(asyncio.Transport, transport)
