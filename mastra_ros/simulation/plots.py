"""Pictures of a comparison; matplotlib is imported when one is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..figures import new_figure
from .measures import Measures
from .optimum import Optimum


def plot(path: Path, title: str, optimum: Optimum, rows: Sequence[Measures], money: str) -> None:
    """Two panels as PNG: frames in time for each policy, and frames in time against money."""
    figure = new_figure(11, 4.2, dpi=120)
    bars, scatter = figure.subplots(1, 2)
    names = [row.policy for row in rows]
    bars.barh(names, [100 * row.hit_rate for row in rows], color="#4477aa")
    bars.axvline(100 * optimum.hit_rate, color="#cc3311", linestyle="--", label="offline optimum")
    bars.invert_yaxis()
    bars.set_xlabel("frames answered in time, %")
    bars.legend(loc="lower left")
    for row in rows:
        scatter.scatter(row.money, 100 * row.hit_rate, color="#4477aa")
        scatter.annotate(
            row.policy,
            (row.money, 100 * row.hit_rate),
            textcoords="offset points",
            xytext=(5, 4),
        )
    scatter.set_xlabel(f"{money} per million frames")
    scatter.set_ylabel("frames answered in time, %")
    scatter.margins(x=0.2, y=0.15)
    figure.suptitle(title)
    figure.savefig(path, format="png")
