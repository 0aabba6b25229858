"""The process of the dashboard: NiceGUI behind the guard, on uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, DependencyError
from ..orphans import parent_ended
from .fleet import Fleet
from .gateway import GatewayClient
from .oidc_config import OidcConfig
from .yielding import yield_to_others

if TYPE_CHECKING:
    import uvicorn

logger = logging.getLogger(__name__)

RECONNECT_S = 10.0
"""A page that is not heard for so long is forgotten, and loads itself anew when it comes back. A
link of a phone, or a busy machine, is away for longer than NiceGUI's 3 s (and 2 s for a ping)."""
MESSAGE_BYTES_MAX = 2**20
"""Of what a page says over its socket."""


@dataclass(frozen=True)
class Place:
    """Where the dashboard listens, and under which origins people know it."""

    host: str = "127.0.0.1"
    port: int = 8480
    certificate: Path | None = None
    key: Path | None = None
    origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ConfigError("dashboard: a certificate and its key come together")
        if not _is_loopback(self.host) and self.certificate is None:
            raise ConfigError(
                f"dashboard: {self.host} is beyond loopback: give --certificate and --key, since "
                "passwords must not travel without TLS"
            )
        for origin in self.origins:
            scheme, _, rest = origin.partition("://")
            if scheme not in ("http", "https") or not rest or "/" in rest:
                raise ConfigError(f"origin: expected https://HOST[:PORT], got {origin!r:.100}")

    @property
    def secure(self) -> bool:
        """Whether it is served over TLS."""
        return self.certificate is not None

    def origins_at(self, port: int) -> tuple[str, ...]:
        """The origins that are ours when we listen on this port."""
        if self.origins:
            return self.origins
        scheme = "https" if self.secure else "http"
        names = ["127.0.0.1", "localhost", "[::1]"] if _is_loopback(self.host) else [self.host]
        return tuple(f"{scheme}://{name}:{port}" for name in names)


async def serve(
    gateway: GatewayClient,
    people_path: Path,
    place: Place,
    on_ready: Callable[[str], None],
    *,
    parent_pid: int = 0,
    prices: Mapping[str, Any] | None = None,
    oidc: OidcConfig | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, or until the process `parent_pid` ends.

    prices: the fields of `gateway_panel.Prices`. oidc: people may log in at a provider, too.
    Raises ConfigError or DependencyError before it listens.
    """
    try:
        import uvicorn
        from fastapi import FastAPI
        from nicegui import ui

        from .gateway_panel import Prices
        from .guard import Guard
        from .login import Login
        from .logins import Logins
        from .oidc import Oidc
        from .pages import add_pages
        from .people import People
        from .pictures import Pictures
        from .previews import Previews
    except ImportError as error:
        raise DependencyError(
            f'the dashboard needs more packages ({error.name}): pip install "mastra-ros[dashboard]"'
        ) from None

    yield_to_others()
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells each question
    people = People(people_path)
    if not len(people) and oidc is None:
        raise ConfigError(
            f"{people_path}: nobody may log in yet; run: "
            f"mastra dashboard add-person --people {people_path} NAME --role admin"
        )
    fleet = Fleet(gateway)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        polling = asyncio.ensure_future(fleet.run())
        try:
            yield
        finally:
            polling.cancel()
            await asyncio.gather(polling, return_exceptions=True)
            await gateway.close()

    inner = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    pictures = Pictures(gateway)
    inner.router.routes.extend(pictures.routes())
    add_pages(fleet, gateway, pictures, Previews(), Prices(**(prices or {})))
    ui.run_with(
        inner,
        title="Mastra",
        dark=None,
        show_welcome_message=False,
        reconnect_timeout=RECONNECT_S,
    )
    listener = _listen(place)
    port = int(listener.getsockname()[1])
    logins = Logins(people)
    origins = place.origins_at(port)
    secure = place.secure or all(one.startswith("https://") for one in origins)
    provider = None
    if oidc is not None:
        provider = Oidc(oidc, origins)
    login = Login(people, logins, secure=secure, oidc=provider).app()
    guarded = Guard(inner, login, logins, origins=origins)
    server = uvicorn.Server(
        uvicorn.Config(
            guarded,
            ssl_certfile=str(place.certificate) if place.certificate else None,
            ssl_keyfile=str(place.key) if place.key else None,
            log_level="warning",
            # Who asks says nothing of where from, unless a proxy of ours stands in between.
            proxy_headers=bool(place.origins),
            lifespan="on",
            ws_max_size=MESSAGE_BYTES_MAX,
            server_header=False,
            timeout_graceful_shutdown=2,
        )
    )
    on_ready(origins[0])
    watch = asyncio.ensure_future(_outlived(parent_pid, server))
    await server.serve(sockets=[listener])
    watch.cancel()


async def _outlived(parent_pid: int, server: uvicorn.Server) -> None:
    if parent_pid:
        await parent_ended(parent_pid)
        logger.warning("the process that started the dashboard has ended")
        server.should_exit = True


def _listen(place: Place) -> socket.socket:
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((place.host, place.port))
    except OSError as error:
        listener.close()
        raise ConfigError(f"{place.host}:{place.port}: {error.strerror}") from None
    listener.listen(128)
    return listener


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
