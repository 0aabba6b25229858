"""Three ways to run a site, and what each needs and costs a month.

all local   every frame on its device
all cloud   every frame encoded on its device and inferred on servers
Mastra      every frame on its device, and the least confident share of them on servers too, as
            large as the accuracy asked for needs; frames beyond what the device can compute go too

Servers, devices and the uplink are planned to be no busier than `load_max`; servers are whole
instances, always on. Not counted: development, installation, cameras, networks, storage, people.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .needs import Models, Needs
from .prices import Device, Prices

MONTHS_PER_YEAR = 12


@dataclass(frozen=True)
class Strategy:
    """One way. Costs are a month's, for the whole site, in the currency of the prices."""

    name: str
    sent_share: float  # of the frames, while the gateway can be reached
    accuracy: float  # expected, outages included
    device_load: float  # of the device's cores, 0 to 1 and above
    servers: int
    uplink_load: float  # of the uplink, 0 to 1 and above
    latency_ms: float  # of a result from the gateway; NaN where none is asked
    devices_cost: float
    energy_cost: float
    servers_cost: float
    traffic_cost: float
    obstacles: tuple[str, ...]  # why it cannot be done so; empty when it can

    @property
    def cost(self) -> float:
        """All of it."""
        return self.devices_cost + self.energy_cost + self.servers_cost + self.traffic_cost

    @property
    def feasible(self) -> bool:
        """Whether nothing stands in its way."""
        return not self.obstacles


@dataclass(frozen=True)
class Plan:
    """The three ways for one site."""

    needs: Needs
    all_local: Strategy
    all_cloud: Strategy
    mastra: Strategy

    @property
    def saving(self) -> float:
        """What Mastra costs less than all cloud, 0 to 1, or negative; NaN if either cannot be."""
        if not (self.mastra.feasible and self.all_cloud.feasible) or not self.all_cloud.cost:
            return math.nan
        return 1.0 - self.mastra.cost / self.all_cloud.cost

    @property
    def points_lost(self) -> float:
        """Hundredths of accuracy that Mastra has less than all cloud."""
        return 100 * (self.all_cloud.accuracy - self.mastra.accuracy)


def make_plan(needs: Needs, models: Models, prices: Prices) -> Plan:
    """What the site needs and costs, each way."""
    device = prices.device_with_model
    capacity_hz = prices.load_max * device.cores * device.speed * 1e3 / models.local_ms
    wanted = prices.share_for(models.gain_needed(needs.points_lost_max))
    beyond = max(0.0, 1.0 - capacity_hz / needs.rate_hz)
    share = max(wanted, beyond)
    local_share = 1.0 - beyond
    return Plan(
        needs,
        all_local=_strategy("all local", needs, models, prices, device, 1.0, 0.0),
        all_cloud=_strategy(
            "all cloud", needs, models, prices, prices.device_without_model, 0.0, 1.0
        ),
        mastra=_strategy("mastra", needs, models, prices, device, local_share, share),
    )


def _strategy(
    name: str,
    needs: Needs,
    models: Models,
    prices: Prices,
    device: Device,
    local_share: float,
    sent_share: float,
) -> Strategy:
    device_load = needs.rate_hz * local_share * models.local_ms / 1e3 / device.cores / device.speed
    server = prices.server
    sent_hz = needs.frames_per_s * sent_share
    per_server_hz = prices.load_max * server.cores * server.speed * 1e3 / models.cloud_ms
    servers = math.ceil(sent_hz / per_server_hz - 1e-9)
    per_px = prices.stream_bytes_per_px if sent_share == 1.0 else prices.single_bytes_per_px
    # Sending every frame as regions is never dearer than sending some of them whole.
    frame_bytes = min(
        per_px * needs.frame_px,
        prices.stream_bytes_per_px * needs.frame_px / max(sent_share, 1e-9),
    )
    uplink_load = sent_hz * frame_bytes * 8 / (needs.uplink_mbit * 1e6)
    gigabytes = sent_hz * frame_bytes * needs.seconds_per_month / 1e9
    transfer_ms = frame_bytes * 8 / (needs.uplink_mbit * 1e3)
    sends = sent_share > 0
    latency_ms = needs.rtt_ms + transfer_ms + models.cloud_ms / server.speed if sends else math.nan
    hours = needs.seconds_per_month / 3600
    return Strategy(
        name=name,
        sent_share=sent_share,
        accuracy=_accuracy(models, prices, local_share, sent_share),
        device_load=device_load,
        servers=servers,
        uplink_load=uplink_load,
        latency_ms=latency_ms,
        devices_cost=needs.cameras * device.price / (device.life_years * MONTHS_PER_YEAR),
        energy_cost=needs.cameras * device.power_w / 1e3 * hours * prices.electricity_per_kwh,
        servers_cost=servers * server.price_hour * 24 * 365.25 / 12,
        traffic_cost=gigabytes * (prices.uplink_per_gb + prices.ingress_per_gb),
        obstacles=_obstacles(needs, prices, device_load, uplink_load, latency_ms),
    )


def _accuracy(models: Models, prices: Prices, local_share: float, sent_share: float) -> float:
    """Expected; a frame that is inferred nowhere counts as wrong."""
    up = prices.link_availability
    if local_share == 0.0:
        return up * models.cloud_accuracy
    with_link = models.accuracy(prices.gain_of(sent_share))
    return up * with_link + (1.0 - up) * local_share * models.local_accuracy


def _obstacles(
    needs: Needs, prices: Prices, device_load: float, uplink_load: float, latency_ms: float
) -> tuple[str, ...]:
    found = []
    if device_load > prices.load_max + 1e-9:
        found.append(f"the device would be busy to {device_load:.0%}")
    if uplink_load > prices.load_max + 1e-9:
        found.append(f"the uplink would be busy to {uplink_load:.0%}")
    if latency_ms > needs.deadline_ms:
        found.append(f"results would take {latency_ms:.0f} ms of {needs.deadline_ms:.0f} ms")
    return tuple(found)
