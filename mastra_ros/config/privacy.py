"""The parameters of privacy: what is hidden in a frame before it may leave the device.

None of them is live and none can be set from outside: they are read when a node is configured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import ConfigError
from .parameter import NodeConfig, parameter

MODES = ("faces_and_plates", "whole", "regions", "off")
Polygon = tuple[tuple[float, float], ...]
"""Corners in shares of the width and height, 0 to 1."""


@dataclass(frozen=True)
class PrivacyConfig(NodeConfig):
    """Parameters of the gate between frame and encoder; ConfigError for what makes no sense."""

    mode: str = parameter(
        "faces_and_plates",
        "what is hidden: faces and licence plates; everything but the objects that the task's "
        "model finds (whole); everything outside `polygons` (regions); nothing (off, which needs "
        "a `reason`)",
        choices=MODES,
    )
    reason: str = parameter("", "why nothing need be hidden; must be given where `mode` is off")
    polygons: tuple[str, ...] = parameter(
        (),
        "what stays visible in the mode regions, a text each: `x,y x,y x,y` in shares of width "
        "and height; without any nothing is sent",
    )
    finders: tuple[str, ...] = parameter(
        ("centerface", "plates_and_heads"),
        "who looks for faces and plates, all of them joined; `mastra model get` brings others",
    )
    models_dir: str = parameter(
        "", "folder with the bundles of the finders; empty: where `mastra model get` puts them"
    )
    bundle: str = parameter(
        "",
        "bundle of the task: in its persons and vehicles the head and the lower band are hidden "
        "where nothing was found inside, and in the mode whole its objects stay visible; empty: "
        "none",
    )
    score_min: float = parameter(
        0.3, "what is found with a lower score is not hidden", minimum=0.01, maximum=0.9
    )
    widen: float = parameter(
        0.15,
        "a box grows by this share of its width and height, half of it on each side",
        minimum=0.0,
        maximum=2.0,
    )
    hide: str = parameter(
        "mosaic",
        "how it is hidden: a mosaic of `blocks`, or solid black",
        choices=("mosaic", "solid"),
    )
    blocks: int = parameter(
        4, "at most so many blocks across a hidden region", unit="blocks", minimum=1, maximum=8
    )
    hold_frames: int = parameter(
        5,
        "what was found stays hidden along its track for so many frames in which it is not found",
        unit="frames",
        minimum=0,
        maximum=1000,
    )
    timeout_ms: float = parameter(
        2000.0,
        "a search that takes longer is given up, and its frame does not leave",
        unit="ms",
        minimum=1.0,
        maximum=60_000.0,
    )
    pixels_max: int = parameter(
        33_554_432,
        "a larger picture is not searched and does not leave",
        unit="px",
        minimum=1,
        maximum=268_435_456,
    )
    threads: int = parameter(
        1, "threads of each finder's engine", unit="threads", minimum=1, maximum=64
    )
    engine: str = parameter(
        "auto",
        "runtime of the finders: onnxruntime, openvino, or auto: OpenVINO where it is installed "
        "and the processor multiplies bfloat16, which takes about half the time",
        choices=("auto", "onnxruntime", "openvino"),
    )
    features: str = parameter(
        "refuse",
        "features at the cut of a split model, of which a picture can be rebuilt: refuse, allow, "
        "depth: only the cuts named in `features_cuts`, or measured: only the cut of "
        "`features_bundle`, where it was measured that no plate can be rebuilt of it",
        choices=("refuse", "allow", "depth", "measured"),
    )
    features_cuts: tuple[str, ...] = parameter(
        (), "cuts of which no decoder could rebuild a plate, by your own measurement"
    )
    features_bundle: str = parameter(
        "",
        "bundle on this device, split with `mastra model split --measure-privacy`; features of "
        "another head, as of a bundle that was rolled out, do not leave by its measurement",
    )

    def __post_init__(self) -> None:
        if self.mode == "off" and not self.reason.strip():
            raise ConfigError(
                "mode: off hides nothing, so expected a reason beside it, such as "
                "`reason: boards on a belt, nobody is in sight`; got none"
            )
        for text in self.polygons:
            parse_polygon(text)
        if self.features == "depth" and not self.features_cuts:
            raise ConfigError("features: depth needs the names of cuts in features_cuts, got none")
        if self.features == "measured" and not self.features_bundle:
            raise ConfigError("features: measured needs a bundle in features_bundle, got none")


def parse_polygon(text: str) -> Polygon:
    """The corners that a text such as `0,0 1,0 1,0.9 0,0.9` gives; ConfigError for all others."""
    corners = []
    for pair in text.split():
        try:
            x, y = (float(number) for number in pair.split(","))
        except ValueError:
            raise ConfigError(
                f"polygons: expected corners x,y with spaces between, got {pair[:40]!r}"
            ) from None
        if not all(math.isfinite(side) and 0.0 <= side <= 1.0 for side in (x, y)):
            raise ConfigError(f"polygons: expected shares of 0 to 1, got {pair[:40]!r}")
        corners.append((x, y))
    if len(corners) < 3:
        raise ConfigError(f"polygons: expected at least 3 corners, got {len(corners)}")
    return tuple(corners)
