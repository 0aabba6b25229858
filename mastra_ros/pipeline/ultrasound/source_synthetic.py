"""A drawn phantom as a source: see `phantom`."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from mastra_ros.errors import ConfigError
from mastra_ros.pipeline.ultrasound.phantom import Phantom, PhantomConfig
from mastra_ros.pipeline.ultrasound.rigid import Matrix
from mastra_ros.pipeline.ultrasound.source import Event, Picture, ProbeUri, TimedPose


class SyntheticSource:
    """Plays a phantom by the options of its name."""

    live = False
    notes: tuple[str, ...] = ()

    def __init__(self, uri: ProbeUri) -> None:
        self.phantom = Phantom(phantom_config(uri))
        self.image_to_probe: Matrix | None = self.phantom.image_to_probe

    def events(self) -> Iterator[Event]:
        """Poses and pictures in the order of their stamps."""
        poses: Iterator[Event] = (
            TimedPose(_ns(told.stamp_s), told.matrix) for told in self.phantom.poses()
        )
        pictures: Iterator[Event] = (
            Picture(_ns(drawn.stamp_s), drawn.image) for drawn in self.phantom.frames()
        )
        yield from heapq.merge(poses, pictures, key=lambda event: event.stamp_ns)

    def close(self) -> None:
        """Nothing is held."""


def phantom_config(uri: ProbeUri) -> PhantomConfig:
    """What the options ask for. ConfigError where that cannot be drawn."""
    usual = PhantomConfig()
    try:
        return PhantomConfig(
            seed=uri.whole("seed", usual.seed),
            frames=uri.whole("frames", usual.frames),
            rate_hz=uri.number("rate", usual.rate_hz),
            speed_mm_s=uri.number("speed", usual.speed_mm_s),
            width_px=uri.whole("width", usual.width_px),
            height_px=uri.whole("height", usual.height_px),
            spacing_mm=uri.number("spacing", usual.spacing_mm),
            wobble_mm=uri.number("wobble_mm", usual.wobble_mm),
            wobble_deg=uri.number("wobble_deg", usual.wobble_deg),
            pose_rate_hz=uri.number("pose_rate", usual.pose_rate_hz),
            pose_noise_mm=uri.number("noise_mm", usual.pose_noise_mm),
            pose_noise_deg=uri.number("noise_deg", usual.pose_noise_deg),
            lag_ms=uri.number("lag_ms", usual.lag_ms),
            drop_share=uri.number("drop", usual.drop_share),
        )
    except ValueError as error:
        raise ConfigError(f"source: {error}") from None


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
