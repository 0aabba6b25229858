"""How the gateway is, above its devices: GPUs, batches, queue, rates, cost so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from .fleet import Fleet
from .texts import text
from .views import at, percent, unit

GB = 1e9
HOUR_S = 3600.0


@dataclass(frozen=True)
class Prices:
    """What the gateway costs: an hour of its server, and a GB that devices send."""

    server_hour: float = 0.0
    received_gb: float = 0.0
    currency: str = ""
    as_of: str = ""

    def cost(self, state: Mapping[str, Any]) -> float | None:
        """Of the gateway since it started; None where it does not tell or there are no prices."""
        up_s, received = at(state, "up_s"), at(state, "received_bytes")
        numbers = isinstance(up_s, (int, float)) and isinstance(received, (int, float))
        if not self.currency or not numbers:
            return None
        return float(up_s / HOUR_S * self.server_hour + received / GB * self.received_gb)


def gateway_facts(state: Mapping[str, Any], prices: Prices, language: str) -> list[tuple[str, str]]:
    """Name and value of what a gateway tells of itself, as far as it tells it."""
    cpu, memory = at(state, "cpu"), at(state, "memory_bytes")
    cost, sessions = prices.cost(state), at(state, "sessions")
    told = [
        ("gateway.frames", unit(at(state, "frames_per_s"), "/s")),
        ("gateway.requests", unit(at(state, "requests_per_s"), "/s")),
        ("gateway.sessions", "" if sessions is None else str(sessions)),
        ("gateway.cpu", percent(cpu)),
        ("gateway.memory", _gib(memory)),
        (
            "gateway.cost",
            "" if cost is None else f"{cost:.2f} {prices.currency} ({prices.as_of})",
        ),
    ]
    rows = [
        *((text(key, language), value) for key, value in told),
        *(
            (text("gateway.model", language, name=str(one.get("name"))), _model(one, language))
            for one in _maps(at(state, "models"))
        ),
        *(
            (text("gateway.gpu", language, name=str(one.get("name", place))), _gpu(one))
            for place, one in enumerate(_maps(at(state, "gpus")))
        ),
    ]
    return [(name, value) for name, value in rows if value]


def _model(one: Mapping[str, Any], language: str) -> str:
    """Mean batch, those that wait, mean times; the sizes that there were."""
    mean = at(one, "batch_mean")
    parts = [
        text("gateway.batch", language, size=f"{mean:.1f}") if isinstance(mean, float) else "",
        text("gateway.queued", language, count=at(one, "queued") or 0),
        unit(at(one, "run_ms"), "ms"),
    ]
    batches = at(one, "batches")
    if isinstance(batches, Mapping) and batches:
        parts.append(" ".join(f"{count}×{size}" for size, count in list(batches.items())[:8]))
    return ", ".join(part for part in parts if part)


def _gpu(one: Mapping[str, Any]) -> str:
    used, of = at(one, "memory_used_bytes"), at(one, "memory_bytes")
    parts = [
        percent(at(one, "load")),
        f"{_gib(used)} / {_gib(of)}" if _gib(used) and _gib(of) else "",
        unit(at(one, "temperature_c"), "°C"),
        unit(at(one, "power_w"), "W"),
    ]
    return ", ".join(part for part in parts if part)


def _gib(value: Any) -> str:
    return f"{value / 2**30:.2f} GiB" if isinstance(value, (int, float)) else ""


def _maps(value: Any) -> list[Mapping[str, Any]]:
    found = value if isinstance(value, list) else []
    return [one for one in found if isinstance(one, Mapping)]


class GatewayPanel:
    """A list of names and values; nothing where the gateway tells nothing of itself."""

    def __init__(self, fleet: Fleet, language: str, prices: Prices) -> None:
        self._fleet = fleet
        self._language = language
        self._prices = prices
        self._facts = Facts()

    def follow(self, on_news: Callable[[Callable[[], None]], None]) -> None:
        """Show it, and go on doing so."""
        self._refresh()
        on_news(self._refresh)

    def _refresh(self) -> None:
        self._facts.show(gateway_facts(self._fleet.state, self._prices, self._language))


class Facts:
    """Names and values, of which only what changed is sent."""

    def __init__(self) -> None:
        self._list = ui.element("dl").classes("grid grid-cols-2 sm:grid-cols-4 gap-x-6 gap-y-1")
        self._names: list[str] = []
        self._values: list[ui.label] = []

    def show(self, told: list[tuple[str, str]]) -> None:
        """Bring them up to date."""
        if [name for name, _ in told] != self._names:
            self._names, self._values = [name for name, _ in told], []
            self._list.clear()
            with self._list:
                for name, value in told:
                    with ui.element("dt"):
                        ui.label(name)
                    with ui.element("dd").classes("font-mono"):
                        self._values.append(ui.label(value))
            return
        for label, (_, value) in zip(self._values, told, strict=True):
            if label.text != value:
                label.set_text(value)
