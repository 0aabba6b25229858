"""A crossroads for tests: straight and left movements from north, south, east and west."""

from __future__ import annotations

from mastra_ros.pipeline.traffic.junction.layout import Junction, Movement, Phase, Step

SIDES = ("n", "s", "e", "w")


def crossroads(**changes: float) -> Junction:
    """Straight on and left share a lane; left has a phase of its own from north and south."""
    movements = tuple(
        Movement(f"{side}-{way}", side, f"to-{side}-{way}")
        for side in SIDES
        for way in ("straight", "left")
    )
    return Junction(
        "crossroads",
        movements,
        (
            Phase("ns", ("n-straight", "s-straight"), ("n-left", "s-left")),
            Phase("ns-left", ("n-left", "s-left")),
            Phase("ew", ("e-straight", "w-straight"), ("e-left", "w-left")),
        ),
        (Step("ns", 20.0), Step("ns-left", 6.0), Step("ew", 15.0)),
        conflicts=(
            ("n-straight", "s-left"),
            ("s-straight", "n-left"),
            ("n-straight", "e-straight"),
            ("e-straight", "w-left"),
        ),
        never=(("n-straight", "e-straight"), ("n-left", "e-straight")),
        **changes,
    )
