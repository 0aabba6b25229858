"""Which applications there are: ours, and those that an installed package names.

Users add theirs by an entry point of the group `mastra_ros.applications`, NAME = module:Class.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from importlib.metadata import entry_points

from ...errors import ConfigError
from ...pipeline.application import Application

GROUP = "mastra_ros.applications"
SEE: dict[str, tuple[str, ...]] = {"ultrasound": ("frames",)}
"""What those of ours see besides records; others say so when their process has begun."""
OURS = {
    "factory": "mastra_ros.pipeline.factory.statistics:FactoryStatistics",
    "ultrasound": "mastra_ros.pipeline.ultrasound.cloud.application:UltrasoundVolumes",
    "traffic": "mastra_ros.pipeline.traffic.cloud.application:TrafficCloud",
}


def known() -> dict[str, str]:
    """`module:Class` of every application, by name; ours cannot be replaced."""
    return {**{one.name: one.value for one in entry_points(group=GROUP)}, **OURS}


def sees(name: str) -> tuple[str, ...] | None:
    """What an application sees besides records; None where only its process can tell."""
    return SEE.get(name, ()) if name in OURS else None


def check_names(names: Sequence[str]) -> None:
    """ConfigError naming every application that is not known, or named twice."""
    there = known()
    wrong = [name for name in names if name not in there]
    if wrong or len(set(names)) < len(names):
        raise ConfigError(
            f"applications: expected some of {', '.join(sorted(there))}, each once, "
            f"got {', '.join(names)!r:.200}"
        )


def load(name: str) -> Application:
    """A new application of this name. Raises whatever its module raises."""
    module, _, attribute = known()[name].partition(":")
    made = getattr(importlib.import_module(module), attribute)()
    if not isinstance(made, Application):
        raise ConfigError(f"applications: {name}: expected an Application, got {type(made)}")
    return made
