"""TLS on accepted sockets: by aiofastnet where it is installed, else by asyncio itself.

aiofastnet calls OpenSSL without the detour over Python's memory buffers; what it gives is a
transport of asyncio in all that is used here. It is what picows stands on.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

try:
    from aiofastnet import connect_accepted_socket
except ImportError:  # no wheel for this machine
    _connect: Callable[..., Any] | None = None
else:
    _connect = connect_accepted_socket


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
