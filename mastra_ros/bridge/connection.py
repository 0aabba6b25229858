"""Opens the WebSocket to the gateway: TLS 1.3, a fresh token, errors that say what is wrong."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from ..config import BridgeConfig
from ..errors import AuthenticationError, ConfigError, LinkError
from ..protocol.checks import NAME, is_name
from ..protocol.keys import audience_of, load_device_key
from ..protocol.tls import client_context
from ..protocol.tokens import sign_token
from ..redaction import redact_uri
from ..share import home_path
from .proxy import open_tunnel, proxy_for

STREAM_PATH = "/v1/stream"
PROXY_SHARE = 0.8
"""Of the time for connecting, what a proxy may take, so that its silence is told as its own."""
UNSENT_BYTES = 32_768
"""What the kernel may hold unsent, so that a heartbeat never waits behind megabytes."""


@dataclass(frozen=True)
class Address:
    """Where the gateway is."""

    uri: str
    host: str
    port: int

    @classmethod
    def parse(cls, gateway: str) -> Address:
        """From `wss://host[:port][/path]`; ConfigError for anything else."""
        shown = repr(redact_uri(gateway))
        try:
            parts = urlsplit(gateway)
            port = parts.port or 8443
        except ValueError:  # its text may be a part of a password
            raise ConfigError(f"gateway: {shown} is no address; expected wss://host:port") from None
        if parts.scheme != "wss" or not parts.hostname:
            raise ConfigError(f"gateway: expected wss://host:port, got {shown}")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ConfigError(f"gateway: expected no more than wss://host:port, got {shown}")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        path = parts.path.rstrip("/") or STREAM_PATH
        return cls(f"wss://{host}:{port}{path}", parts.hostname, port)


def keys_folder(config: BridgeConfig) -> Path:
    """Folder with ca.crt and the device's key; ConfigError when none is named."""
    folder = config.keys_dir or os.environ.get("MASTRA_KEYS", "")
    if not folder:
        raise ConfigError("keys_dir: no folder of keys is named, and MASTRA_KEYS is not set")
    return home_path(folder)


def check_config(config: BridgeConfig) -> None:
    """ConfigError or AuthenticationError when no connection can ever come of this config."""
    for name in ("device", "stream"):
        if not is_name(getattr(config, name)):
            raise ConfigError(
                f"{name}: expected a name ({NAME.pattern}), got {getattr(config, name)!r}"
            )
    if config.heartbeat_timeout_ms < 2 * config.heartbeat_interval_ms:
        raise ConfigError(
            f"heartbeat_timeout_ms: expected at least two intervals of "
            f"{config.heartbeat_interval_ms:g} ms, got {config.heartbeat_timeout_ms:g} ms"
        )
    if config.gateway:
        address = Address.parse(config.gateway)
        proxy_for(config.proxy, address.host, address.port)
        client_context(keys_folder(config) / "ca.crt")
        load_device_key(keys_folder(config), config.device)


def fresh_token(config: BridgeConfig) -> str:
    """A token of this device for its gateway; AuthenticationError when it cannot be made."""
    folder = keys_folder(config)
    key = load_device_key(folder, config.device)
    audience = config.audience or audience_of(folder)
    return sign_token(config.device, key, audience, config.token_lifetime_s)


async def open_tcp(config: BridgeConfig, address: Address) -> socket.socket | None:
    """A socket to the gateway through a proxy; None where the way is direct.

    LinkError, AuthenticationError or ConfigError where the proxy cannot be used.
    """
    proxy = proxy_for(config.proxy, address.host, address.port)
    if proxy is None:
        return None
    limit_s = PROXY_SHARE * config.connect_timeout_s
    try:
        return await asyncio.wait_for(
            open_tunnel(proxy, address.host, address.port, address.uri), limit_s
        )
    except (TimeoutError, asyncio.TimeoutError):
        raise LinkError(
            f"{address.uri}: no answer of its proxy {proxy} within {limit_s:g} s"
        ) from None


async def open_socket(config: BridgeConfig) -> ClientConnection:
    """A WebSocket to the gateway; LinkError, or AuthenticationError where trying again is vain."""
    address = Address.parse(config.gateway)
    context = client_context(keys_folder(config) / "ca.crt")
    token = fresh_token(config)
    raw = await open_tcp(config, address)
    # Naming host and port, or a socket, makes redirects an error: the token stays here.
    there: dict[str, Any] = {"host": address.host, "port": address.port}
    name = address.uri
    if raw is not None:
        there = {"sock": raw, "server_hostname": address.host}
        name += " through its proxy"
    try:
        websocket = await connect(
            address.uri,
            **there,
            ssl=context,
            additional_headers={"Authorization": f"Bearer {token}"},
            compression=None,
            proxy=None,
            open_timeout=config.connect_timeout_s,
            close_timeout=0.5,
            ping_interval=None,  # our own heartbeats decide
            max_size=config.message_bytes_max,
            write_limit=16_384,
        )
    except InvalidStatus as error:
        raise _refusal(name, error) from None
    except ssl.SSLCertVerificationError as error:
        raise AuthenticationError(
            f"{name}: its certificate is not trusted ({error.verify_message})"
        ) from None
    except ssl.SSLError as error:
        raise LinkError(f"{name}: no TLS 1.3 ({error.reason or error})") from None
    except (TimeoutError, asyncio.TimeoutError):
        raise LinkError(f"{name}: no answer within {config.connect_timeout_s:g} s") from None
    except ConnectionResetError:
        raise LinkError(
            f"{name}: hung up while connecting (it is not up, has no TLS 1.3, or "
            "this address is not on its allowlist)"
        ) from None
    except (OSError, EOFError, ValueError, WebSocketException) as error:
        raise LinkError(f"{name}: {str(error) or type(error).__name__}") from None
    _tune(websocket)
    return websocket


def _refusal(name: str, error: InvalidStatus) -> LinkError | AuthenticationError:
    status = error.response.status_code
    body = bytes(error.response.body or b"")[:200].decode("utf-8", "replace").strip()
    text = f"{name}: refused with HTTP {status}{': ' if body else ''}{body}"
    return AuthenticationError(text) if status in (401, 403) else LinkError(text)


def _tune(websocket: ClientConnection) -> None:
    """Small messages leave at once, and a stall shows in our queues and not in the kernel's."""
    raw: socket.socket = websocket.transport.get_extra_info("socket")
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if os.uname().sysname == "Linux":
        lowat = getattr(socket, "TCP_NOTSENT_LOWAT", 25)  # named since Python 3.12
        raw.setsockopt(socket.IPPROTO_TCP, lowat, UNSENT_BYTES)
