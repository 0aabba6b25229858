"""What all pages have: who looks, in which language, and when parts are brought up to date."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from nicegui import ui

from .fleet import Fleet
from .people import Person
from .tables import empty_table
from .texts import text

logger = logging.getLogger(__name__)

TICK_S = 0.2
"""A page looks this often whether there is something new: that comes once a second, and at once
where a device comes or goes. What it asks for by itself, it asks for each REFRESH_S."""
REFRESH_S = 1.0


class Show:
    """Who looks, in which language, and whether it is seen: a tab behind others costs nothing."""

    def __init__(self, person: Person, language: str, fleet: Fleet) -> None:
        self.person = person
        self.language = language
        self.seen = True
        self._fleet = fleet
        self._news = fleet.news
        self._refreshes: list[Callable[[], None]] = []

    def follow(self) -> None:
        """Bring the page up to date from now on, when there are news of the fleet."""
        ui.timer(TICK_S, self._tick)

    def _tick(self) -> None:
        if not self.seen:
            return
        self._fleet.look()
        if self._news != self._fleet.news:
            self._news = self._fleet.news
            for refresh in self._refreshes:
                self._run(refresh)

    @staticmethod
    def _run(refresh: Callable[[], None]) -> None:
        try:
            refresh()
        except Exception:  # a part that fails must not hold up the others
            logger.exception("a part of a page cannot be shown")

    def on_news(self, refresh: Callable[[], None]) -> None:
        """Bring a part of the page up to date when there are news."""
        self._refreshes.append(refresh)

    def timer(self, refresh: Callable[[], Awaitable[None]]) -> None:
        """Let a part of the page ask for something while it is seen."""

        async def refresh_if_seen() -> None:
            if self.seen:
                await refresh()

        ui.timer(REFRESH_S, refresh_if_seen)

    def text(self, key: str, **values: Any) -> str:
        """A text in the language of who looks."""
        return text(key, self.language, **values)

    def heading(self, key: str) -> ui.label:
        """Of a part of the page."""
        label = ui.label(self.text(key)).classes("text-lg")
        return label.props('role="heading" aria-level="2"')

    def table(self, columns: tuple[str, ...], key: str, title: str) -> ui.table:
        """An empty table; `title` is the key of what it lists."""
        table = empty_table(self.columns(columns), key, self.text(title))
        table.add_slot("no-data", f"<span>{self.text('table.empty')}</span>")
        return table

    def columns(self, names: tuple[str, ...]) -> list[dict[str, Any]]:
        """Columns of a table."""
        return [
            {"name": one, "label": self.text(f"col.{one}"), "field": one, "align": "left"}
            for one in names
        ]
