"""A gateway under attack: a real process, its keys, a healthy device, and what both are like."""

from __future__ import annotations

import contextlib
import sqlite3
import statistics
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import psutil

from bench.tiny_model import write_tiny_bundle
from mastra_ros.config import GatewayConfig
from mastra_ros.gateway.embedded import EmbeddedGateway
from mastra_ros.protocol.keys import add_device, init_keys

from .healthy import LOST_S, HealthyProcess, Seen
from .row import Record

T = TypeVar("T")
HEALTHY = "healthy"
ATTACKERS = ("evil-1", "evil-2", "evil-3")
DEADLINE_S = 30.0
CALM_GOOD_S = 20.0
"""So long the latency without an attack is taken to be what it was."""
CALM_KEPT = 3
"""Of so many measurements without an attack the median counts."""
ALLOWED = ("127.0.0.1/32", "127.0.0.2/32")
"""Who may connect; other addresses of the loopback play strangers."""


class Site:
    """One gateway with a tiny model, its devices, and the healthy one of them at work."""

    def __init__(self, folder: Path, bundle: Path, **config: Any) -> None:
        self.keys = folder / "keys"
        init_keys(self.keys, own_audience=True)
        for device in (HEALTHY, *ATTACKERS):
            add_device(self.keys, device)
        self.state = folder / "state"
        self.gateway = EmbeddedGateway(
            self.keys,
            [str(bundle)],
            state_dir=self.state,
            config=GatewayConfig(**{"allow": ALLOWED, **config}),
        )
        self.gateway.start()
        self.healthy = HealthyProcess(self.gateway.port, self.keys, HEALTHY, "main")
        self._acknowledged = 0  # ever
        self._calm_ms: deque[float] = deque(maxlen=CALM_KEPT)  # p99 without an attack
        self._calm_until_s = 0.0
        try:
            wait_until(lambda: self.seen().acknowledged > 0)
        except TimeoutError:
            self.close()
            raise

    @property
    def port(self) -> int:
        """Where the gateway listens."""
        return self.gateway.port

    @property
    def log(self) -> str:
        """What the gateway has logged so far."""
        return self.gateway.log_path.read_text("utf-8", "replace")

    @property
    def memory(self) -> int:
        """What the gateway has in memory, bytes."""
        return int(psutil.Process(self.gateway.pid).memory_info().rss)

    def seen(self) -> Seen:
        """What the healthy device has seen since the last question."""
        seen = self.healthy.seen()
        self._acknowledged += seen.acknowledged
        return seen

    def settled(self) -> Seen:
        """What it has seen since the last question, once it is served, and all until now answered.

        What is never answered it gives up by itself, and counts as lost.
        """
        since = time.monotonic()
        seen, until = self.seen(), since + LOST_S + DEADLINE_S
        while time.monotonic() < until:
            if seen.acknowledged and seen.waiting_ms <= (time.monotonic() - since) * 1e3:
                break
            time.sleep(0.02)
            more = self.seen()
            seen = replace(
                more,
                latencies_ms=seen.latencies_ms + more.latencies_ms,
                sent=seen.sent + more.sent,
                acknowledged=seen.acknowledged + more.acknowledged,
                refused=seen.refused + more.refused,
                lost=seen.lost + more.lost,
                twice=seen.twice + more.twice,
            )
        return seen

    def committed(self) -> int:
        """Results of the healthy device that are kept."""
        path = next(self.state.glob("results.sqlite3"))
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            query = "SELECT count(*) FROM results WHERE device = ?"
            return int(database.execute(query, (HEALTHY,)).fetchone()[0])

    def unaccounted(self) -> int:
        """Frames that were acknowledged to the healthy device and are not kept."""
        return max(0, self._acknowledged - self.committed())

    @contextlib.contextmanager
    def watched(self, record: Record, *, least_s: float) -> Iterator[None]:
        """Take down what the healthy device and the memory go through meanwhile.

        The device is watched for `least_s` at least, and now and then as long without the attack.
        """
        record.p99_without_ms = self._calm(least_s)
        acknowledged, logged = self._acknowledged, len(self.log)
        record.memory_before = record.memory_most = self.memory
        with self._peak(record):
            started = time.monotonic()
            yield
            time.sleep(max(0.0, least_s - (time.monotonic() - started)))
        seen = self.settled()
        record.memory_after = self.memory
        record.lost += seen.lost + self.unaccounted()
        record.twice += seen.twice
        record.p99_with_ms = p99(seen)
        record.expect(self._acknowledged > acknowledged, "the healthy device was not served")
        _, fault, text = self.log[logged:].partition("Traceback")
        record.expect(not fault, f"a fault of ours is in the log: {text[-150:]!r}")
        record.expect(self.gateway.alive, "the gateway has died")

    def _calm(self, least_s: float) -> float:
        """The p99 of this gateway's healthy device without an attack, ms, measured lately."""
        if time.monotonic() > self._calm_until_s:
            self.seen()
            time.sleep(least_s)
            self._calm_ms.append(p99(self.seen()))
            self._calm_until_s = time.monotonic() + CALM_GOOD_S
        else:
            self.seen()
        return median(list(self._calm_ms))

    @contextlib.contextmanager
    def _peak(self, record: Record) -> Iterator[None]:
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.02):
                with contextlib.suppress(psutil.Error):
                    record.memory_most = max(record.memory_most, self.memory)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def close(self) -> None:
        """End device and gateway."""
        self.healthy.close()
        self.gateway.stop()


