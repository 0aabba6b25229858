"""The page of roll-outs: begin one, see where it is on each device, hold it, take it back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from nicegui import ui

from . import rollout_views as views
from .fleet import Fleet
from .gateway import GatewayError
from .rollouts import Rollouts
from .settings_form import session_person
from .show import Show
from .views import ROWS_MAX

PAST_COLUMNS = ("id", "at", "bundle", "who", "phase", "reason")
DEVICE_COLUMNS = ("name", "state", "bundle", "since", "agreement", "age")
SOAK_S_MAX = 1e7


class RolloutPage:
    """Three parts: a form, the latest roll-out with its devices, and those before."""

    def __init__(self, fleet: Fleet, rollouts: Rollouts, show: Show) -> None:
        self._fleet = fleet
        self._rollouts = rollouts
        self._show = show
        self._may = show.person.may("operator")
        self._problem = ui.label().props('role="alert"')
        self._draw_form()
        self._draw_latest()
        show.heading("rollout.past")
        self._past = show.table(PAST_COLUMNS, "id", "rollout.past")
        self._refresh()
        show.timer(self._follow)

    def _draw_form(self) -> None:
        show = self._show
        show.heading("rollout.begin")
        if not self._may:
            ui.label(show.text("rollout.viewer"))
        with ui.element("div").classes("flex flex-wrap items-end gap-4 w-full"):
            self._bundle = ui.select({}, label=show.text("rollout.bundle")).classes("min-w-64")
            self._devices = ui.input(show.text("rollout.devices")).classes("min-w-64")
            self._soak = ui.number(show.text("rollout.soak_s"), min=0, max=SOAK_S_MAX).classes(
                "min-w-48"
            )
            self._begin = ui.button(show.text("rollout.start"), on_click=self._ask_for)
        self._said = ui.label().props('role="status"').classes("font-bold break-words")
        self._fields = (self._bundle, self._devices, self._soak, self._begin)
        self._wrong = ui.label().classes("text-sm break-words whitespace-pre-line")

    def _draw_latest(self) -> None:
        show = self._show
        heading = show.heading("rollout.latest")
        self._named = ui.label().classes("font-mono break-words")
        self._phase = ui.label().classes("font-bold").props('role="status"')
        self._stage = ui.label()
        self._share = ui.linear_progress(0.0, show_value=False, size="10px").props(
            f'aria-label="{show.text("rollout.latest")}"'
        )
        self._reason = ui.label().classes("text-red-700 dark:text-red-300 break-words")
        with ui.row():
            self._hold = ui.button(show.text("rollout.pause"), on_click=self._ask_to_hold)
            self._back = ui.button(show.text("rollout.take_back"), on_click=self._ask_back)
        self._table = show.table(DEVICE_COLUMNS, "name", "page.fleet")
        self._table.add_slot(
            "body-cell-name",
            '<q-td :props="props"><a :href="\'/device/\' + encodeURIComponent(props.value)">'
            "{{ props.value }}</a></q-td>",
        )
        self._page = ui.pagination(1, 1, direction_links=True, on_change=self._refresh)
        self._latest_parts = (
            heading,
            *(self._named, self._phase, self._stage, self._share, self._hold, self._back),
            *(self._table, self._page),
        )

    async def _follow(self) -> None:
        await self._rollouts.look()
        self._refresh()

    def _refresh(self) -> None:
        show, kept = self._show, self._rollouts.kept
        problem = self._rollouts.problem
        self._problem.set_visibility(bool(problem))
        self._problem.set_text(show.text("page.problem", problem=problem) if problem else "")
        good, wrong = views.choices(self._rollouts.bundles)
        if good != self._bundle.options:
            value = self._bundle.value if self._bundle.value in good else None
            self._bundle.set_options(good, value=value)
        for field in self._fields:
            field.set_enabled(self._may and bool(good))
        self._wrong.set_text("\n".join(wrong) if good or wrong else show.text("rollout.no_bundles"))
        rows = views.past_rows(kept, show.language)
        if rows != self._past.rows:
            self._past.rows = rows
        for part in self._latest_parts:
            part.set_visibility(bool(kept))
        self._reason.set_visibility(bool(kept and kept[0].get("reason")))
        if kept:
            self._show_latest(kept[0])

    def _show_latest(self, one: dict[str, Any]) -> None:
        show, now_s = self._show, self._rollouts.now_s
        self._named.set_text(views.named(one))
        self._phase.set_text(views.phase(one, show.language))
        parts = (views.stage(one, show.language), views.soak(one, now_s, show.language))
        self._stage.set_text(" · ".join(part for part in parts if part))
        self._share.value = views.share_switched(one)
        self._reason.set_text(str(one.get("reason", "")))
        running = one.get("phase") == "running"
        self._hold.set_text(show.text("rollout.resume" if one.get("paused") else "rollout.pause"))
        self._hold.set_enabled(self._may and running)
        self._back.set_enabled(self._may and one.get("phase") in ("running", "done"))
        count = len(one.get("devices") or ())
        pages = max(1, -(-count // ROWS_MAX))
        if self._page.max != pages:
            self._page.max = pages
        self._page.set_visibility(pages > 1)
        first = ROWS_MAX * (min(self._page.value or 1, pages) - 1)
        rows = views.device_rows(one, self._fleet.devices, show.language, first, ROWS_MAX)
        if rows != self._table.rows:
            self._table.rows = rows

    async def _ask_for(self) -> None:
        if not self._bundle.value:
            self._said.set_text(self._show.text("rollout.choose"))
            return
        asked: dict[str, Any] = {"bundle": self._bundle.value}
        if names := (self._devices.value or "").replace(",", " ").split():
            asked["devices"] = names
        if self._soak.value is not None:
            asked["soak_s"] = self._soak.value
        await self._ask(lambda: self._rollouts.begin(asked, self._show.person.name))

    async def _ask_to_hold(self) -> None:
        if kept := self._rollouts.kept:
            await self._move(kept[0], "resume" if kept[0].get("paused") else "pause")

    async def _ask_back(self) -> None:
        if kept := self._rollouts.kept:
            await self._move(kept[0], "back")

    async def _move(self, one: dict[str, Any], what: str) -> None:
        await self._ask(lambda: self._rollouts.move(int(one["id"]), what, self._show.person.name))

    async def _ask(self, ask: Callable[[], Awaitable[None]]) -> None:
        """Ask for it as who is logged in now, and say what came of it."""
        if not self._may or session_person() != self._show.person:
            self._said.set_text(self._show.text("device.other"))
            return
        try:
            await ask()
        except GatewayError as error:
            self._said.set_text(self._show.text("rollout.no", why=str(error)))
        else:
            self._said.set_text(self._show.text("rollout.asked"))
        self._refresh()
