"""What the user needs, and what the two models of a bundle can do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import ConfigError

Bound = tuple[str, float, float]


def check(where: str, value: object, bounds: Sequence[Bound]) -> None:
    """ConfigError that names every attribute outside its bounds."""
    wrong = [
        f"{name}: expected {low:g} to {high:g}, got {found:g}"
        for name, low, high in bounds
        if not low <= (found := float(getattr(value, name))) <= high
    ]
    if wrong:
        raise ConfigError(f"{where}: {'; '.join(wrong)}")


@dataclass(frozen=True)
class Needs:
    """One site: so many cameras behind one uplink."""

    cameras: int = 8
    width_px: int = 1920
    height_px: int = 1080
    rate_hz: float = 10.0  # frames a second of each camera
    hours_per_day: float = 24.0
    uplink_mbit: float = 100.0  # of the whole site
    rtt_ms: float = 20.0  # to the gateway
    deadline_ms: float = 150.0  # for a result of the gateway
    points_lost_max: float = 1.0  # of accuracy, in hundredths, against the gateway's model

    def __post_init__(self) -> None:
        check(
            "needs",
            self,
            (
                ("cameras", 1, 1e6),
                ("width_px", 16, 16_384),
                ("height_px", 16, 16_384),
                ("rate_hz", 0.01, 1000),
                ("hours_per_day", 0.1, 24),
                ("uplink_mbit", 0.001, 1e6),
                ("rtt_ms", 0, 60_000),
                ("deadline_ms", 1, 60_000),
                ("points_lost_max", 0, 100),
            ),
        )

    @property
    def frames_per_s(self) -> float:
        """Of all cameras together."""
        return self.cameras * self.rate_hz

    @property
    def seconds_per_month(self) -> float:
        """In which frames flow; a month is a twelfth of 365.25 days."""
        return self.hours_per_day * 3600 * 365.25 / 12

    @property
    def frame_px(self) -> int:
        """Pixels of a frame."""
        return self.width_px * self.height_px


@dataclass(frozen=True)
class Models:
    """The two models of a bundle: accuracy 0 to 1, and ms a frame on one core as measured."""

    name: str
    local_accuracy: float
    cloud_accuracy: float
    local_ms: float
    cloud_ms: float

    def __post_init__(self) -> None:
        check(
            f"models of {self.name}",
            self,
            (
                ("local_accuracy", 0, 1),
                ("cloud_accuracy", 0, 1),
                ("local_ms", 1e-3, 1e6),
                ("cloud_ms", 1e-3, 1e6),
            ),
        )

    def accuracy(self, gain: float) -> float:
        """With this part of what the gateway's model can add, 0 to 1."""
        return self.local_accuracy + gain * (self.cloud_accuracy - self.local_accuracy)

    def gain_needed(self, points_lost_max: float) -> float:
        """The part of the gain that keeps the loss within so many hundredths; 0 to 1."""
        gap = self.cloud_accuracy - self.local_accuracy
        if gap <= points_lost_max / 100 or math.isclose(gap, points_lost_max / 100):
            return 0.0
        return 1.0 - points_lost_max / 100 / gap
