"""How a part of bench/results/privacy.json that was run takes the place of the one before it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from mastra_ros.privacy import Finder
from mastra_ros.privacy.finders.files import own_model
from mastra_ros.privacy.finders.network import open_network

Result = dict[str, Any]

BY_WIDTH = ("plates", "faces")
"""Parts of a row a width, of which some can be run alone."""
WITH_ALL = (*BY_WIDTH, "cost")
"""Parts in which all finders are measured beside the default."""


def run_of(plates_and_heads: Finder) -> dict[str, str]:
    """When this is, and with what: parts may be measured on different days."""
    engine = open_network(own_model()[0])
    try:
        return {
            "on": time.strftime("%Y-%m-%d"),
            "plates_and_heads": plates_and_heads.digest[:12],
            "engine": engine.name,
        }
    finally:
        engine.close()


def entered(
    document: Mapping[str, Any], name: str, made: Any, run: Mapping[str, str], *, whole: bool
) -> Result:
    """The document with this part as it was run now; a part run as a whole has no note any more.

    `whole`: all widths were run. Where they were not, the rows of the others stay, and so does what
    is said of the part. A note of whoever ran it stands in `notes`, by the name of its part.
    """
    told = dict(document)
    if name in BY_WIDTH and not whole:
        rows = {row["width_px"]: row for row in [*told.get(name, ()), *made]}
        made = [rows[width] for width in sorted(rows)]
    told[name] = made
    told["runs"] = {**told.get("runs", {}), name: dict(run)}
    if whole:
        told["notes"] = {part: note for part, note in told.get("notes", {}).items() if part != name}
    return told


def missing(document: Mapping[str, Any], finders: Sequence[str], parts: Sequence[str]) -> list[str]:
    """Finders with which these parts were measured before and that are not here now.

    Without them the columns "all" would say something else than those that stay.
    """
    if not set(parts) & set(WITH_ALL):
        return []
    before = document.get("finders", {}).get("all", ())
    return [name for name in before if name not in finders]
