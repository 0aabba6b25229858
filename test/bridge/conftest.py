"""A bridge with its ears, a scripted gateway over real TLS, and a link that can be spoilt."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from mastra_ros.bridge import BridgeClient, BridgeStatus
from mastra_ros.bridge.clearing import NothingToHide
from mastra_ros.bridge.fake_gateway import FakeGateway
from mastra_ros.config import BridgeConfig
from mastra_ros.emulation import ShapingProxy, parse_faults
from mastra_ros.protocol.keys import add_device, init_keys
from mastra_ros.types import FrameKey, Packet, PacketKind, Result


class Ears:
    """Hears all that a bridge tells, and waits for it."""

    def __init__(self) -> None:
        self.results: list[Result] = []
        self.failures: list[tuple[FrameKey, str]] = []
        self.statuses: list[BridgeStatus] = []
        self.settings: list[Any] = []
        self.renewals: list[FrameKey] = []
        self._heard = threading.Condition()

    def listen(self, collection: list[Any]) -> Callable[..., None]:
        def hear(*args: Any) -> None:
            with self._heard:
                collection.append(args[0] if len(args) == 1 else args)
                self._heard.notify_all()

        return hear

    def wait(self, condition: Callable[[], Any], what: str = "", within_s: float = 20.0) -> Any:
        """Wait until `condition` is true, looked at whenever something is heard, or often."""
        until_s = time.monotonic() + within_s
        with self._heard:
            while not (value := condition()):
                assert time.monotonic() < until_s, f"never happened: {what}; last {self.status}"
                self._heard.wait(0.02)
        return value

    @property
    def status(self) -> BridgeStatus | None:
        return self.statuses[-1] if self.statuses else None

    def wait_status(self, condition: Callable[[BridgeStatus], bool], what: str = "") -> Any:
        """The first status from now on, or the last one, that is as wanted."""
        return self.wait(lambda: self.statuses and condition(self.statuses[-1]), what)

    @property
    def failed_keys(self) -> list[int]:
        return [key.stamp_ns for key, _ in self.failures]

    @property
    def result_keys(self) -> list[int]:
        return [result.key.stamp_ns for result in self.results]


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bridge") / "keys"
    init_keys(folder)
    add_device(folder, "camera-1")
    add_device(folder, "camera-2", algorithm="p256")
    return folder


@pytest.fixture
def gateway(keys: Path) -> Iterator[FakeGateway]:
    with FakeGateway(keys) as gateway:
        yield gateway


@pytest.fixture
def packet() -> Callable[..., Packet]:
    def make(
        stamp_ns: int, kind: PacketKind = PacketKind.KEY, *, size: int = 500, **changes: Any
    ) -> Packet:
        values: dict[str, Any] = {
            "key": FrameKey("main", stamp_ns),
            "kind": kind,
            "payload": bytes(size),
            "width_px": 64,
            "height_px": 48,
            "encoding": "bgr8",
            "reference_ns": 1 if kind is PacketKind.DELTA else 0,
        }
        return Packet(**{**values, **changes})

    return make


@pytest.fixture
def ears() -> Ears:
    return Ears()


@pytest.fixture
def config(keys: Path, tmp_path: Path, gateway: FakeGateway) -> Callable[..., BridgeConfig]:
    """Configurations of a bridge to `gateway`, impatient where tests would wait."""

    def make(**changes: Any) -> BridgeConfig:
        values: dict[str, Any] = {
            "gateway": gateway.uri,
            "keys_dir": str(keys),
            "spool_path": str(tmp_path / "spool.sqlite"),
            "heartbeat_interval_ms": 50.0,
            "heartbeat_timeout_ms": 1000.0,
            "reconnect_delay_min_s": 0.02,
            "reconnect_delay_max_s": 0.1,
        }
        return BridgeConfig(**{**values, **changes})

    return make


@pytest.fixture
def bridge(ears: Ears, gateway: FakeGateway) -> Iterator[Callable[..., BridgeClient]]:
    """Makes and starts bridges that `ears` listens to; stops them before the gateway."""
    with ExitStack() as stack:

        def make(config: BridgeConfig, **options: Any) -> BridgeClient:
            client = BridgeClient(
                config,
                on_result=ears.listen(ears.results),
                on_failed=ears.listen(ears.failures),
                on_status=ears.listen(ears.statuses),
                on_settings=ears.listen(ears.settings),
                on_renew=ears.listen(ears.renewals),
                clearer=options.pop("clearer", None) or NothingToHide(),
                **options,
            )
            client.start()
            stack.callback(client.stop, 10.0)
            return client

        yield make


@pytest.fixture
def connected(
    bridge: Callable[..., BridgeClient], config: Callable[..., BridgeConfig], ears: Ears
) -> Callable[..., BridgeClient]:
    """Makes bridges that have a session already."""

    def make(**changes: Any) -> BridgeClient:
        client = bridge(config(**changes))
        ears.wait_status(lambda status: status.link.connected, "a session")
        return client

    return make


class Link:
    """The way to the gateway by a proxy that a test may spoil."""

    def __init__(self, proxy: ShapingProxy) -> None:
        self._proxy = proxy
        self.uri = f"wss://127.0.0.1:{proxy.port}"

    def spoil(self, faults: str) -> None:
        """Play these faults from now on."""
        self._proxy.restart_clock()
        self._proxy.set_faults(parse_faults(faults))

    def mend(self) -> None:
        """Let everything pass again."""
        self._proxy.set_faults(())


@pytest.fixture
def link(gateway: FakeGateway) -> Iterator[Link]:
    with ShapingProxy("127.0.0.1", gateway.port) as proxy:
        yield Link(proxy)
