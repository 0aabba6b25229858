"""Rows of bad days: models that hang, processes that are killed or stopped, old certificates."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator

import httpx
import numpy as np

from mastra_ros.compression import Encoder
from mastra_ros.config import CompressionConfig, GatewayConfig
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.privacy import hiding_nothing
from mastra_ros.protocol import FrameMessage, encode
from mastra_ros.protocol.keys import init_keys
from mastra_ros.types import Frame, FrameKey

from . import client
from .hanging_model import write_hanging_bundle
from .healthy import tls_of
from .row import Record, row
from .site import Site, Sites, wait_until

GATE = hiding_nothing("drawn pictures; nobody is on them")
ITEM = "9 stops"
SILENCE_S = 1.0
STOPPED_S = 8.0


def _white(stream: str) -> bytes:
    """A picture that the hanging model never answers."""
    frame = Frame(FrameKey(stream, 1), np.full((64, 64), 255, np.uint8), "mono8")
    packet = Encoder(CompressionConfig(codec="png"), stream).encode(GATE.clear(frame))
    return encode(FrameMessage.from_packet(packet))


def _health(site: Site) -> httpx.Response:
    return httpx.get(
        f"https://127.0.0.1:{site.port}/healthz", verify=tls_of(site.keys), timeout=10.0
    )


@contextlib.contextmanager
def _hanging(sites: Sites) -> Iterator[Site]:
    """A gateway whose model hangs."""
    bundle = write_hanging_bundle(sites.folder(f"hanging-{time.monotonic_ns()}"))

    async def hang(site: Site) -> None:
        async with client.session(site, "evil-1", "hang") as websocket:
            await websocket.send(_white("hang"))

    with sites.own_site(bundle=bundle, model_silence_s=SILENCE_S) as site:
        client.run(hang(site))
        yield site


@row(ITEM, "health while a model does not answer")
def health(sites: Sites, record: Record) -> None:
    """It tells, and readiness too."""
    record.attempts = 1
    with _hanging(sites) as site:
        wait_until(lambda: _health(site).status_code == 503)
        told = _health(site).json()
        record.expect(told.get("silent") == ["tiny"], f"health tells {told}")
        for path in ("/v2/health/ready", "/v2/models/tiny/ready"):
            status = client.request(site, path).status_code
            record.expect(status == 503, f"{path} got {status}")
        record.lost += site.unaccounted()
        os.kill(site.gateway.pid, signal.SIGKILL)


@row(ITEM, "SIGTERM while a model does not answer")
def terminated(sites: Sites, record: Record) -> None:
    """The process ends within its limit, and what was committed is there."""
    record.attempts = 1
    with _hanging(sites) as site:
        wait_until(lambda: _health(site).status_code == 503)  # it has the frame, and hangs
        began = time.monotonic()
        os.kill(site.gateway.pid, signal.SIGTERM)
        seen = []

        def ended() -> bool:
            with contextlib.suppress(httpx.HTTPError):
                seen.append(_health(site).status_code)
            return not site.gateway.alive

        wait_until(ended)
        took_s = time.monotonic() - began
        record.expect(took_s < STOPPED_S, f"it took {took_s:.1f} s to stop")
        record.expect(200 not in seen, "health was ok while it stopped")
        record.expect("does not answer" in site.log, "the log does not say why")
        record.lost += site.unaccounted()


@row(ITEM, "SIGKILL in the midst of frames")
def killed(sites: Sites, record: Record) -> None:
    """What was acknowledged is there after the restart."""
    with sites.own_site() as site:
        record.attempts = sites.over_runs(2, 10)
        with site.watched(record, least_s=sites.least_s):
            for _ in range(record.attempts):
                site.gateway.kill()
                site.gateway.restart()
                wait_until(lambda: site.seen().acknowledged > 0)


@row(ITEM, "a process that is stopped and goes on")
def stopped(sites: Sites, record: Record) -> None:
    """As when a machine sleeps. Frames that lay through it are as late as it was long, and are
    looked at for loss alone; those after it are judged."""
    with sites.own_site() as site:
        record.attempts = sites.over_runs(1, 5)
        with site.watched(record, least_s=sites.least_s):
            for _ in range(record.attempts):
                os.kill(site.gateway.pid, signal.SIGSTOP)
                time.sleep(1.0)
                os.kill(site.gateway.pid, signal.SIGCONT)
                slept = site.settled()
                record.lost += slept.lost
                record.twice += slept.twice


@row(ITEM, "a certificate that has expired")
def old_certificate(sites: Sites, record: Record) -> None:
    """The gateway says so at its start."""
    record.attempts = 1
    folder = sites.folder(f"expired-{time.monotonic_ns()}")
    init_keys(folder / "keys", days=0)
    gateway = EmbeddedGateway(
        folder / "keys", [str(sites.bundle)], state_dir=folder / "state", config=GatewayConfig()
    )
    with gateway:
        log = gateway.log_path.read_text()
    record.expect("the certificate expired at" in log, "the log does not say so")
    record.expect("mastra keys init" in log, "nor what helps")


@row(ITEM, "SIGTERM again and again")
def impatient(sites: Sites, record: Record) -> None:
    """Once is enough: it stops in order all the same, and what was committed is there."""
    with sites.own_site() as site:
        for _ in range(sites.over_runs(1, 5)):
            wait_until(lambda: site.seen().acknowledged > 0)
            logged = len(site.log)
            while site.gateway.alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(site.gateway.pid, signal.SIGTERM)
                record.attempts += 1
                time.sleep(0.02)
            _, fault, text = site.log[logged:].partition("Traceback")
            record.expect(not fault, f"a fault of ours is in the log: {text[-150:]!r}")
            record.lost += site.unaccounted()
            site.gateway.restart()
