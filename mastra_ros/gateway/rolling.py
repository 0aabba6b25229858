"""Bundles to devices: `/v1/rollouts`, and what moves them on.

The bundles that may be rolled out lie in `gateway.rollouts_dir`. One roll-out runs at a time; how
far it is stands in the book, with an audit of every step, before any device hears of it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..artefacts import BYTES_MAX, NAME, Artefact
from ..config import GatewayConfig
from ..errors import ConfigError, ModelError, RecordError
from ..inference import Bundle
from ..inference.packing import pack_bundle
from ..protocol.checks import is_name
from .applications.keeping import Keeping
from .asking import Refused, answered, json_of, whole_of
from .changing import operator_of, person_of
from .clients import CLIENT
from .latecomers import Late
from .rollable import Rollable
from .steering import ROLLOUTS_KEPT, Limits, Rollout, SteeringBook, Wanted, to_plain
from .watching import Watching

logger = logging.getLogger(__name__)

BODY_BYTES_MAX = 262_144
APPLICATION = "rollout"
"""Who gives the artefacts."""
KIND = "bundle"
ARCHIVE = "application/zip"
NEW_LABELS = "application/zip; labels=fit"
"""Where the labels are those of the part of this gateway, whatever the device's were."""
BACK = "application/vnd.mastra.back"
"""No bundle, but the request to take the one before."""
STEP_S = 1.0


