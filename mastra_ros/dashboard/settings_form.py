"""The live parameters of a device as a form: ranges of the declarations, apply, undo."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nicegui import ui

from .fleet import Device, Sample
from .gateway import GatewayClient, GatewayError
from .guard import PERSON
from .people import Person
from .preview_panel import PreviewPanel
from .previews import Previews
from .texts import text
from .views import as_list, as_text, in_force_of, setting_state

STEPS = 100
"""Of a slider over its range."""


class SettingsForm:
    """What is wanted of a device, to be changed by an operator."""

    def __init__(
        self,
        gateway: GatewayClient,
        device: str,
        person: Person,
        language: str,
        previews: Previews,
        samples: Callable[[], list[Sample]],
    ) -> None:
        self._gateway = gateway
        self._device = device
        self._person = person
        self._language = language
        self._previews = previews
        self._samples = samples
        self._device_now: Callable[[], Device | None] = lambda: None
        self._states: dict[str, Any] = {}
        self._wanted: dict[str, Any] = {}
        self._shown: dict[str, Any] = {}
        self._fields: dict[str, Any] = {}
        self._undo: dict[str, Any] = {}
        self._lists: set[str] = set()

    async def build(self, device: Callable[[], Device | None]) -> None:
        """Draw the form; `device` tells what is known of the device now."""
        try:
            declared = (await self._gateway.get("/v1/settings"))["settings"]
            told = await self._gateway.get(f"/v1/devices/{self._device}/settings")
        except GatewayError as error:
            ui.label(str(error)).props('role="alert"')
            return
        self._wanted = dict(told["wanted"])
        self._device_now = device
        may = self._person.may("operator")
        if not may:
            ui.label(self._text("device.viewer"))
        known = device()
        in_force = in_force_of(known.status) if known else {}
        stages: dict[str, list[dict[str, Any]]] = {}
        for one in declared:
            stages.setdefault(one["name"].partition(".")[0], []).append(one)
        for stage, parameters in stages.items():
            with (
                ui.expansion(stage, value=stage == "scheduling").classes("w-full"),
                ui.element("div").classes("grid grid-cols-1 md:grid-cols-3 gap-4 w-full"),
            ):
                for one in parameters:
                    name = one["name"]
                    value = self._wanted.get(name, in_force.get(name, one["default"]))
                    if one["type"] == "tuple":
                        self._lists.add(name)
                    self._shown[name] = value
                    with ui.element("div").classes("min-w-0"):
                        self._fields[name] = _field(one, value, may=may)
                        self._states[name] = ui.label().classes("text-sm break-words")
        with ui.row():
            apply = ui.button(self._text("device.apply"), on_click=self._apply)
            self._back = ui.button(self._text("device.undo"), on_click=self._take_back)
        apply.set_enabled(may)
        self._back.set_enabled(False)
        self._said = ui.label().props('role="status"')
        # A viewer may ask what would be: that changes nothing.
        PreviewPanel(self._previews, self._samples, self._tried, self._language)
        self.show(known)

    def show(self, device: Device | None) -> None:
        """Say of each setting what the device has done with it."""
        status = device.status if device else {}
        for name, label in self._states.items():
            label.set_text(setting_state(name, self._wanted, status, self._language))

    def _text(self, key: str) -> str:
        return text(key, self._language)

    def _changed(self) -> dict[str, Any]:
        """What was changed in the form; ValueError says what cannot be read."""
        values = {name: self._value(name) for name in self._fields}
        return {
            name: value
            for name, value in values.items()
            if value is not None and value != self._shown[name]
        }

    def _tried(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What was changed, and what is in force: as the device says, or as it is asked."""
        device = self._device_now()
        in_force = {**self._wanted, **(in_force_of(device.status) if device else {})}
        return self._changed(), {n: v for n, v in in_force.items() if n in self._fields}

    async def _apply(self) -> None:
        try:
            changed = self._changed()
        except ValueError as error:
            self._said.set_text(str(error))
            return
        if changed:
            before = {name: self._shown[name] for name in changed}
            if await self._ask(changed):
                self._undo = before
                self._back.set_enabled(True)

    async def _take_back(self) -> None:
        """What the last change changed is as it was shown before."""
        if self._undo and await self._ask(self._undo):
            for name, value in self._undo.items():
                self._fields[name].value = as_text(value) if name in self._lists else value
            self._undo = {}
            self._back.set_enabled(False)

    def _value(self, name: str) -> Any:
        """What stands in a field, of the type of its parameter; ValueError says what does not."""
        value = self._fields[name].value
        return as_list(name, value) if name in self._lists else value

    async def _ask(self, values: Mapping[str, Any]) -> bool:
        if not self._person.may("operator") or session_person() != self._person:
            self._said.set_text(self._text("device.other"))
            return False
        try:
            told = await self._gateway.set(self._device, values, self._person.name)
        except GatewayError as error:
            self._said.set_text(str(error))
            ui.notify(str(error), type="negative")
            return False
        self._wanted = dict(told["wanted"])
        self._shown.update(values)
        self._said.set_text(self._text("device.applied" if told["connected"] else "device.kept"))
        return True


def _field(one: Mapping[str, Any], value: Any, *, may: bool) -> Any:
    """The element for a parameter; its `value` is of the parameter's type."""
    unit = f" ({one['unit']})" if one["unit"] else ""
    label = f"{one['name'].partition('.')[2]}{unit}"
    if one["choices"]:
        field: Any = ui.select(list(one["choices"]), value=value, label=label)
    elif one["type"] == "bool":
        field = ui.switch(label, value=bool(value))
    elif one["type"] in ("int", "float"):
        field = _number(one, value, label)
    elif one["type"] == "tuple":
        field = ui.input(label, value=as_text(value))
    else:
        field = ui.input(label, value=str(value))
    field.tooltip(one["doc"])
    field.set_enabled(may)
    return field


def _number(one: Mapping[str, Any], value: Any, label: str) -> Any:
    low, high = one["minimum"], one["maximum"]
    whole = one["type"] == "int"
    field = (
        _Whole(label, value=value, min=low, max=high)
        if whole
        else ui.number(label, value=value, min=low, max=high, step=None)
    )
    if low is not None and high is not None:
        step = max(1, round((high - low) / STEPS)) if whole else (high - low) / STEPS
        slider = ui.slider(min=low, max=high, step=step, value=value)
        slider.props(f'aria-label="{label}"')
        slider.bind_value(field)
    return field


def session_person() -> Person | None:
    """Whose session the socket is of that speaks now.

    A page outlives its session: a browser whose person has logged out, and in again as another,
    connects the old page with the new cookie.
    """
    scope = (ui.context.client.environ or {}).get("asgi.scope", {})
    person: Person | None = scope.get(PERSON)
    return person


class _Whole(ui.number):
    """A number without a fraction: JSON of a browser knows no other kind than float."""

    def __init__(self, label: str, **options: Any) -> None:
        super().__init__(label, step=1, precision=0, **options)

    def _event_args_to_value(self, e: Any) -> Any:
        value = super()._event_args_to_value(e)
        return None if value is None else int(value)
