"""Connections that end in the midst of their handshakes are no fault of ours."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct

import httpx

from mastra_ros.gateway.embedded import EmbeddedGateway

RESET = struct.pack("ii", 1, 0)
ALERT = bytes((21, 3, 3, 0, 2, 2, 40))


def hello_of(context: ssl.SSLContext) -> bytes:
    """The first message of a client."""
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("the handshake needs no server")


def test_they_leave_no_traceback_and_others_are_served(
    gateway: EmbeddedGateway, tls: ssl.SSLContext
) -> None:
    before = len(gateway.log_path.read_text())
    hello = hello_of(tls)
    for n in range(24):
        with socket.create_connection(("127.0.0.1", gateway.port), 20.0) as sock:
            sock.sendall((hello, hello[:100], hello + ALERT, b"GET / HTTP/1.1\r\n\r\n")[n % 4])
            if n % 2:  # until the gateway has looked at it
                sock.settimeout(0.2)
                with contextlib.suppress(OSError):
                    sock.recv(1)
            if n % 3 == 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        with socket.create_connection(("127.0.0.1", gateway.port), 20.0) as plain:
            secure = tls.wrap_socket(plain, server_hostname="localhost")
            if n % 2:
                secure.sendall(b"GET /hea")
            secure.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            secure.close()
        assert httpx.get(f"{gateway.url}/healthz", verify=tls).status_code == 200
    said = gateway.log_path.read_text()[before:]
    assert "Traceback" not in said
    assert "Logging error" not in said
