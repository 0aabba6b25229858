"""What each step of a frame takes: times, sizes and power, from a table that the user edits."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from ..errors import ConfigError
from ..share import share_file

DEFAULT = "config/simulation/stages.yaml"


@dataclass(frozen=True)
class StageTimes:
    """Times are medians in ms, with a log-normal spread: `spread` is the sigma of the logarithm."""

    local_ms: float  # the device's model, on an otherwise idle device
    encode_ms: float
    cloud_ms: float  # the gateway's model, one frame
    delta_bytes: float  # a frame whose predecessor the gateway holds
    key_bytes: float  # a whole picture: the first after a connection was made
    spread: float = 0.1
    size_spread: float = 0.3
    local_cpu: float = 1.0  # share of the device's cores that its model keeps busy
    encode_cpu: float = 0.25
    cloud_workers: int = 1  # frames that the gateway works on at once
    result_bytes: float = 600.0
    head_ms: float = 0.0  # of a split model, on the device; 0: there is none
    tail_ms: float = 0.0
    feature_bytes: float = 0.0
    idle_w: float = 3.0  # power of the device at rest; the rest comes on top
    busy_w: float = 4.0  # with all cores busy
    upload_j_per_mb: float = 5.0  # what the radio takes for a megabyte

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            optional = field.name in ("head_ms", "tail_ms", "feature_bytes") or field.default == 0
            low = 0.0 if optional or "spread" in field.name or field.name.endswith("_w") else 1e-9
            if field.name == "upload_j_per_mb":
                low = 0.0
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not low <= value < 1e12:
                raise ConfigError(
                    f"stages: {field.name}: expected a number >= {low:g}, got {value!r}"
                )

    @property
    def split(self) -> bool:
        """Whether there is a split model."""
        return self.head_ms > 0 and self.feature_bytes > 0


def load_stage_times(path: str | Path | None = None) -> StageTimes:
    """Read a table, YAML or JSON; the shipped one without a path. Raises ConfigError."""
    path = Path(path) if path else share_file(DEFAULT)
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected a table of names and numbers")
    known = {field.name for field in fields(StageTimes)}
    if unknown := sorted(set(content) - known):
        raise ConfigError(f"{path}: unknown {', '.join(unknown)}, known are {', '.join(known)}")
    try:
        return StageTimes(**content)
    except TypeError as error:
        raise ConfigError(f"{path}: {error}") from None


@dataclass(frozen=True)
class Draws:
    """What chance has in store for each frame, whatever policy it meets: arrays of (frames,)."""

    local_ms: NDArray[np.float64]
    encode_ms: NDArray[np.float64]
    cloud_ms: NDArray[np.float64]
    delta_bytes: NDArray[np.float64]
    key_bytes: NDArray[np.float64]
    sample: NDArray[np.int64]  # row of the accuracy table


def draw(stages: StageTimes, frames: int, samples: int, seed: int) -> Draws:
    """Draw for so many frames; the same seed gives the same."""
    rng = np.random.default_rng(seed)

    def spread(median: float, sigma: float) -> NDArray[np.float64]:
        return np.asarray(median * np.exp(sigma * rng.standard_normal(frames)))

    size = np.exp(stages.size_spread * rng.standard_normal(frames))
    return Draws(
        local_ms=spread(stages.local_ms, stages.spread),
        encode_ms=spread(stages.encode_ms, stages.spread),
        cloud_ms=spread(stages.cloud_ms, stages.spread),
        delta_bytes=stages.delta_bytes * size,
        key_bytes=stages.key_bytes * size,
        sample=rng.integers(0, max(samples, 1), frames),
    )
