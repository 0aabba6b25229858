"""The gateway in the loop of `mastra traffic simulate`: records over TLS, plans back as artefacts.

The simulation waits for what each decision brings, so its time stands still meanwhile and the same
seed gives the same run.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...bridge import BridgeClient
from ...bridge.artefacts.folder import Received
from ...bridge.clearing import NothingToHide
from ...config import BridgeConfig, GatewayConfig
from ...gateway.embedded import EmbeddedGateway
from ...leftovers import temporary_folder
from ...pipeline.traffic.events import Presence
from ...pipeline.traffic.junction import plan as plans
from ...pipeline.traffic.junction.layout import Junction
from ...pipeline.traffic.junction.records import junction_record
from ...protocol.keys import add_device, init_keys
from ...simulation.traffic.closed import Told, record_of, stream_of
from ...simulation.traffic.scenario import Scenario
from ...simulation.traffic.sensing import Sensing, layout_for

DEVICE = "site"
WITHIN_S = 20.0
"""A plan that does not come by then is not waited for: the guard shows what it has."""


class Bridge:
    """One junction's bridge, and the newest plan that came down."""

    def __init__(self, gateway: str, keys: Path, folder: Path, stream: str) -> None:
        self._news = threading.Condition()
        self._plans: dict[str, bytes] = {}  # by version, which is the stamp of what it rests on
        self._trouble = ""
        config = BridgeConfig(
            gateway=gateway,
            keys_dir=str(keys),
            device=DEVICE,
            stream=stream,
            spool_path=str(folder / f"{stream}.sqlite"),
            artefacts_dir=str(folder / f"{stream}.artefacts"),
            reconnect_delay_min_s=0.05,
            reconnect_delay_max_s=0.5,
        )
        self.client = BridgeClient(
            config,
            on_result=_nothing,
            on_failed=_nothing,
            on_status=_nothing,
            clearer=NothingToHide(),
            on_artefact=self._came,
        )

    def _came(self, received: Received) -> None:
        if received.offer.kind == plans.KIND:
            data = received.path.read_bytes()
            with self._news:
                self._plans = {received.offer.version: data}
                self._news.notify_all()

    def await_plan(self, stamp_ns: int) -> bytes | None:
        """The plan that rests on what was seen then."""
        wanted = str(stamp_ns)
        with self._news:
            self._news.wait_for(lambda: wanted in self._plans, WITHIN_S)
            return self._plans.get(wanted)


class SessionCloud:
    """A `Cloud` behind a real session a junction."""

    def __init__(self, bridges: Sequence[Bridge]) -> None:
        self.late = 0  # decisions that did not come
        self._bridges = bridges

    def tell(self, number: int, told: Sequence[Told]) -> bytes | None:
        """See Cloud."""
        bridge = self._bridges[number]
        for one in told:
            bridge.client.send_record(record_of(one))
        seen = [one.stamp_ns for one in told if isinstance(one, Presence)]
        if not seen:
            return None
        plan = bridge.await_plan(seen[-1])
        self.late += plan is None
        return plan


@contextlib.contextmanager
def open_session(
    scenario: Scenario, sensing: Sensing, policy: str, parameters: Mapping[str, float]
) -> Iterator[SessionCloud]:
    """A gateway of its own, and a bridge for each junction. Raises MastraError."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(temporary_folder("traffic-"))
        keys = folder / "keys"
        init_keys(keys)
        add_device(keys, DEVICE)
        config = GatewayConfig(applications=("traffic",))
        gateway = stack.enter_context(
            EmbeddedGateway(keys, state_dir=folder / "state", config=config)
        )
        bridges = []
        for number, signals in enumerate(scenario.signals):
            bridge = Bridge(gateway.url.replace("https", "wss", 1), keys, folder, stream_of(number))
            bridge.client.start()
            stack.callback(bridge.client.stop)
            layout: Junction = layout_for(signals, sensing)
            stamp_ns = scenario.begin_s * 10**9
            bridge.client.send_record(
                junction_record(layout, stamp_ns, policy=policy, parameters=parameters)
            )
            bridges.append(bridge)
        yield SessionCloud(bridges)


def _nothing(*_: Any) -> None:
    pass
