"""Runs the gateway in this process: one event loop, no workers to be orphaned."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import gc
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from ..config import GatewayConfig
from ..errors import ConfigError
from ..orphans import parent_ended
from ..protocol.keys import audience_of, certificate_dates, check_private, load_public_keys
from ..protocol.tls import server_context
from ..protocol.tokens import AUDIENCE
from ..share import home_path
from .alarms import Webhook
from .app import Gateway
from .auth import Allowlist
from .door.acceptor import Acceptor, Guest, listen
from .door.greeting import Greeting
from .door.http import HttpServer
from .door.websocket import WebSocketServer
from .grpc_server import with_alpn
from .metrics import Metrics
from .models import Models
from .opening import open_cargo, open_store
from .steering import SteeringBook
from .used_tokens import UsedTokens

logger = logging.getLogger(__name__)

SWITCH_S = 0.0002
"""A thread gives way to those that wait after so long. A frame changes threads about eight times;
with Python's 5 ms each, a client that sends at full speed would make all others late by 40 ms."""
CERTIFICATE_DAYS = 30
"""So long before it expires a certificate is spoken of at every start."""


async def serve(
    config: GatewayConfig, on_ready: Callable[[str], None], *, parent_pid: int = 0
) -> bool:
    """Serve until SIGINT or SIGTERM, or until the process `parent_pid` ends.

    `on_ready(url)` is called when devices may connect. Raises ConfigError, AuthenticationError,
    ModelError, StoreError or DependencyError when something is missing, before anything listens.
    False when a model does not answer: its thread cannot be ended but with the process.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    watch = asyncio.ensure_future(_outlived(parent_pid, stop))
    _allow_many_connections()
    try:
        keys_dir = _keys_dir(config)
        gateway = await _open(config, keys_dir)
        doors: list[Acceptor] = []
        try:
            doors.append(_open_door(config, keys_dir, gateway))
            if config.grpc_port >= 0:
                doors.append(_open_grpc(config, keys_dir, gateway))
            # What is there from the start is never garbage; to look through it would hold up every
            # frame for 10 ms now and then.
            gc.collect()
            gc.freeze()
            sys.setswitchinterval(SWITCH_S)
            on_ready(url_of(config.host, doors[0].port))
            await stop.wait()
        finally:
            # Until all is done, who asks is told that the gateway stops.
            answered = await gateway.close()
            for door in doors:
                door.close()
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
    logger.info("stopped")
    return answered


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
    _tell_of_certificate(keys_dir)
    logger.info("keys of %d devices in %s", len(load_public_keys(keys_dir)), keys_dir)
    return keys_dir


async def _open(config: GatewayConfig, keys_dir: Path) -> Gateway:
    from ..compression import Decoder
    from ..compression.codecs import readable_formats

    metrics = Metrics()
    calls = metrics.alarm_calls
    webhook: Webhook | None = None
    if config.alarm_webhook:
        webhook = Webhook(
            config.alarm_webhook,
            ca=str(home_path(config.alarm_ca)) if config.alarm_ca else "",
            on_call=lambda outcome: calls.labels(outcome).inc(),
        )
    if config.video:  # found out before a device waits for it
        await asyncio.to_thread(readable_formats)
    store = await asyncio.to_thread(open_store, config, state_folder(config, keys_dir), metrics)
    with contextlib.ExitStack() as opened:
        opened.callback(store.close)
        folder = state_folder(config, keys_dir)
        records, applications = await asyncio.to_thread(open_cargo, config, folder, metrics, store)
        opened.callback(records.close)
        opened.callback(applications.close)
        book = await asyncio.to_thread(SteeringBook, folder)
        opened.callback(book.close)
        models = await Models.open(config, metrics, store)
        opened.pop_all()
    return Gateway(
        config,
        models=models,
        store=store,
        records=records,
        applications=applications,
        book=book,
        webhook=webhook,
        state=state_folder(config, keys_dir),
        metrics=metrics,
        make_decoder=lambda: Decoder(config.references_kept, config.pixels_max, video=config.video),
    )


def _open_door(config: GatewayConfig, keys_dir: Path, gateway: Gateway) -> Acceptor:
    """Listen; ConfigError when the address or port cannot be had."""
    context = server_context(keys_dir / "server.crt", keys_dir / "server.key")
    allowlist = Allowlist(config.allow)
    used = UsedTokens(state_folder(config, keys_dir))
    listener = listen(config.host, config.port)
    app = gateway.app(keys_dir, _audiences(config, keys_dir), used)
    express = gateway.express()

    def greet(acceptor: Acceptor, guest: Guest) -> Greeting:
        return Greeting(
            acceptor,
            guest,
            http=lambda a, g, transport: HttpServer(a, g, transport, app, express.take),
            websocket=lambda a, g, transport: WebSocketServer(
                a, g, transport, app, config.message_bytes_max
            ),
        )

    acceptor = Acceptor(
        listener,
        context,
        admits=allowlist.admits,
        make_protocol=greet,
        on_refused=lambda cause: gateway.metrics.auth_failures.labels(cause).inc(),
    )
    acceptor.start()
    logger.info("listening on %s", url_of(config.host, acceptor.port))
    return acceptor


def _open_grpc(config: GatewayConfig, keys_dir: Path, gateway: Gateway) -> Acceptor:
    """Listen for gRPC; ConfigError or DependencyError when that cannot be."""
    context = server_context(keys_dir / "server.crt", keys_dir / "server.key")
    acceptor = Acceptor(
        listen(config.host, config.grpc_port),
        with_alpn(context),
        admits=Allowlist(config.allow).admits,
        make_protocol=gateway.grpc().make_protocol,
        on_refused=lambda cause: gateway.metrics.auth_failures.labels(cause).inc(),
    )
    acceptor.start()
    where = url_of(config.host, acceptor.port).replace("https", "grpcs", 1)
    logger.info("listening on %s", where)
    return acceptor


def _audiences(config: GatewayConfig, keys_dir: Path) -> tuple[str, ...]:
    """Whom tokens may be for."""
    own = audience_of(keys_dir)
    audiences = tuple(dict.fromkeys([own, *([config.audience] if config.audience else [])]))
    if AUDIENCE in audiences:
        logger.warning(
            "tokens for the audience %s are accepted, which is that of every installation without "
            "one of its own; `mastra keys init` gives one to a new folder of keys",
            AUDIENCE,
        )
    return audiences


def _tell_of_certificate(keys_dir: Path) -> None:
    server_context(keys_dir / "server.crt", keys_dir / "server.key")
    begins, ends = certificate_dates(keys_dir)
    now = datetime.datetime.now(datetime.timezone.utc)
    mend = f"run: mastra keys init {keys_dir}"
    if now >= ends:
        logger.error("the certificate expired at %s, no device will connect; %s", ends, mend)
    elif now < begins:
        logger.error("the certificate is good from %s only; look at the clock", begins)
    elif ends - now < datetime.timedelta(days=CERTIFICATE_DAYS):
        logger.warning("the certificate expires at %s; %s", ends, mend)


def _allow_many_connections() -> None:
    """Open files up to what the system allows this user, for each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else max(soft, 65_536)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, 65_536), hard))


def url_of(host: str, port: int) -> str:
    """Where clients reach the gateway."""
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


async def _outlived(parent_pid: int, stop: asyncio.Event) -> None:
    """Stop when the process that started this one ends, however it ends."""
    if not parent_pid:
        return
    await parent_ended(parent_pid)
    logger.warning("process %d has ended, so does its gateway", parent_pid)
    stop.set()
