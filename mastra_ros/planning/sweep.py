"""Where a claim on cost and accuracy holds, over sites of many sizes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from .cost import make_plan
from .needs import Models, Needs
from .prices import Prices

CAMERAS = (1, 4, 16, 64, 256)
RATES_HZ = (1.0, 5.0, 15.0, 30.0)
UPLINK_PRICES = (0.0, 0.1, 1.0)
SAVING = 0.30
"""The claim: so much less than all cloud, at no more than the loss of accuracy allowed."""


@dataclass(frozen=True)
class Cell:
    """One site of the sweep."""

    cameras: int
    rate_hz: float
    uplink_per_gb: float
    saving: float  # NaN where one of the ways cannot be done
    points_lost: float
    why_not: str  # empty where both ways can be done

    @property
    def holds(self) -> bool:
        """Whether the claim does."""
        return self.saving >= SAVING


def sweep(
    needs: Needs,
    models: Models,
    prices: Prices,
    *,
    cameras: Sequence[int] = CAMERAS,
    rates_hz: Sequence[float] = RATES_HZ,
    uplink_prices: Sequence[float] = UPLINK_PRICES,
) -> Iterator[Cell]:
    """Every combination; each site's uplink grows with its cameras as that of `needs`."""
    per_camera_mbit = needs.uplink_mbit / needs.cameras
    for price in uplink_prices:
        for count in cameras:
            for rate_hz in rates_hz:
                site = replace(
                    needs, cameras=count, rate_hz=rate_hz, uplink_mbit=per_camera_mbit * count
                )
                plan = make_plan(site, models, replace(prices, uplink_per_gb=price))
                within = plan.points_lost <= needs.points_lost_max + 1e-9
                obstacles = (*plan.mastra.obstacles, *plan.all_cloud.obstacles)
                yield Cell(
                    count,
                    rate_hz,
                    price,
                    plan.saving if within else math.nan,
                    plan.points_lost,
                    "; ".join(obstacles) or ("" if within else "accuracy"),
                )
