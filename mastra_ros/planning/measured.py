"""Times of models that were measured: a table of `mastra model bench --json`, or engines.json.

The first is a list with a row for each part, engine, threads and batch. The second is what
`python -m bench.engines` writes for one or several machines; a name or kind behind a `#`, as in
`bench/results/engines.json#amx`, says which of them. What it times sees a frame once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import ConfigError

PLACES = {"gateway": "cloud", "device": "local"}
"""Where the networks of engines.json run."""
OWN = ", own precision"
"""Ends the name of a form that an engine takes unless told otherwise."""


def measured_ms(files: Sequence[Path], cloud_views: Callable[[], int]) -> dict[str, float]:
    """ms a frame of the fastest engine with one thread, for `local` and `cloud`, as far as told.

    Of two files that tell the same the latter counts. `cloud_views`, asked where it matters, says
    how often the gateway's model sees a frame. Raises ConfigError that names the file.
    """
    fastest: dict[str, float] = {}
    for given in files:
        path, _, machine = str(given).partition("#") if not given.exists() else (given, "", "")
        try:
            document = json.loads(Path(path).read_text(encoding="utf-8"))
            if isinstance(document, dict):
                times = list(_of_machine(document["machines"], machine, given, cloud_views))
            else:
                times = list(_of_rows(document))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            text = f"--measured: {given}: no table of mastra model bench: {error!r:.200}"
            raise ConfigError(text) from error
        if not times:
            raise ConfigError(f"--measured: {given}: nothing in it with one thread and batch 1")
        found: dict[str, float] = {}
        for place, spent_ms in times:
            if not 0 < spent_ms < math.inf:
                raise ConfigError(f"--measured: {given}: expected ms above 0, got {spent_ms}")
            found[place] = min(found.get(place, math.inf), spent_ms)
        fastest.update(found)
    return fastest


def _of_rows(rows: Any) -> Iterator[tuple[str, float]]:
    for row in rows:
        if (row["threads"], row["batch"]) == (1, 1):
            yield row["part"].partition("_")[0], float(row["p50_ms"])  # cloud_int8 is the cloud's


def _of_machine(
    machines: Any, wanted: str, path: Path, cloud_views: Callable[[], int]
) -> Iterator[tuple[str, float]]:
    chosen = [one for one in machines if wanted in ("", *_names(one))]
    if len(chosen) != 1:
        known = ", ".join(" or ".join(map(repr, _names(one))) for one in machines)
        file = str(path).partition("#")[0]
        raise ConfigError(
            f"--measured: {path}: expected one machine behind a #, as in {file}#NAME, of {known}"
        )
    for run in chosen[0]["runs"]:
        if run["cap"]:
            continue  # it stands for another processor
        for network, place in PLACES.items():
            times = cloud_views() if place == "cloud" else 1
            for row in run["networks"][network]["rows"]:
                if (row["threads"], row["batch"]) != (1, 1):
                    continue
                for form, told in row["forms"].items():
                    if "," not in form or form.endswith(OWN):
                        yield place, times * float(told["p50_ms"])


def _names(machine: Any) -> tuple[str, str]:
    return machine["machine"]["name"], machine["machine"]["kind"]