class Sites:
    """Gateways by their parameters; rows that want the same one share it."""

    def __init__(self, *, short: bool, runs: int = 1) -> None:
        """`runs`: how often a row is run, `run`: the present one; both are set from outside."""
        self.short = short
        self.run, self.runs = 0, runs
        self._folder = tempfile.TemporaryDirectory(prefix="mastra-hostile-")
        self._sites: dict[str, Site] = {}
        self._shared: dict[str, tuple[Any, contextlib.ExitStack]] = {}
        self._used: set[str] = set()  # of both, since the last `tidy`
        self.bundle = write_tiny_bundle(self.folder("bundle"))

    @property
    def least_s(self) -> float:
        """How long the healthy device is watched."""
        return 0.1 if self.short else 2.0

    @property
    def soon_ms(self) -> float:
        """Within this a registered device is connected; a busy machine shows no more than that."""
        return 15_000.0 if self.short else 1000.0

    def many(self, short: int, long: int) -> int:
        """How many attempts a row makes."""
        return short if self.short else long

    def over_runs(self, short: int, long: int) -> int:
        """As `many`, where `long` is that of all runs of a row together."""
        return max(short, 0 if self.short else long // self.runs)

    def some(self, kinds: Sequence[T], short: int) -> list[T]:
        """So many of these in the short form; else this run's share: all runs have had each."""
        if self.short:
            return list(kinds[:: len(kinds) // short][:short])
        share = max(short, -(-len(kinds) // self.runs))
        start = self.run * share % len(kinds)
        return [*kinds[start:], *kinds[:start]][:share]

    def folder(self, name: str) -> Path:
        """A folder that is gone at the end."""
        folder = Path(self._folder.name) / name
        folder.mkdir(parents=True)
        return folder

    def site(self, **config: Any) -> Site:
        """A gateway with these parameters, started when it is first asked for."""
        name = "-".join(f"{key}={value}" for key, value in sorted(config.items())) or "default"
        self._used.add(name)
        site = self._sites.get(name)
        if site is None or not site.gateway.alive:
            folder = self.folder(f"site-{time.monotonic_ns()}")
            site = self._sites[name] = Site(folder, self.bundle, **config)
        return site

    @contextlib.contextmanager
    def own_site(self, **config: Any) -> Iterator[Site]:
        """A gateway that this row alone uses, and may break."""
        bundle = config.pop("bundle", self.bundle)
        site = Site(self.folder(f"own-{time.monotonic_ns()}"), bundle, **config)
        try:
            yield site
        finally:
            site.close()

    def shared(self, name: str, make: Callable[[], contextlib.AbstractContextManager[T]]) -> T:
        """What several rows use, made when it is first asked for, and ended with the sites."""
        self._used.add(name)
        if name not in self._shared:
            end = contextlib.ExitStack()
            self._shared[name] = end.enter_context(make()), end
        return cast("T", self._shared[name][0])

    def tidy(self) -> None:
        """End what no row has used since the last call, so that it takes no time from others."""
        used, self._used = self._used, set()
        for name in self._shared.keys() - used:
            self._shared.pop(name)[1].close()
        idle = [self._sites.pop(name) for name in self._sites.keys() - used]
        with ThreadPoolExecutor(8) as pool:  # each takes a second to stop in order
            list(pool.map(Site.close, idle))

    def close(self) -> None:
        """End all of them."""
        self._used.clear()
        self.tidy()
        self._folder.cleanup()


def p99(seen: Seen) -> float:
    """The 99th percentile of the latencies, ms; NaN without any."""
    return float(np.percentile(seen.latencies_ms, 99)) if seen.latencies_ms else float("nan")


def median(values: list[float]) -> float:
    """The median of several runs."""
    return statistics.median(values)


def wait_until(condition: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    """Wait for a condition; TimeoutError when it does not come about."""
    until = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError("what was waited for did not come about")
        time.sleep(0.02)
