"""The proxy of a site on the way to the gateway: which one, and a tunnel through it.

The proxy is asked to CONNECT (RFC 9110, 9.3.6) and passes bytes on; TLS stays between device and
gateway, so that the proxy sees no more than the gateway's name.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from ..errors import AuthenticationError, ConfigError, LinkError
from ..redaction import redact_uri

ENVIRONMENT = "environment"
"""The value of `proxy` that leaves it to HTTPS_PROXY and NO_PROXY."""
HEAD_BYTES_MAX = 16_384
"""Of the proxy's answer."""
REFUSALS = {
    401: "it wants a password",
    403: "it does not allow this gateway",
    407: "it wants a password, which HTTPS_PROXY may hold where proxy is environment",
}
"""What asking again does not change."""


@dataclass(frozen=True)
class Proxy:
    """Where the proxy is, and who we are to it."""

    host: str
    port: int
    user: str = ""
    password: str = ""

    def __str__(self) -> str:
        """For people and logs."""
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"Proxy({self})"


def proxy_for(
    setting: str, host: str, port: int, environment: Mapping[str, str] | None = None
) -> Proxy | None:
    """The proxy on the way to a gateway, None for the direct way.

    setting: empty, `environment` or `host:port`. ConfigError for anything else, and where the
    environment names no proxy that can be used.
    """
    values = os.environ if environment is None else environment
    if not setting:
        return None
    if setting != ENVIRONMENT:
        proxy = _parse(setting)
        return None if is_loopback(host) else proxy
    name, found = _variable(values, "HTTPS_PROXY")
    if not found or is_loopback(host) or is_exempt(_variable(values, "NO_PROXY")[1], host, port):
        return None
    return _parse_url(name, found)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, which no proxy leads to."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _address(name)
    return address is not None and (address.is_loopback or address.is_unspecified)


def is_exempt(no_proxy: str, host: str, port: int) -> bool:
    """Whether NO_PROXY says that a host is reached without a proxy.

    Its entries: `*`; a name, for itself and all below it, also with `.` or `*.` in front; an
    address; a network (CIDR); each of names and addresses with `:port` where only that port is
    meant. Commas or spaces between them.
    """
    return any(_covers(entry, host, port) for entry in re.split(r"[,\s]+", no_proxy) if entry)


async def open_tunnel(proxy: Proxy, host: str, port: int, name: str) -> socket.socket:
    """A socket to the gateway through the proxy, on which nothing has been said yet.

    LinkError, or AuthenticationError where the proxy will not have us; `name` is the gateway's.
    """
    loop = asyncio.get_running_loop()
    try:
        raw = await _connect(proxy)
    except OSError as error:
        raise LinkError(f"{name}: its proxy {proxy} cannot be reached: {_why(error)}") from None
    try:
        await loop.sock_sendall(raw, _request(proxy, host, port))
        status = _status(await _head(raw))
    except (OSError, EOFError) as error:
        raw.close()
        raise LinkError(f"{name}: its proxy {proxy} hung up: {_why(error)}") from None
    except ValueError as error:
        raw.close()
        raise LinkError(f"{name}: its proxy {proxy} speaks no HTTP: {error}") from None
    except BaseException:
        raw.close()
        raise
    if 200 <= status < 300:
        return raw
    raw.close()
    why = f": {REFUSALS[status]}" if status in REFUSALS else ""
    text = f"{name}: its proxy {proxy} refused with HTTP {status}{why}"
    raise AuthenticationError(text) if status in REFUSALS else LinkError(text)


def _why(error: OSError | EOFError) -> str:
    """In words: asyncio replaces those of the system by an address."""
    number = getattr(error, "errno", None) or 0
    return os.strerror(number) if number > 0 else getattr(error, "strerror", None) or str(error)


async def _connect(proxy: Proxy) -> socket.socket:
    loop = asyncio.get_running_loop()
    failure: OSError = OSError("its name has no address")
    for family, kind, number, _, where in await loop.getaddrinfo(
        proxy.host, proxy.port, type=socket.SOCK_STREAM
    ):
        raw = socket.socket(family, kind, number)
        raw.setblocking(False)
        try:
            await loop.sock_connect(raw, where)
        except OSError as error:
            raw.close()
            failure = error
        except BaseException:
            raw.close()
            raise
        else:
            return raw
    raise failure


def _request(proxy: Proxy, host: str, port: int) -> bytes:
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", "User-Agent: mastra"]
    if proxy.user or proxy.password:
        secret = base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {secret}")
    return "\r\n".join([*lines, "", ""]).encode()


async def _head(raw: socket.socket) -> bytes:
    """The head of the answer. Nothing may follow: the gateway says nothing before we do."""
    loop = asyncio.get_running_loop()
    head = b""
    while b"\r\n\r\n" not in head:
        part = await loop.sock_recv(raw, 4096)
        if not part:
            raise EOFError("it ended before its answer was complete")
        head += part
        if not head.startswith(b"HTTP/"[: len(head)]):
            raise ValueError(f"got {head[:20]!r}")
        if len(head) > HEAD_BYTES_MAX:
            raise ValueError(f"its answer has more than {HEAD_BYTES_MAX} bytes")
    return head


def _status(head: bytes) -> int:
    found = re.match(rb"HTTP/1\.[01] ([0-9]{3})[ \r]", head)
    if found is None:
        raise ValueError(f"got {head[:20]!r}")
    status = int(found.group(1))
    if 200 <= status < 300 and not head.endswith(b"\r\n\r\n"):
        raise ValueError("more than an answer came")
    return status


def _parse(setting: str) -> Proxy:
    """`host:port` and no more."""
    wrong = ConfigError(
        f"proxy: expected empty, {ENVIRONMENT} or host:port without user and password, "
        f"got {redact_uri(setting)!r}"
    )
    if not re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/@?#\[\]]+):[0-9]{1,5}", setting):
        raise wrong
    host, _, port = setting.rpartition(":")
    if not 0 < int(port) < 65536:
        raise wrong
    return Proxy(host.strip("[]"), int(port))


def _parse_url(name: str, text: str) -> Proxy:
    """The value of HTTPS_PROXY: `[http://][user:password@]host[:port][/]`."""
    wrong = ConfigError(f"{name}: expected http://host:port, got {redact_uri(text)!r}")
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        port = parts.port or 80
    except ValueError:  # its text may be a part of a password
        raise wrong from None
    if parts.scheme != "http" or not parts.hostname:
        raise wrong
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise wrong
    return Proxy(parts.hostname, port, unquote(parts.username or ""), unquote(parts.password or ""))


def _variable(values: Mapping[str, str], name: str) -> tuple[str, str]:
    """A variable under the name that is set, and its value; small letters count first."""
    small = name.lower()
    return (
        (small, values[small].strip()) if small in values else (name, values.get(name, "").strip())
    )


def _covers(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    name = host.rstrip(".").lower()
    meant, only = _split_port(entry.lower())
    if only is not None and only != port:
        return False
    address = _address(name)
    if address is not None:
        try:
            return address in ipaddress.ip_network(meant.strip("[]"), strict=False)
        except ValueError:
            return False
    meant = meant.removeprefix("*").strip(".")
    return bool(meant) and (name == meant or name.endswith(f".{meant}"))


def _split_port(entry: str) -> tuple[str, int | None]:
    """`host:port` in two; an IPv6 address alone has colons, too."""
    found = re.fullmatch(r"(\[[^\]]*\]|[^:]*):([0-9]{1,5})", entry)
    return (found.group(1), int(found.group(2))) if found else (entry, None)


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return address if mapped is None else ipaddress.IPv4Address(mapped)
