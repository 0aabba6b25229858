"""Reading what devices have told and were given: `/v1/records`, `/v1/sets`, `/v1/artefacts`.

A client reads all; a device what is its own, and gets 403 for others. Answers are JSON, a page at a
time: `next` is the cursor for the next page, null at the end. With `Accept: application/x-ndjson`
all of it comes, a JSON object a line.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from .applications.keeping import Keeping, KeptArtefact
from .asking import (
    INT64,
    Refused,
    answered,
    name_of,
    paged,
    seconds_between,
    whole_of,
    whose,
)
from .records import KeptRecord, RecordStore
from .records.store import Query
from .sets import SqliteSetStore
from .sets.rows import KeptSet, SetQuery

PATHS = (
    "/v1/records",
    "/v1/artefacts",
    "/v1/sets",
    "/v1/devices",
    "/v1/gateway",
    "/v1/settings",
    "/v1/audit",
    "/v1/rollouts",
    "/metrics",
)
"""What clients may ask."""
CHANGED = ("/v1/devices", "/v1/rollouts")
"""Where an operator may change something."""


STATES = {"open": False, "closed": True}
"""Of sets, and whether they are closed."""


class Reading:
    """Handlers of the paths; the databases are read in threads."""

    def __init__(
        self,
        records: RecordStore,
        keeping: Keeping | None,
        sets: SqliteSetStore | None = None,
    ) -> None:
        self._sets = sets
        self._records = records
        self._keeping = keeping

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route("/v1/records", answered(self._list_records)),
            Route("/v1/sets", answered(self._list_sets)),
            Route("/v1/artefacts", answered(self._list_artefacts)),
            Route("/v1/artefacts/{id}/data", answered(self._data)),
        ]

    async def _list_records(self, request: Request) -> Response:
        query = Query(
            whose(request),
            name_of(request, "stream"),
            name_of(request, "kind"),
            whole_of(request, "from_ns", -INT64),
            whole_of(request, "to_ns", -INT64),
        )

        def page(after: int, most: int) -> tuple[list[dict[str, Any]], int]:
            kept = self._records.page(query, after, most)
            return [_record(one) for one in kept], kept[-1].id if kept else after

        return await paged(request, "records", page)

    async def _list_sets(self, request: Request) -> Response:
        state = request.query_params.get("state")
        if state not in (None, *STATES):
            raise Refused(400, f"state: expected {' or '.join(STATES)}, got {state!r:.80}")
        query = SetQuery(
            whose(request),
            name_of(request, "stream"),
            name_of(request, "name"),
            whole_of(request, "from_ns", -INT64),
            whole_of(request, "to_ns", -INT64),
            closed=None if state is None else STATES[state],
        )

        def page(after: int, most: int) -> tuple[list[dict[str, Any]], int]:
            kept = [] if self._sets is None else self._sets.sets(query, after, most)
            return [_set(one) for one in kept], kept[-1].id if kept else after

        return await paged(request, "sets", page)

    async def _list_artefacts(self, request: Request) -> Response:
        wanted = whose(request), name_of(request, "stream"), name_of(request, "kind")
        from_s, to_s = seconds_between(request)
        keeping = self._keeping

        def page(after: int, most: int) -> tuple[list[dict[str, Any]], int]:
            kept: list[KeptArtefact] = []
            if keeping is not None:
                kept = keeping.artefacts(*wanted, after, most, from_s=from_s, to_s=to_s)
            return [_artefact(one) for one in kept], kept[-1].id if kept else after

        return await paged(request, "artefacts", page)

    async def _data(self, request: Request) -> Response:
        text = request.path_params["id"]
        id_ = int(text) if text.isdecimal() and text.isascii() and len(text) < 19 else -1
        kept = None
        if self._keeping is not None:
            kept = await run_in_threadpool(self._keeping.artefact, id_)
        if kept is None or self._keeping is None:
            raise Refused(404, f"there is no artefact {text!r:.40}")
        whose(request, kept.device)
        headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
        return FileResponse(
            self._keeping.data(kept), media_type="application/octet-stream", headers=headers
        )


def _record(kept: KeptRecord) -> dict[str, Any]:
    return {
        **kept.name._asdict(),
        "stamp_ns": kept.stamp_ns,
        "committed_s": kept.committed_s,
        "body": _plain(kept.body),
    }


def _set(kept: KeptSet) -> dict[str, Any]:
    values = {name: getattr(kept, name) for name in kept.__dataclass_fields__}
    del values["id"]
    return {**values, **kept.name._asdict(), "state": "closed" if kept.closed else "open"}


def _artefact(kept: KeptArtefact) -> dict[str, Any]:
    return {name: getattr(kept, name) for name in kept.__dataclass_fields__}


def _plain(value: Any) -> Any:
    """As JSON knows it; bytes become {"base64": …}."""
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
