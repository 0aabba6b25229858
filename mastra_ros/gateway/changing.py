"""Changing what devices do: `/v1/settings`, `/v1/devices/{device}/settings`, `/v1/audit`.

Clients may read all of it; to change something takes the role operator. A device's token reads
what is wanted of that device. What is wanted is checked against the declarations before it is
kept, kept with its row in the audit, and then said to the device: at once where it is connected,
in the welcome of its next session where it is not. The device checks it once more.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..config import check_remote, remote_parameters
from ..config.parameter import Parameter
from ..errors import ConfigError
from ..protocol.checks import is_name
from .asking import Refused, answered, json_of, name_of, own_device, whole_of
from .clients import CLIENT, PERSON_HEADER, Client
from .steering import SteeringBook

BODY_BYTES_MAX = 16_384
VALUES_MAX = 64
"""Settings in one request."""
PERSON_CHARACTERS_MAX = 64
LIMIT, LIMIT_MAX = 100, 1000


class Changing:
    """Handlers of the paths; the database is used in threads.

    defaults: what `gateway.device_settings` asks of every device. push(device, values): tell the
    open sessions of a device, and return whether there is one. knows(device): whether it has a key.
    """

    def __init__(
        self,
        book: SteeringBook,
        *,
        defaults: Mapping[str, Any],
        push: Callable[[str, Mapping[str, Any]], bool],
        knows: Callable[[str], bool],
    ) -> None:
        self._book = book
        self._defaults = dict(defaults)
        self._push = push
        self._knows = knows
        self._kept = book.all_wanted()

    def routes(self) -> list[Route]:
        """The routes."""
        path = "/v1/devices/{device}/settings"
        return [
            Route("/v1/settings", answered(self._declarations)),
            Route(path, answered(self._show)),
            Route(path, answered(self._change), methods=["PATCH"]),
            Route("/v1/audit", answered(self._audit)),
        ]

    def wanted(self, device: str) -> dict[str, Any]:
        """What a device is asked to set when it connects.

        What an older version kept and this one does not declare any more is left out.
        """
        kept = self._kept.get(device, {})
        return {
            **self._defaults,
            **{name: kept[name] for name in kept if not _fault(name, kept[name])},
        }

    async def _declarations(self, _: Request) -> Response:
        told = [_declared(name, one) for name, one in remote_parameters().items()]
        return JSONResponse({"settings": told})

    async def _show(self, request: Request) -> Response:
        device = self._device(request)
        rows = await run_in_threadpool(self._book.rows, device)
        told = {
            row.name: {"value": row.value, "changed_s": row.changed_s, "who": row.who}
            for row in rows
        }
        return JSONResponse({"device": device, "wanted": self.wanted(device), "changes": told})

    async def _change(self, request: Request) -> Response:
        client = operator_of(request)
        device = self._device(request)
        who = person_of(request, client)
        asked = await _values_of(request)
        good, refused = _checked(asked)
        now_s = time.time()
        if refused:  # all or nothing: half of a change is none that anybody asked for
            await run_in_threadpool(self._note_refusals, device, refused, asked, who, client.role)
            told = {_line(name): why for name, why in refused.items()}
            return JSONResponse({"error": "; ".join(told.values())[:1000], "refused": told}, 422)
        self._kept[device] = await run_in_threadpool(
            lambda: self._book.change(device, good, who=who, role=client.role, now_s=now_s)
        )
        # A wish that is taken back leaves the device as it is, but for what all devices are asked.
        said = {
            name: self._defaults.get(name) if value is None else value
            for name, value in good.items()
        }
        connected = self._push(device, {name: v for name, v in said.items() if v is not None})
        return JSONResponse(
            {"device": device, "wanted": self.wanted(device), "connected": connected}
        )

    def _note_refusals(
        self, device: str, refused: Mapping[str, str], asked: Mapping[str, Any], who: str, role: str
    ) -> None:
        for name, why in list(refused.items())[:VALUES_MAX]:
            new = _short(asked[name])
            self._book.note(
                "refused",
                device,
                _line(name),
                None,
                new,
                why,
                who=who,
                role=role,
                now_s=time.time(),
            )

    async def _audit(self, request: Request) -> Response:
        if request.scope.get(CLIENT) is None:
            raise Refused(403, "the audit is for clients")
        device = name_of(request, "device")
        before = whole_of(request, "before", 0) or 0
        limit = whole_of(request, "limit", 1, LIMIT_MAX) or LIMIT
        rows = await run_in_threadpool(self._book.audit, device, before, limit)
        told = [{name: getattr(row, name) for name in row.__dataclass_fields__} for row in rows]
        return JSONResponse(
            {"audit": told, "next": str(rows[-1].id) if len(rows) == limit else None}
        )

    def _device(self, request: Request) -> str:
        device = str(request.path_params["device"])
        if not is_name(device):
            raise Refused(404, f"there is no device {device!r:.80}")
        if request.scope.get(CLIENT) is None and device != own_device(request):
            raise Refused(403, f"a device may read its own only, not that of {device}")
        if not self._knows(device):
            raise Refused(404, f"there is no device {device}")
        return device


def operator_of(request: Request) -> Client:
    """The client that asks, if it may change something."""
    client: Client | None = request.scope.get(CLIENT)
    if client is None:
        raise Refused(403, "only clients may change something, with the role operator")
    if not client.may_change:
        raise Refused(403, f"a {client.role} may not do this, an operator may")
    return client


def person_of(request: Request, client: Client) -> str:
    """Who asks, for the audit: the client, and the person that it says it asks for.

    The name is percent-encoded UTF-8 (RFC 3986) where it is not plain ASCII.
    """
    try:
        person = unquote(request.headers.get(PERSON_HEADER, ""), errors="strict")
    except UnicodeError:
        person = "\n"
    if not person:
        return client.name
    if len(person) > PERSON_CHARACTERS_MAX or not person.isprintable():
        raise Refused(400, f"{PERSON_HEADER}: expected at most {PERSON_CHARACTERS_MAX} characters")
    return f"{client.name} for {person}"


async def _values_of(request: Request) -> dict[str, Any]:
    """The map `values` of the body, of at most so many names."""
    told = await json_of(request, BODY_BYTES_MAX)
    values = told.get("values") if isinstance(told, dict) else None
    if not isinstance(values, dict) or not values:
        raise Refused(400, 'expected {"values": {"stage.parameter": value, …}}')
    if len(values) > VALUES_MAX:
        raise Refused(400, f"expected at most {VALUES_MAX} settings at once, got {len(values)}")
    return values


def _checked(asked: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The values of the parameters' own types, and why others are refused."""
    good: dict[str, Any] = {}
    refused: dict[str, str] = {}
    declared = remote_parameters()
    for name, value in asked.items():
        if value is None and name in declared:
            good[name] = None
        elif why := _fault(name, value):
            refused[name] = why
        else:
            good[name] = check_remote(name, value)
    return good, refused


def _fault(name: str, value: Any) -> str:
    """Why a device would refuse this; empty where it would not."""
    try:
        check_remote(name, value)
    except ConfigError as error:
        return str(error)[:300]
    return ""


def _declared(name: str, one: Parameter) -> dict[str, Any]:
    return {
        "name": name,
        "type": one.type.__name__,
        "default": list(one.default) if isinstance(one.default, tuple) else one.default,
        "unit": one.unit,
        "minimum": one.minimum,
        "maximum": one.maximum,
        "choices": list(one.choices),
        "doc": one.doc,
    }


def _short(value: Any) -> Any:
    """A refused value for the audit, which keeps no more of it than a line."""
    plain = isinstance(value, (int, bool)) or (isinstance(value, float) and math.isfinite(value))
    return value if plain else f"{value!r:.100}"


def _line(name: str) -> str:
    return ascii(name)[1:81]
