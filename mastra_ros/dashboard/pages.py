"""The pages: fleet, device, audit; NiceGUI draws them, and `views.py` says what is in them."""

from __future__ import annotations

import html
import time
from typing import Any
from urllib.parse import quote

from nicegui import ui
from starlette.requests import Request

from .device_facts import facts
from .fleet import Fleet, Sample
from .gateway import GatewayClient, GatewayError
from .gateway_panel import Facts, GatewayPanel, Prices
from .guard import PERSON
from .live_charts import LiveCharts
from .pictures import Pictures
from .previews import Previews
from .rollout_page import RolloutPage
from .rollouts import Rollouts
from .settings_form import SettingsForm
from .show import Show
from .texts import language_of, text
from .views import (
    ROWS_MAX,
    device_charts,
    fleet_row,
    matching,
    switches,
)

CONNECT_S = 60.0
COLOURS = {"auto": None, "light": False, "dark": True}
COLOURS_COOKIE = "mastra_colours"
CSS = """
.skip { position: absolute; left: -99em; }
.skip:focus { left: 1em; top: .2em; }
.q-table a { color: inherit; text-decoration: underline; }
.nicegui-content > * { max-width: 100%; }
"""
SEEN = """<script>
document.addEventListener('visibilitychange', () => emitEvent('mastra_seen', !document.hidden));
</script>"""
STATES = ("", "connected", "silent", "away")
FLEET_COLUMNS = (
    *("name", "state", "seen", "route", "age", "cpu", "temperature", "spool", "version"),
    *("bundle", "alarms"),
)
AUDIT_COLUMNS = ("at", "who", "name", "setting", "old", "new", "outcome")
SWITCH_COLUMNS = ("at", "from", "to", "reason")


def add_pages(
    fleet: Fleet, gateway: GatewayClient, pictures: Pictures, previews: Previews, prices: Prices
) -> None:
    """Declare the pages."""
    rollouts = Rollouts(gateway)

    @ui.page("/")
    async def fleet_page(request: Request) -> None:
        await fleet.fresh()
        show = _frame(request, fleet, "page.fleet")
        GatewayPanel(fleet, show.language, prices).follow(show.on_news)
        FleetPage(fleet, show)

    @ui.page("/device/{name}")
    async def device_page(request: Request, name: str) -> None:
        await fleet.fresh()
        show = _frame(request, fleet, "page.device", name=name[:80])
        if name not in fleet.devices:
            ui.label(text("page.none", show.language, name=name[:80]))
            return
        await DevicePage(fleet, gateway, pictures, previews, name, show).build()

    @ui.page("/rollouts")
    async def rollout_page(request: Request) -> None:
        await fleet.fresh()
        await rollouts.look()
        RolloutPage(fleet, rollouts, _frame(request, fleet, "page.rollouts"))

    @ui.page("/audit")
    async def audit_page(request: Request) -> None:
        show = _frame(request, fleet, "page.audit")
        await _show_audit(gateway, show)


def _frame(request: Request, fleet: Fleet, title: str, **values: str) -> Show:
    """What all pages have: title, way between them, log-out, and what is wrong with the gateway."""
    language = language_of(request.headers.get("accept-language", ""))
    show = Show(request.scope[PERSON], language, fleet)
    ui.page_title(f"Mastra: {show.text(title, **values)}")
    ui.query("html").props(f'lang="{show.language}"')
    ui.colors(primary="#1c5a94")
    ui.add_css(CSS)
    with ui.header().classes("items-center gap-4 px-4 py-2 flex-wrap"):
        ui.link(show.text("page.skip"), "#content").classes("skip text-white")
        ui.link("Mastra", "/").classes("text-white font-bold no-underline")
        ui.link(show.text("page.fleet"), "/").classes("text-white")
        ui.link(show.text("page.rollouts"), "/rollouts").classes("text-white")
        ui.link(show.text("page.audit"), "/audit").classes("text-white")
        ui.space()
        ui.label(f"{show.person.name} ({show.person.role})")
        _choose_colours(request, show)
        button = f"<button>{show.text('page.leave')}</button>"
        ui.html(f'<form method="post" action="/logout">{button}</form>', sanitize=False)
    ui.link_target("content")
    ui.label(show.text(title, **values)).classes("text-xl").props('role="heading" aria-level="1"')
    problem = ui.label().classes("text-red-700 font-bold").props('role="alert"')

    def complain() -> None:
        problem.set_text(show.text("page.problem", problem=fleet.problem) if fleet.problem else "")

    def follow(event: Any) -> None:
        show.seen = event.args is not False

    fleet.look()
    complain()
    show.on_news(complain)
    show.follow()
    ui.add_body_html(SEEN)
    ui.on("mastra_seen", follow)
    return show


