"""Runs the gateway on Granian, in this process: one event loop, no workers to be orphaned."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..config import GatewayConfig
from ..errors import ConfigError, DependencyError, MastraError
from ..protocol.keys import check_private, load_public_keys
from ..protocol.tls import server_context
from ..share import home_path
from .app import Gateway, open_store
from .metrics import Metrics
from .models import Models

logger = logging.getLogger(__name__)

START_S = 10.0
STOP_S = 5.0
PORT_TRIES = 5
PARENT_CHECK_S = 0.5
SPARE_CONNECTIONS = 64
"""Connections besides those of sessions: health, metrics, handshakes under way."""

LOGGING: dict[str, Any] = {
    "handlers": {},
    "loggers": {"_granian": {"propagate": True}, "granian.access": {"propagate": True}},
}
"""Granian logs where we do; by itself it would write to standard output."""


async def serve(
    config: GatewayConfig, on_ready: Callable[[str], None], *, parent_pid: int = 0
) -> None:
    """Serve until SIGINT or SIGTERM, or until the process `parent_pid` ends.

    `on_ready(url)` is called when devices may connect. Raises ConfigError, AuthenticationError,
    ModelError, StoreError or DependencyError when something is missing, before anything listens.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    watch = asyncio.ensure_future(_outlived(parent_pid, stop))
    try:
        keys_dir = _keys_dir(config)
        gateway = await _open(config, keys_dir)
        try:
            await _serve(config, keys_dir, gateway, stop, on_ready)
        finally:
            await gateway.close()
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
    logger.info("stopped")


def state_folder(config: GatewayConfig, keys_dir: Path) -> Path:
    """Where the results are kept."""
    if config.state_dir:
        return home_path(config.state_dir)
    return keys_dir.resolve().parent / "mastra-gateway"


def _keys_dir(config: GatewayConfig) -> Path:
    given = config.keys_dir or os.environ.get("MASTRA_KEYS", "")
    if not given:
        raise ConfigError("gateway: no folder of keys; give --keys DIR or set MASTRA_KEYS")
    keys_dir = home_path(given)
    for path in (keys_dir, keys_dir / "server.key"):
        check_private(path)
    # Granian reads the files itself and ends the process when it cannot.
    server_context(keys_dir / "server.crt", keys_dir / "server.key")
    logger.info("keys of %d devices in %s", len(load_public_keys(keys_dir)), keys_dir)
    return keys_dir


async def _open(config: GatewayConfig, keys_dir: Path) -> Gateway:
    from ..compression import Decoder

    metrics = Metrics()
    store = await asyncio.to_thread(open_store, config, state_folder(config, keys_dir), metrics)
    try:
        models = await Models.open(config, metrics)
    except MastraError:
        store.close()
        raise
    return Gateway(
        config,
        models=models,
        store=store,
        metrics=metrics,
        make_decoder=lambda: Decoder(
            references_kept=config.references_kept, pixels_max=config.pixels_max
        ),
    )


async def _serve(
    config: GatewayConfig,
    keys_dir: Path,
    gateway: Gateway,
    stop: asyncio.Event,
    on_ready: Callable[[str], None],
) -> None:
    try:
        from granian.constants import HTTPModes, Interfaces
        from granian.log import LogLevels
        from granian.server.embed import Server
    except ImportError as error:
        raise DependencyError(f"{error}: pip install granian") from error

    for remaining in reversed(range(PORT_TRIES)):
        try:
            address, port = free_port(config.host, config.port)
            server = Server(
                gateway.app(keys_dir),
                address=address,
                port=port,
                interface=Interfaces.ASGINL,
                http=HTTPModes.http1,
                backlog=1024,
                backpressure=config.sessions_max + SPARE_CONNECTIONS,
                ssl_cert=keys_dir / "server.crt",
                ssl_key=keys_dir / "server.key",
                log_level=LogLevels.error,
                log_dictconfig=LOGGING,
            )
            serving = asyncio.ensure_future(server.serve())
            await _listening(address, port, serving)
        except OSError as error:
            if config.port or not remaining:
                raise ConfigError(
                    f"gateway: cannot listen on {config.host}:{config.port}: {error}"
                ) from error
            continue
        logger.info("listening on %s", url_of(config.host, port))
        on_ready(url_of(config.host, port))
        try:
            await _until(stop, serving)
            await gateway.sessions.close(STOP_S)
        finally:
            server.stop()  # type: ignore[no-untyped-call]
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(serving), STOP_S)
        return


def free_port(host: str, port: int) -> tuple[str, int]:
    """Address of `host`, and `port` itself when nobody listens there, or for 0 a free one.

    Raises OSError when the port is taken or the host is not of this machine. Granian would
    share a port with whoever listens there already (SO_REUSEPORT), so this looks first.
    """
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        bound = probe.getsockname()
        return str(bound[0]), int(bound[1])


def url_of(host: str, port: int) -> str:
    """Where clients reach the gateway."""
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


async def _listening(host: str, port: int, serving: asyncio.Task[None]) -> None:
    """Wait until the server accepts; OSError when it cannot listen."""
    to = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound to
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s:
        if serving.done():
            raise OSError(str(serving.exception() or "the server ended"))
        try:
            _, writer = await asyncio.open_connection(to, port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)
            continue
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return
    raise OSError(f"nothing accepts after {START_S:g} s")


async def _until(stop: asyncio.Event, serving: asyncio.Task[None]) -> None:
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if serving.done():
        raise MastraError(f"gateway: the server ended: {serving.exception()}")


async def _outlived(parent_pid: int, stop: asyncio.Event) -> None:
    """Stop when the process that started this one ends, however it ends."""
    if not parent_pid:
        return
    while os.getppid() == parent_pid:
        await asyncio.sleep(PARENT_CHECK_S)
    logger.warning("process %d has ended, so does its gateway", parent_pid)
    stop.set()
