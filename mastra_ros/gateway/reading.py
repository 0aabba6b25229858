"""Reading what devices have told and were given: `/v1/records`, `/v1/artefacts`, `/v1/devices`.

A client reads all; a device what is its own, and gets 403 for others. Answers are JSON, a page at a
time: `next` is the cursor for the next page, null at the end. With `Accept: application/x-ndjson`
all of it comes, a JSON object a line.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from .applications.keeping import Keeping, KeptArtefact
from .asking import Refused, answered, name_of, own_device, whole_of
from .clients import CLIENT
from .records import KeptRecord, RecordStore
from .records.store import Query

PATHS = ("/v1/records", "/v1/artefacts", "/v1/devices", "/v1/settings", "/v1/audit", "/metrics")
"""What clients may ask."""
CHANGED = ("/v1/devices",)
"""Where an operator may change something."""
LIMIT, LIMIT_MAX = 100, 1000
NDJSON = "application/x-ndjson"
_INT64 = 2**63

Page = Callable[[int, int], tuple[list[dict[str, Any]], int]]
"""From behind a place, so many: what there is, and the place of the last one."""


class Reading:
    """Handlers of the paths; the databases are read in threads.

    devices(): the names of all devices that have a key. connected(): device and stream of each open
    session.
    """

    def __init__(
        self,
        records: RecordStore,
        keeping: Keeping | None,
        *,
        devices: Callable[[], Iterable[str]],
        connected: Callable[[], Iterable[tuple[str, str]]],
    ) -> None:
        self._records = records
        self._keeping = keeping
        self._devices = devices
        self._connected = connected

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route("/v1/records", answered(self._list_records)),
            Route("/v1/artefacts", answered(self._list_artefacts)),
            Route("/v1/artefacts/{id}/data", answered(self._data)),
            Route("/v1/devices", answered(self._list_devices)),
        ]

    async def _list_records(self, request: Request) -> Response:
        query = Query(
            self._whose(request),
            name_of(request, "stream"),
            name_of(request, "kind"),
            whole_of(request, "from_ns", -_INT64),
            whole_of(request, "to_ns", -_INT64),
        )

        def page(after: int, most: int) -> tuple[list[dict[str, Any]], int]:
            kept = self._records.page(query, after, most)
            return [_record(one) for one in kept], kept[-1].id if kept else after

        return await self._paged(request, "records", page)

    async def _list_artefacts(self, request: Request) -> Response:
        wanted = self._whose(request), name_of(request, "stream"), name_of(request, "kind")

        def page(after: int, most: int) -> tuple[list[dict[str, Any]], int]:
            kept = [] if self._keeping is None else self._keeping.artefacts(*wanted, after, most)
            return [_artefact(one) for one in kept], kept[-1].id if kept else after

        return await self._paged(request, "artefacts", page)

    async def _data(self, request: Request) -> Response:
        text = request.path_params["id"]
        id_ = int(text) if text.isdecimal() and text.isascii() and len(text) < 19 else -1
        kept = None
        if self._keeping is not None:
            kept = await run_in_threadpool(self._keeping.artefact, id_)
        own = self._whose(request)
        if kept is None or self._keeping is None or own not in ("", kept.device):
            raise Refused(404, f"there is no artefact {text!r:.40}")
        headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
        return FileResponse(
            self._keeping.data(kept), media_type="application/octet-stream", headers=headers
        )

    async def _list_devices(self, request: Request) -> Response:
        own = self._whose(request)
        streams: dict[str, list[str]] = {}
        for device, stream in self._connected():
            streams.setdefault(device, []).append(stream)
        names = sorted({*await run_in_threadpool(lambda: list(self._devices())), *streams})

        def page(after: int, most: int) -> tuple[list[dict[str, Any]], int]:
            shown = [name for name in names if own in ("", name)][after : after + most]
            told = [
                {"device": name, "connected": name in streams, "streams": streams.get(name, [])}
                for name in shown
            ]
            return told, after + len(shown)

        return await self._paged(request, "devices", page)

    def _whose(self, request: Request) -> str:
        """Of which device is read; empty: of all of them."""
        device = name_of(request, "device")
        own = own_device(request)
        if request.scope.get(CLIENT) is not None:
            return device
        if device not in ("", own):
            raise Refused(403, f"a device may read its own only, not that of {device}")
        return own

    async def _paged(self, request: Request, what: str, page: Page) -> Response:
        after = whole_of(request, "after", 0) or 0
        limit = whole_of(request, "limit", 1, LIMIT_MAX) or LIMIT
        if NDJSON in request.headers.get("accept", ""):
            return StreamingResponse(self._lines(page, after), media_type=NDJSON)
        told, last = await run_in_threadpool(page, after, limit)
        return JSONResponse({what: told, "next": str(last) if len(told) == limit else None})

    async def _lines(self, page: Page, after: int) -> AsyncIterator[str]:
        while True:
            told, last = await run_in_threadpool(page, after, LIMIT_MAX)
            for one in told:
                yield json.dumps(one) + "\n"
            if len(told) < LIMIT_MAX:
                return
            after = last


def _record(kept: KeptRecord) -> dict[str, Any]:
    return {
        **kept.name._asdict(),
        "stamp_ns": kept.stamp_ns,
        "committed_s": kept.committed_s,
        "body": _plain(kept.body),
    }


def _artefact(kept: KeptArtefact) -> dict[str, Any]:
    return {name: getattr(kept, name) for name in kept.__dataclass_fields__}


def _plain(value: Any) -> Any:
    """As JSON knows it; bytes become {"base64": …}."""
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