def _choose_colours(request: Request, show: Show) -> None:
    """Light, dark, or as the system has it; the browser remembers it in a cookie."""
    chosen = request.cookies.get(COLOURS_COOKIE, "auto")
    chosen = chosen if chosen in COLOURS else "auto"
    dark = ui.dark_mode(COLOURS[chosen])

    def choose(event: Any) -> None:
        if event.value in COLOURS:
            dark.set_value(COLOURS[event.value])
            ui.run_javascript(
                f"document.cookie = '{COLOURS_COOKIE}={event.value}; path=/; "
                "max-age=31536000; SameSite=Strict'"
            )

    options = {one: show.text(f"colours.{one}") for one in COLOURS}
    ui.select(options, value=chosen, on_change=choose).props(
        f'dark dense borderless aria-label="{show.text("page.colours")}"'
    )


class FleetPage:
    """The table of devices: only the rows that are seen are sent."""

    def __init__(self, fleet: Fleet, show: Show) -> None:
        self._fleet = fleet
        self._show = show
        with ui.row().classes("items-end gap-4"):
            self._search = ui.input(show.text("fleet.search"), on_change=self._turn).props(
                "clearable"
            )
            options = {
                state: show.text(f"state.{state}") if state else show.text("fleet.all")
                for state in STATES
            }
            self._state = ui.select(options, value="", on_change=self._turn).props(
                f'aria-label="{show.text("col.state")}"'
            )
            self._count = ui.label()
        self._table = show.table(FLEET_COLUMNS, "name", "page.fleet")
        self._table.add_slot(
            "body-cell-name",
            '<q-td :props="props"><a :href="\'/device/\' + encodeURIComponent(props.value)">'
            "{{ props.value }}</a></q-td>",
        )
        self._page = ui.pagination(1, 1, direction_links=True, on_change=self._refresh)
        self._refresh()
        show.on_news(self._refresh)

    def _turn(self) -> None:
        self._page.value = 1
        self._refresh()

    def _refresh(self) -> None:
        fleet, show = self._fleet, self._show
        found = matching(fleet.devices.values(), self._search.value or "", self._state.value or "")
        pages = max(1, -(-len(found) // ROWS_MAX))
        if self._page.max != pages:
            self._page.max = pages
        self._page.set_visibility(pages > 1)
        first = ROWS_MAX * (min(self._page.value or 1, pages) - 1)
        now_s = time.time()
        rows = [fleet_row(one, now_s, show.language) for one in found[first : first + ROWS_MAX]]
        if rows != self._table.rows:
            self._table.rows = rows
        connected = sum(one.state == "connected" for one in fleet.devices.values())
        self._count.set_text(
            show.text(
                "fleet.count", shown=len(found), count=len(fleet.devices), connected=connected
            )
        )


class DevicePage:
    """One device, live."""

    def __init__(
        self,
        fleet: Fleet,
        gateway: GatewayClient,
        pictures: Pictures,
        previews: Previews,
        name: str,
        show: Show,
    ) -> None:
        self._fleet = fleet
        self._gateway = gateway
        self._name = name
        self._show = show
        self._pictures = pictures
        self._previews = previews

    async def build(self) -> None:
        """Draw it once; a timer brings it up to date."""
        show = self._show
        self._state = ui.label().classes("font-bold").props('role="status"')
        self._facts = Facts()
        alt = html.escape(show.text("page.picture", name=self._name), quote=True)
        self._picture = ui.element("img").props(f'alt="{alt}"').style("max-width: 100%")
        self._picture.set_visibility(False)
        self._withheld = ui.label()
        self._withheld.set_visibility(False)
        self._seen = 0
        grid = ui.element("div").classes("grid grid-cols-1 md:grid-cols-2 gap-4 w-full")
        show.heading("device.switches")
        self._table = show.table(SWITCH_COLUMNS, "key", "device.switches")
        self._charts = LiveCharts(grid, show.language)
        self._refresh()
        show.on_news(self._refresh)
        show.timer(self._refresh_picture)
        show.heading("device.settings")
        # What is typed before the page has its socket would be lost.
        try:
            await ui.context.client.connected(timeout=CONNECT_S)
        except TimeoutError:
            return
        form = SettingsForm(
            self._gateway, self._name, show.person, show.language, self._previews, self._samples
        )
        await form.build(lambda: self._fleet.devices.get(self._name))
        show.on_news(lambda: form.show(self._fleet.devices.get(self._name)))

    def _refresh(self) -> None:
        show = self._show
        device = self._fleet.devices.get(self._name)
        if device is None:
            self._state.set_text(show.text("page.none", name=self._name))
            return
        now_s = time.time()
        row = fleet_row(device, now_s, show.language)
        seen = row["seen"]
        if device.last_seen_s is not None:
            seen = show.text("seen.ago", ago=seen)
        self._state.set_text(" · ".join(one for one in (row["state"], seen, row["alarms"]) if one))
        self._facts.show(facts(device, show.language))
        samples = self._samples()
        silent = not device.heard
        charts = device_charts(samples, now_s, show.language, silent=silent)
        self._charts.show(charts)
        rows = [
            {
                "key": f"{one.get('at_ns')}",
                "at": time.strftime("%H:%M:%S", time.localtime(one.get("at_ns", 0) / 1e9)),
                "from": one.get("from", ""),
                "to": one.get("to", ""),
                "reason": one.get("reason", ""),
            }
            for one in switches(samples)
        ]
        if rows != self._table.rows:
            self._table.rows = rows

    def _samples(self) -> list[Sample]:
        return next(iter(self._fleet.history(self._name).values()), [])

    async def _refresh_picture(self) -> None:
        number = await self._pictures.look(self._name)
        if number != self._seen:
            self._seen = number
            self._picture.props["src"] = f"/picture/{quote(self._name, safe='')}?{number}"
            self._picture.update()
            self._picture.set_visibility(number > 0)
        why = self._pictures.why_none(self._name)
        text = self._show.text("page.withheld", why=why) if why else ""
        if text != self._withheld.text:
            self._withheld.set_text(text)
            self._withheld.set_visibility(bool(text))


async def _show_audit(gateway: GatewayClient, show: Show) -> None:
    table = show.table(AUDIT_COLUMNS, "id", "page.audit")

    async def refresh() -> None:
        try:
            told = await gateway.get("/v1/audit", limit=100)
        except GatewayError as error:
            ui.notify(str(error), type="negative")
            return
        table.rows = [
            {
                "id": one["id"],
                "at": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one["at_s"])),
                "who": f"{one['who']} ({one['role']})",
                "name": one["device"],
                "setting": one["name"],
                "old": _said(one["old"]),
                "new": _said(one["new"]),
                "outcome": one["outcome"],
            }
            for one in told["audit"]
        ]

    await refresh()
    ui.timer(5.0, refresh)


def _said(value: Any) -> str:
    return "" if value is None else str(value)
