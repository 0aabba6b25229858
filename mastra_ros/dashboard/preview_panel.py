"""The preview below the settings: what each policy would have done with what stands in the form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui

from .fleet import Sample
from .previews import PreviewError, Previews
from .tables import empty_table
from .texts import text
from .views import preview_rows

STAGE = "scheduling."
COLUMNS = ("policy", "local", "cloud", "in_time", "age", "switches")
SAMPLES_MIN = 5


class PreviewPanel:
    """A button and a table."""

    def __init__(
        self,
        previews: Previews,
        samples: Callable[[], list[Sample]],
        values: Callable[[], tuple[dict[str, Any], dict[str, Any]]],
        language: str,
    ) -> None:
        """values(): what was changed in the form, and what is in force; ValueError says why not."""
        self._previews = previews
        self._samples = samples
        self._values = values
        self._language = language
        # In the colour of the text around it: the primary one is too dark on a dark page.
        button = ui.button(self._text("preview.try"), on_click=self._show, color=None)
        self._button = button.props("outline")
        self._said = ui.label().props('role="status"')
        columns = [
            {"name": one, "label": self._text(f"col.{one}"), "field": one, "align": "left"}
            for one in COLUMNS
        ]
        self._table = empty_table(columns, "policy", self._text("preview.try"))
        self._table.set_visibility(False)

    async def _show(self) -> None:
        try:
            changed, now = self._values()
        except ValueError as error:
            self._say(str(error))
            return
        changes = {name: value for name, value in changed.items() if name.startswith(STAGE)}
        if not changes:
            self._say(self._text("preview.other" if changed else "preview.nothing"))
            return
        samples = self._samples()
        if len(samples) < SAMPLES_MIN:
            self._say(self._text("preview.few"))
            return
        self._button.set_enabled(False)
        try:
            rows = await self._previews.of(samples, changes, now)
        except PreviewError as error:
            self._say(self._text(error.key) if error.key else str(error))
            return
        finally:
            self._button.set_enabled(True)
        seconds = round(min(samples[-1].at_s - samples[0].at_s, 300.0))
        self._say(self._text("preview.title", seconds=seconds), table=True)
        self._table.rows = preview_rows(rows)

    def _say(self, what: str, *, table: bool = False) -> None:
        self._said.set_text(what)
        self._table.set_visibility(table)

    def _text(self, key: str, **values: Any) -> str:
        return text(key, self._language, **values)
