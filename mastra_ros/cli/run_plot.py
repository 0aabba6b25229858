"""Draws a run: the age of every result over time, where it came from, and what befell the link."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..emulation.faults import BOTH, Fault
from ..figures import new_figure
from .timeline import Timeline

SIZE_INCH = (9.0, 4.4)
DPI = 120
COLOURS = {"local": "#d9822b", "split": "#7a5ea8", "cloud": "#2b6cb0"}
NAMES = {"local": "device", "split": "both", "cloud": "gateway"}
"""Of the routes, in the order of the legend."""
CUT_COLOUR, FAILED_COLOUR = "#b03030", "#c00000"
CUTS = ("down", "stall")


def draw_run(
    timeline: Timeline,
    path: Path,
    *,
    began_s: float,
    title: str,
    faults: Sequence[Fault] = (),
    deadline_ms: float | None = None,
) -> None:
    """Write the plot of a run whose clock began at `began_s`.

    Raises DependencyError without matplotlib, and OSError.
    """
    figure = new_figure(*SIZE_INCH, dpi=DPI)
    ages, band = figure.subplots(2, 1, sharex=True, height_ratios=(7, 1))
    end_s = _end_s(timeline, began_s)
    if faults:
        _draw_faults((ages, band), faults, end_s)
    else:  # of another gateway's link we know only what was seen of it
        _draw_lost((ages, band), timeline, began_s, end_s)
    _draw_ages(ages, timeline, began_s, deadline_ms)
    _draw_band(band, timeline, began_s)
    band.set_xlim(0.0, end_s)
    figure.suptitle(title, fontsize=11)
    figure.legend(
        *ages.get_legend_handles_labels(), loc="outside lower center", ncols=6, frameon=False
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _end_s(timeline: Timeline, began_s: float) -> float:
    last = max((*timeline.at_s[-1:], *timeline.failed_s[-1:]), default=began_s) - began_s
    return max(last, 0.1)


def _draw_ages(axes: Any, timeline: Timeline, began_s: float, deadline_ms: float | None) -> None:
    for origin, colour in COLOURS.items():
        at_s, ages_ms = timeline.points(origin)
        if at_s:
            shown = [at - began_s for at in at_s]
            label = f"result of the {NAMES[origin]}" if origin != "split" else "result of both"
            axes.plot(shown, ages_ms, ".", ms=4, color=colour, label=label)
    if deadline_ms is not None:
        axes.axhline(
            deadline_ms, color="#555555", lw=0.9, ls="--", label=f"deadline, {deadline_ms:g} ms"
        )
    if len(timeline.failed_s):
        shown = [at - began_s for at in timeline.failed_s]
        axes.plot(
            shown,
            [0.96] * len(shown),
            "x",
            color=FAILED_COLOUR,
            transform=axes.get_xaxis_transform(),
            label="no result",
        )
    axes.set_ylabel("age of the result, ms")
    axes.set_ylim(bottom=0.0)
    axes.grid(alpha=0.25)


def _draw_band(axes: Any, timeline: Timeline, began_s: float) -> None:
    """From whom the results came, as a band; a stretch of one result is a hair line."""
    for stretch in timeline.stretches():
        colour = COLOURS.get(stretch.origin, "#888888")
        wide = max(stretch.to_s - stretch.from_s, 0.0)
        axes.broken_barh([(stretch.from_s - began_s, wide)], (0, 1), color=colour, lw=0.4)
    axes.set_ylim(0, 1)
    axes.set_yticks([0.5], ["route"])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("time, s")


def _draw_faults(both: tuple[Any, Any], faults: Sequence[Fault], end_s: float) -> None:
    """Shade what befell the link; the legend names it once."""
    named: set[str] = set()
    for fault in faults:
        if fault.start_s > end_s:
            continue
        words = _words(fault)
        shade = 0.16 if fault.kind in CUTS else 0.07
        for axes in both:
            edges = [fault.start_s, *([fault.end_s] if fault.end_s < end_s else [])]
            for edge in edges:
                axes.axvline(edge, color=CUT_COLOUR, lw=0.8, zorder=3)
            if fault.kind == "reset":
                span = axes.axvline(fault.start_s, color=CUT_COLOUR, lw=1.4, zorder=3)
            else:
                until_s = min(fault.end_s, end_s)
                span = axes.axvspan(fault.start_s, until_s, color=CUT_COLOUR, alpha=shade, lw=0)
            if axes is both[0] and words not in named:
                span.set_label(words)
                named.add(words)


def _draw_lost(both: tuple[Any, Any], timeline: Timeline, began_s: float, end_s: float) -> None:
    """Shade the times without a link."""
    label = "no link"
    for from_s, until_s in timeline.lost():
        for axes in both:
            span = (max(from_s - began_s, 0.0), min(until_s - began_s, end_s))
            shaded = axes.axvspan(*span, color=CUT_COLOUR, alpha=0.16, lw=0)
            if axes is both[0] and label:
                shaded.set_label(label)
                label = ""


def _words(fault: Fault) -> str:
    """What the legend calls a fault."""
    if fault.kind in ("down", "stall", "reset"):
        return {"down": "link cut", "stall": "link stalled", "reset": "link reset"}[fault.kind]
    way = "" if fault.direction == BOTH else f"{fault.direction}, "
    values = {
        "delay": f"{fault.value * 1e3:g} ms more",
        "jitter": f"up to {fault.value * 1e3:g} ms more",
        "loss": f"{fault.value:.1%} lost",
        "rate": f"{fault.value / 1e3:g} kbit/s",
        "trace": "recorded link",
    }
    return f"{way}{values[fault.kind]}" if math.isfinite(fault.value) else f"{way}{fault.kind}"