class Rolling:
    """Handlers of the paths, and the roll-out that runs; of the loop, with the disk in threads.

    labels(name): of the model that answers the devices with a bundle of this name, and the pair of
    its split; None where there is none. devices(): all that have a key.
    """

    def __init__(
        self,
        config: GatewayConfig,
        book: SteeringBook,
        keeping: Keeping,
        watching: Watching,
        *,
        served: Callable[[str], tuple[tuple[str, ...], str] | None],
        devices: Callable[[], Iterable[str]],
        on_change: Callable[[Rollout], None] = lambda _: None,
    ) -> None:
        self._config = config
        self._book = book
        self._keeping = keeping
        self._watching = watching
        self._served = served
        self._devices = devices
        self._on_change = on_change
        self._rollable = Rollable(config.rollouts_dir, Path(keeping.folder))
        kept = book.rollouts()
        self._current = next((one for one in kept if one.active), None)
        self._done = [one for one in kept if one.phase == "done"]  # the newest first
        self._late = watching.latecomers(self._done)
        self._given: set[tuple[int, str, str, str]] = set()
        # Steps and what is asked for take turns, or one would undo what the other has kept.
        self._turn = asyncio.Lock()

    def routes(self) -> list[Route]:
        """The routes."""
        return [
            Route("/v1/rollouts", answered(self._list)),
            Route("/v1/rollouts", answered(self._begin), methods=["POST"]),
            Route("/v1/rollouts/{id:int}/back", answered(self._back), methods=["POST"]),
            Route("/v1/rollouts/{id:int}/pause", answered(self._pause), methods=["POST"]),
            Route("/v1/rollouts/{id:int}/resume", answered(self._pause), methods=["POST"]),
        ]

    async def step(self) -> None:
        """Look at the devices and go on. Raises StoreError; then nothing has changed."""
        async with self._turn:
            await self._step()
            await self._give_late()

    async def _step(self) -> None:
        before = self._current
        if before is None:
            return
        now_s = time.time()
        after = before.step(self._watching.seen(before, now_s), now_s)
        if before.phase == "back":  # it is at its end only when it is left for every device
            await run_in_threadpool(self._give, after, self._watching.streams(after.told))
        if after != before:
            await self._keep(before, after, "gateway", "gateway", now_s)
        try:
            await run_in_threadpool(self._give, after, self._watching.streams(after.told))
        except (ModelError, RecordError) as error:
            if after.phase == "back":
                raise
            gone = after.go_back(str(error)[:300], now_s)
            await self._keep(after, gone, "gateway", "gateway", now_s)
            return
        if not after.active:
            self._current = None

    async def _keep(
        self, before: Rollout, after: Rollout, who: str, role: str, now_s: float
    ) -> None:
        await run_in_threadpool(
            lambda: self._book.keep_rollout(before, after, who=who, role=role, now_s=now_s)
        )
        self._current = after
        if after.phase != before.phase:
            self._done = [one for one in self._done if one.id != after.id]
            if after.phase == "done":
                self._done.insert(0, after)
            self._late.know(self._done)
            logger.warning(
                "rollout %d of %s: %s %s", after.id, after.name, after.phase, after.reason
            )
            self._on_change(after)

    async def _give_late(self) -> None:
        """Give devices that were away, or came after it, the newest roll-out that is done."""
        self._watching.look()
        now_s = time.time()
        late = self._late.find({} if self._current is None else self._current.told, now_s)
        for rollout in self._done:
            own = [one for one in late if one.rollout.id == rollout.id]
            if own:
                await run_in_threadpool(self._give_to, rollout, own, now_s)

    def _give_to(self, rollout: Rollout, late: Iterable[Late], now_s: float) -> None:
        """Each once: who has been given it and has another one has left it by itself."""
        given = self._keeping.streams_given(APPLICATION, KIND, rollout.mark)
        for one in late:
            mark = (rollout.id, one.device, one.stream, "new")
            if mark in self._given or (one.device, one.stream) in given:
                self._given.add(mark)
                continue
            outcome = "given, late"
            try:
                packed = self._packed(rollout)
                if one.joined and one.device not in rollout.told:
                    rollout = self._join(rollout, one.device, now_s)
                self._put(rollout, one.device, one.stream, "new", packed)
            except (ModelError, RecordError) as error:
                outcome = f"not given, late: {error}"[:300]
                logger.error("rollout %d: %s: %s", rollout.id, one.device, outcome)
            self._given.add(mark)
            self._book.note(
                *("rollout", one.device, rollout.name, None, rollout.digest, outcome),
                who="gateway",
                role="gateway",
                now_s=now_s,
            )

    def _join(self, rollout: Rollout, device: str, now_s: float) -> Rollout:
        """One of its devices from now on: where it is taken back, so is this device's."""
        after = rollout.join(device, now_s)
        self._book.keep_rollout(after, after, who="gateway", role="gateway", now_s=now_s)
        self._done = [after if one.id == after.id else one for one in self._done]
        return after

    def _packed(self, rollout: Rollout) -> bytes:
        bundle = self._rollable.open(rollout.source)
        if bundle.digest != rollout.digest:
            raise ModelError(f"bundle {rollout.source} has changed since it was rolled out")
        return pack_bundle(bundle)

    def _put(self, rollout: Rollout, device: str, stream: str, what: Wanted, data: bytes) -> None:
        fits = self._served(rollout.name) is not None
        self._keeping.put(
            APPLICATION,
            Artefact(
                *(KIND, rollout.name, data),
                version=rollout.mark,
                media_type=BACK if what == "back" else NEW_LABELS if fits else ARCHIVE,
                device=device,
                stream=stream,
            ),
            2 * rollout.id + (what == "back"),
            0,
        )

    def _give(self, rollout: Rollout, streams: Mapping[str, Iterable[str]]) -> None:
        """Leave for each device what it should have; what was left before is left alone."""
        packed = b""
        wanted = rollout.wanted()
        known = {device: set(streams.get(device, ())) for device in wanted}
        if "back" in wanted.values():  # who was given it may not have been heard since a restart
            for device, stream in self._keeping.streams_given(APPLICATION, KIND, rollout.mark):
                known.setdefault(device, set()).add(stream)
        for device, what in wanted.items():
            for stream in sorted(known[device]):
                one = (rollout.id, device, stream, what)
                if one in self._given:
                    continue
                if what == "new" and not packed:
                    packed = self._packed(rollout)
                data = packed if what == "new" else rollout.digest.encode()
                self._put(rollout, device, stream, what, data)
                self._given.add(one)

    async def _list(self, request: Request) -> Response:
        if request.scope.get(CLIENT) is None:
            raise Refused(403, "roll-outs are for clients")
        most = whole_of(request, "limit", 1, ROLLOUTS_KEPT) or ROLLOUTS_KEPT
        kept = await run_in_threadpool(self._book.rollouts)
        bundles = await run_in_threadpool(self._rollable.names)
        told = [to_plain(one) for one in kept[:most]]
        return JSONResponse({"rollouts": told, "bundles": bundles, "now_s": time.time()})

    async def _begin(self, request: Request) -> Response:
        client = operator_of(request)
        who = person_of(request, client)
        asked = await _body(request)
        if self._current is not None:
            raise Refused(409, f"roll-out {self._current.id} of {self._current.name} is under way")
        try:
            bundle = await run_in_threadpool(self._rollable.open, str(asked.get("bundle", "")))
            self._check_fits(bundle)
            size = sum(part.path.stat().st_size for part in bundle.parts.values())
            if size > BYTES_MAX - 2**20:
                raise ModelError(f"expected a bundle of at most {BYTES_MAX} bytes, got {size}")
            devices = await run_in_threadpool(self._asked_devices, asked.get("devices"))
            make = self._maker(asked, bundle, devices, who)
            make(1)
        except (ConfigError, ModelError, RecordError, OSError, TypeError) as error:
            text = " ".join(str(error).split())[:300]
            await run_in_threadpool(self._note_refusal, asked, text, who, client.role)
            raise Refused(422, text) from None
        async with self._turn:
            if self._current is not None:  # somebody else was faster
                raise Refused(409, "a roll-out is under way")
            self._current = rollout = await run_in_threadpool(
                lambda: self._book.begin_rollout(make, role=client.role)
            )
        return JSONResponse(to_plain(rollout), 201)

    async def _back(self, request: Request) -> Response:
        client = operator_of(request)
        who, number = person_of(request, client), int(request.path_params["id"])
        async with self._turn:
            return await self._take_back(who, client.role, number)

    async def _take_back(self, who: str, role: str, number: int) -> Response:
        kept = await run_in_threadpool(self._book.rollouts)
        # Of what devices have now only the latest one can be taken back.
        before = self._current or (kept[0] if kept else None)
        if before is None or before.id != number:
            known = any(one.id == number for one in kept)
            text = f"roll-out {number} is not the latest" if known else f"no roll-out {number}"
            raise Refused(409 if known else 404, text)
        now_s = time.time()
        after = before.go_back(f"asked by {who}", now_s)
        if after == before:
            raise Refused(409, f"roll-out {number} goes or went back already: {before.reason}")
        await self._keep(before, after, who, role, now_s)
        return JSONResponse(to_plain(after))

    async def _pause(self, request: Request) -> Response:
        client = operator_of(request)
        who, number = person_of(request, client), int(request.path_params["id"])
        paused = request.url.path.endswith("/pause")
        async with self._turn:
            before = self._current
            if before is None or before.id != number:
                raise Refused(409, f"roll-out {number} is not under way")
            now_s = time.time()
            after = before.pause(now_s, paused=paused)
            if after == before:
                what = "goes back" if before.phase == "back" else "is as it is asked to be"
                raise Refused(409, f"roll-out {number} {what} already")
            await self._keep(before, after, who, client.role, now_s)
            return JSONResponse(to_plain(after))

    def _check_fits(self, bundle: Bundle) -> None:
        """ModelError unless what this gateway answers means the same as what the bundle says."""
        served = self._served(bundle.name)
        if not NAME.fullmatch(bundle.name):
            raise ModelError(f"bundle: name: expected {NAME.pattern}, got {bundle.name!r:.80}")
        if "local" not in bundle.parts:
            raise ModelError(f"bundle {bundle.name} has no part local, which devices run")
        if served is None:
            return
        labels, pair = served
        if labels != bundle.labels:
            raise ModelError(
                f"bundle {bundle.name}: labels {', '.join(bundle.labels):.80}, and this "
                f"gateway's part has {', '.join(labels):.80}"
            )
        if bundle.split is not None and pair and bundle.split.pair != pair:
            raise ModelError(f"bundle {bundle.name}: its head does not fit this gateway's tail")

    def _asked_devices(self, asked: Any) -> tuple[str, ...]:
        known = sorted(self._devices())
        if asked is None:
            return tuple(known)
        if not isinstance(asked, list) or not all(isinstance(one, str) for one in asked):
            raise ConfigError("devices: expected a list of names")
        if strange := sorted(set(asked) - set(known)):
            raise ConfigError(f"devices: there is no device {strange[0]!r:.80}")
        return tuple(asked)

    def _maker(
        self, asked: Mapping[str, Any], bundle: Bundle, devices: tuple[str, ...], who: str
    ) -> Callable[[int], Rollout]:
        config, now_s = self._config, time.time()
        limits = {
            "agreement_min": config.rollout_agreement_min,
            "age_p99_ms_max": config.rollout_age_p99_ms_max,
            "errors_max": config.rollout_errors_max,
            "switch_s": config.rollout_switch_s,
        }
        own = asked.get("limits", {})
        stages = asked.get("stages")
        if not isinstance(own, dict) or set(own) - set(limits):
            raise ConfigError(f"limits: expected some of {', '.join(limits)}")
        more: dict[str, Any] = {}
        if stages is not None:
            numbers = isinstance(stages, list) and all(type(one) in (int, float) for one in stages)
            if not numbers or len(stages) > 20:
                raise ConfigError("stages: expected a list of at most 20 shares")
            more["stages"] = tuple(float(one) for one in stages)
        return lambda number: Rollout(
            *(number, asked["bundle"], bundle.name, bundle.version, bundle.digest),
            *(devices, who, now_s),
            soak_s=asked.get("soak_s", config.rollout_soak_s),
            limits=Limits(**{**limits, **own}),
            changed_s=now_s,
            everyone=asked.get("devices") is None,
            **more,
        )

    def _note_refusal(self, asked: Mapping[str, Any], why: str, who: str, role: str) -> None:
        name = f"{asked.get('bundle', '')!r:.60}"
        self._book.note(
            *("rollout", "", name, None, None, f"refused: {why}"),
            who=who,
            role=role,
            now_s=time.time(),
        )


async def _body(request: Request) -> dict[str, Any]:
    told = await json_of(request, BODY_BYTES_MAX)
    known = {"bundle", "devices", "stages", "soak_s", "limits"}
    if not isinstance(told, dict) or set(told) - known or not is_name(str(told.get("bundle", ""))):
        raise Refused(400, 'expected {"bundle": NAME}, and perhaps devices, stages, soak_s, limits')
    return told
