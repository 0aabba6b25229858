"""Charts of a page that are told only what is new."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from nicegui import ui

from .deltas import delta
from .views import said

# A chart that is not drawn yet is waited for, so that nothing that was told of it is lost.
SCRIPT = """<script>
window.mastraChart = (id, told, tries = 200) => {
  const chart = getElement(id)?.chart;
  if (!chart || !chart.getOption()) {
    if (tries) setTimeout(() => window.mastraChart(id, told, tries - 1), 50);
    return;
  }
  if (told.options) {
    chart.setOption(told.options, {notMerge: true});
    return;
  }
  const drawn = chart.getOption().series;
  chart.setOption({
    xAxis: {min: told.min, max: told.max},
    series: told.series.map((one, place) => ({
      data: [...drawn[place].data.slice(one.drop), ...(one.add ?? [])],
      ...(one.markArea ? {markArea: one.markArea} : {}),
    })),
  });
};
</script>"""


class LiveCharts:
    """The charts of a page, in the order of their options."""

    def __init__(self, grid: ui.element, language: str) -> None:
        self._grid = grid
        self._language = language
        self._drawn: list[tuple[ui.element, ui.echart, dict[str, Any]]] = []
        ui.add_body_html(SCRIPT)

    def show(self, charts: Sequence[dict[str, Any]]) -> None:
        """Bring them up to date."""
        lines = []
        for place, options in enumerate(charts[: len(self._drawn)]):
            box, chart, before = self._drawn[place]
            told = delta(before, options)
            # JSON, all in ASCII, is JavaScript too, whatever it holds.
            lines.append(f"mastraChart({chart.id},{json.dumps(told, separators=(',', ':'))})")
            self._drawn[place] = (box, chart, options)
            self._name(box, options)
        if lines:
            ui.run_javascript(";".join(lines))
        for options in charts[len(self._drawn) :]:
            with self._grid:
                box = ui.element("div").classes("w-full min-w-0").props("role=img")
                with box:
                    chart = ui.echart(dict(options)).classes("h-64 w-full")
            self._name(box, options)
            self._drawn.append((box, chart, options))

    def _name(self, box: ui.element, options: dict[str, Any]) -> None:
        name = said(options, self._language)
        if box.props.get("aria-label") != name:
            box.props["aria-label"] = name
            box.update()
