"""The parameters of tracked ultrasound: the probe, and what is made of its pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import ConfigError
from .parameter import NodeConfig, parameter
from .pictures import HeardPictureConfig

DB_MAX = 60.0
Point = tuple[float, float]


@dataclass(frozen=True)
class ProbeConfig(NodeConfig):
    """Parameters of the probe: where pictures and poses come from, unless others publish them."""

    source: str = parameter(
        "synthetic:ultrasound?seed=1",
        "igs:FILE.igs.mha, igtl://host:port or synthetic:ultrasound?seed=N",
    )
    stamps: str = parameter(
        "own",
        "stamp with the clock at which it is played or as recorded",
        choices=("own", "recorded"),
    )
    loop: bool = parameter(False, "start a recording again at its end")
    speed: float = parameter(
        1.0, "play a recording so many times faster", minimum=0.01, maximum=1000.0
    )
    frame_limit: int = parameter(0, "stop after so many pictures; 0 never", minimum=0)
    frame_id: str = parameter("ultrasound_image", "coordinate frame in the header of pictures")
    reference_frame: str = parameter(
        "ultrasound_reference", "coordinate frame in the header of poses: what they are relative to"
    )
    stall_timeout_s: float = parameter(
        3.0, "reconnect to a server silent for so long", unit="s", minimum=0.1, maximum=600.0
    )


@dataclass(frozen=True)
class UltrasoundConfig(HeardPictureConfig):
    """Parameters of the live picture and of sweeps."""

    application: str = parameter(
        "ultrasound", "the application of this pipeline", choices=("ultrasound",)
    )
    calibration: str = parameter(
        "",
        "PLUS configuration (XML) or YAML with the matrix from picture to probe and the region "
        "that leaves; empty: as the source says, or none and no sweeps",
    )
    region: str = parameter(
        "",
        "what of the picture may leave, in px: `x,y,width,height`, with a fan inside "
        "`x,y,width,height fan x,y,start,stop,near,far` (degrees, px); empty: as in the "
        "calibration, and without one nothing leaves",
    )
    reference_frame: str = parameter(
        "ultrasound_reference", "coordinate frame of volumes: what poses are relative to"
    )
    probe_frame: str = parameter(
        "",
        "frame of the probe in tf2, whose poses in `reference_frame` then count in place of those "
        "on `pose`; needs ROS's own tf2_ros; empty: the topic",
    )
    lag_ms: float = parameter(
        0.0,
        "pictures are stamped so much later than the poses that fit them, besides what the "
        "calibration says; `mastra ultrasound lag` measures it",
        unit="ms",
        minimum=-2000.0,
        maximum=2000.0,
    )
    sweep: str = parameter(
        "auto",
        "what is told to the gateway: off; auto: from the first picture with a pose until there "
        "is none for `idle_ms`; on: until it is off again",
        choices=("off", "auto", "on"),
        live=True,
    )
    sweep_name: str = parameter(
        "", "name of the sweep, where a recording is told again; empty: a new one each time"
    )
    idle_ms: float = parameter(
        2000.0,
        "a sweep is over after so long without a pose (auto)",
        unit="ms",
        minimum=100.0,
        maximum=600_000.0,
    )
    pose_gap_max_ms: float = parameter(
        150.0,
        "nothing is interpolated between poses further apart",
        unit="ms",
        minimum=1.0,
        maximum=10_000.0,
    )
    pose_wait_max_ms: float = parameter(
        2000.0,
        "a picture waits so long for the pose after it",
        unit="ms",
        minimum=1.0,
        maximum=10_000.0,
    )
    pose_speed_max_mm_s: float = parameter(
        1000.0, "a pose that is faster is a jump", unit="mm/s", minimum=1.0, maximum=100_000.0
    )
    pose_turn_max_deg_s: float = parameter(
        720.0, "likewise of turning", unit="degrees/s", minimum=1.0, maximum=100_000.0
    )
    error_max: int = parameter(
        0,
        "gray levels by which a pixel of a sweep may be off; 0: lossless",
        unit="gray levels",
        minimum=0,
        maximum=16,
    )
    gain_db: float = parameter(
        0.0, "gain of the live picture", unit="dB", minimum=-60.0, maximum=60.0, live=True
    )
    tgc_db: str = parameter(
        "", "gains in dB from the probe to the greatest depth, such as `0 3 6 9`", live=True
    )
    depth_mm: float = parameter(
        0.0, "depth of the live picture; 0: all", unit="mm", minimum=0.0, maximum=1000.0, live=True
    )
    freeze: bool = parameter(False, "keep the live picture as it is", live=True)
    marker: str = parameter(
        "left",
        "where the marked side of the probe is shown",
        choices=("left", "right", "off"),
        live=True,
    )
    calipers: tuple[str, ...] = parameter(
        (), "distances to be shown: `x1,y1 x2,y2` in px of the picture, a text each", live=True
    )

    def __post_init__(self) -> None:
        parse_tgc(self.tgc_db)
        for text in self.calipers:
            parse_caliper(text)


def parse_tgc(text: str) -> tuple[float, ...]:
    """Gains in dB such as `0 3 6 9`; empty: none."""
    try:
        gains = tuple(float(word) for word in text.split())
    except ValueError:
        raise ConfigError(f"tgc_db: expected gains in dB, got {text!r:.60}") from None
    if len(gains) > 64 or not all(math.isfinite(g) and abs(g) <= DB_MAX for g in gains):
        raise ConfigError(
            f"tgc_db: expected at most 64 gains within {DB_MAX:g} dB, got {text!r:.60}"
        )
    return gains


def parse_caliper(text: str) -> tuple[Point, Point]:
    """Two points in px such as `100,80 220,96`."""
    try:
        (x1, y1), (x2, y2) = ((float(v) for v in pair.split(",")) for pair in text.split())
    except ValueError:
        raise ConfigError(f"calipers: expected x1,y1 x2,y2 in px, got {text!r:.60}") from None
    if not all(math.isfinite(v) and abs(v) <= 16_384 for v in (x1, y1, x2, y2)):
        raise ConfigError(f"calipers: expected px of a picture, got {text!r:.60}")
    return (x1, y1), (x2, y2)
