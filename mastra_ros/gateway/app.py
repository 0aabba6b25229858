"""The ASGI application: routes, and the parts of the gateway behind them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from ..config import GatewayConfig
from ..errors import StoreError
from .alarms import Webhook
from .alerting import Alerting
from .answering import Answering
from .applications.artefact_desk import ArtefactDesk
from .applications.figures import ApplicationFigures
from .applications.hosts import Applications
from .auth import PERMIT, Gatekeeper, Permit, PublicKeys
from .bodies import ReadOn
from .cargo import CargoDesks
from .changing import Changing
from .clients import ClientDoor
from .door.logs import Sparing
from .express import Express
from .frames import Frames
from .grpc_calls import Calls
from .grpc_server import GrpcServer
from .memory import Memory, resident_bytes, return_to_system
from .metrics import Metrics
from .models import Models
from .picturing import Picturing
from .questioning import Questioning
from .reading import CHANGED, PATHS, Reading
from .reading_devices import DeviceReading
from .records import MemoryRecordStore, RecordDesk, RecordStore
from .references import PacketDecoder, References, references_bytes_max
from .rolling import STEP_S, Rolling
from .sessions import Sessions
from .settings import device_settings
from .steering import SteeringBook
from .store import ResultStore
from .stream import StreamSession
from .used_tokens import UsedTokens
from .v2 import OpenInference
from .vitals import Vitals
from .watching import Watching

logger = logging.getLogger(__name__)

WORKERS = 2
"""Threads that decode frames and look up results; the runtimes of models have their own."""
NICE = 10
"""Of the thread of large pictures: it takes what the others leave."""
GOODBYE_S = 3.0
WATCH_S = 0.5
"""Keys, permits and the memory of the process are looked at this often."""


class Gateway:
    """Everything behind the routes; made and closed inside the event loop."""

    def __init__(
        self,
        config: GatewayConfig,
        *,
        models: Models,
        store: ResultStore,
        metrics: Metrics,
        make_decoder: Callable[[], PacketDecoder],
        software: str = "",
        records: RecordStore | None = None,
        applications: Applications | None = None,
        book: SteeringBook | None = None,
        webhook: Webhook | None = None,
        state: Path = Path(),
    ) -> None:
        self._logs = Sparing(logger)
        self._config = config
        self._software = software
        self._defaults = device_settings(config.device_settings)
        self._book = book
        self._changing: Changing | None = None
        self._rolling: Rolling | None = None
        self._executor = ThreadPoolExecutor(WORKERS, thread_name_prefix="frames")
        self._heavy = ThreadPoolExecutor(
            1, thread_name_prefix="large-frames", initializer=_yield_to_others
        )
        self.metrics = metrics
        self.models = models
        self.store = store
        self.records = records or MemoryRecordStore()
        self._applications = applications
        if applications is not None:
            metrics.registry.register(ApplicationFigures(applications))
        self._questioning = Questioning(applications)
        self._cargo = CargoDesks(
            RecordDesk(self.records, metrics.on_record),
            None if applications is None else ArtefactDesk(applications.keeping),
            None if applications is None else applications.sets,
            on_status=metrics.on_status,
            on_set_frame=metrics.on_set_frame,
        )
        self._alerting = Alerting(
            self._cargo.statuses,
            self._cargo.hearing,
            metrics,
            webhook,
            state=state,
            connected=lambda: self.sessions.streams,
            look=self._look_at_hearing,
        )
        self.sessions = Sessions(config.sessions_max, config.sessions_device_max)
        references = References(
            make_decoder,
            self._executor,
            streams_max=config.streams_kept,
            heavy=self._heavy,
            bytes_max=references_bytes_max(config),
        )
        looked = self._cargo.looked
        self._picturing = Picturing(references, store, self._heavy, looked, self._ask_pictures)
        self.memory = Memory(config.memory_bytes_max, references)
        self._gatekeeper: Gatekeeper | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._mover: asyncio.Task[None] | None = None
        self.frames = Frames(
            store=store,
            references=references,
            models=models,
            metrics=metrics,
            executor=self._executor,
            frames_max=config.queue_frames_max + config.batch_size_max,
            pixels_max=config.pixels_max,
            memory=self.memory,
            logs=self._logs,
            live=None if applications is None else applications.live,
        )
        self.answering = Answering(
            models,
            self._executor,
            memory=self.memory,
            pixels_max=config.pixels_max,
            model_silence_s=config.model_silence_s,
        )
        self._v2 = OpenInference(self.answering, config.body_bytes_max)
        self._vitals = Vitals(
            metrics, models, software=software, sessions=lambda: len(self.sessions.streams)
        )

    def app(self, keys_dir: Path, audiences: Collection[str], used: UsedTokens | None) -> ASGIApp:
        """The application, which lets in the devices whose public keys are in `keys_dir`."""
        starlette = Starlette(
            routes=[
                Route("/healthz", self._health),
                Route("/metrics", self._show_metrics),
                WebSocketRoute("/v1/stream", self._stream),
                *self._v2.routes(),
                *self._steering(PublicKeys(keys_dir)),
                *self._reading(PublicKeys(keys_dir)),
                *self._picturing.routes(),
                *self._questioning.routes(),
                *self._vitals.routes(),
            ],
            exception_handlers={HTTPException: _no_such_path, Exception: _fault},
        )
        self._gatekeeper = Gatekeeper(
            starlette,
            keys=PublicKeys(keys_dir),
            audiences=audiences,
            metrics=self.metrics,
            replay=used,
            logs=self._logs,
        )
        self._watcher = asyncio.ensure_future(self._watch(resident_bytes()))
        self._mover = asyncio.ensure_future(self._move_rollouts())
        if self._applications is not None:
            loop = asyncio.get_running_loop()
            self._applications.keeping.listen(
                lambda *whose: loop.call_soon_threadsafe(self._wake_cargo, *whose)
            )
        door = ClientDoor(
            self._gatekeeper,
            starlette,
            keys_dir=keys_dir,
            paths=(*PATHS, *self._questioning.paths),
            changed=CHANGED,
            logs=self._logs,
        )
        return ReadOn(door, body_bytes_max=self._config.body_bytes_max)

    def express(self) -> Express:
        """The short way of small requests, once there is an app."""
        assert self._gatekeeper is not None
        return Express(self.answering, self._gatekeeper, self._v2.bodies)

    def grpc(self) -> GrpcServer:
        """The same models over gRPC, once there is an app. Raises DependencyError."""
        assert self._gatekeeper is not None
        return GrpcServer(
            Calls(self.answering), self._gatekeeper, self._config.body_bytes_max, self._v2.bodies
        )

    async def close(self) -> bool:
        """Say goodbye to devices, finish what the models have in work, keep its results.

        False when a model does not answer, whose thread goes on: the process must be ended.
        """
        await self.sessions.close(GOODBYE_S)
        # First the models, which refuse those that wait, so that few frames are left to finish.
        silent = await self.models.close(self._config.model_silence_s)
        if silent:
            logger.error("not waited for: model %s does not answer", ", ".join(silent))
        await self.frames.close()
        for task in filter(None, (self._watcher, self._mover)):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await asyncio.to_thread(self._alerting.close)
        await asyncio.to_thread(self.store.close)
        if self._applications is not None:
            await asyncio.to_thread(self._applications.close)
        await asyncio.to_thread(self.records.close)
        if self._book is not None:
            await asyncio.to_thread(self._book.close)
        self._executor.shutdown()
        self._heavy.shutdown()
        return not silent

    async def _watch(self, models_bytes: int) -> None:
        """End the sessions of keys that are gone, and keep within the memory allowed."""
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                self._look_at_keys()
                if self.memory.squeeze(max(0, resident_bytes() - models_bytes)):
                    await asyncio.to_thread(return_to_system)
                self._logs.flush()
            except Exception:  # nothing that is found may end the watch
                logger.exception("the watch failed")

    async def _move_rollouts(self) -> None:
        """Look at alarms, and at the roll-out that is under way, if there is one."""
        while True:
            await asyncio.sleep(STEP_S)
            try:
                self._alerting.step()
                if self._rolling is not None:
                    await self._rolling.step()
            except Exception as error:  # it is tried again
                self._logs.warning("rollout", "alarms and the roll-out do not go on: %s", error)

    def _reading(self, keys: PublicKeys) -> list[Route]:
        keeping = None if self._applications is None else self._applications.keeping
        devices = DeviceReading(
            self._cargo.statuses,
            self._cargo.hearing,
            devices=lambda: keys,
            connected=lambda: self.sessions.streams,
            look=self._look_at_hearing,
        )
        reading = Reading(self.records, keeping, self._cargo.sets)
        return [*reading.routes(), *devices.routes()]

    def _look_at_hearing(self) -> None:
        for session in self.sessions:
            if isinstance(session, StreamSession):
                session.tell_hearing()

    def _steering(self, keys: PublicKeys) -> list[Route]:
        if self._book is None:
            return []
        self._changing = Changing(
            self._book, defaults=self._defaults, push=self._push, knows=lambda name: name in keys
        )
        if self._applications is None:
            return self._changing.routes()
        self._rolling = Rolling(
            self._config,
            self._book,
            self._applications.keeping,
            Watching(self._cargo.statuses, self._cargo.hearing, self._look_at_hearing),
            served=self.models.promise,
            devices=lambda: keys,
            on_change=self._alerting.on_rollout,
        )
        return [*self._changing.routes(), *self._rolling.routes()]

    def _push(self, device: str, values: Mapping[str, Any]) -> bool:
        """Ask a device that is connected to set these; False where none of its sessions is."""
        sessions = [
            session
            for session in self.sessions
            if isinstance(session, StreamSession) and session.permit.device == device
        ]
        asked = [session.ask(values) for session in sessions]
        return any(asked)

    def _wake_cargo(self, device: str, stream: str) -> None:
        """There is an artefact for a device."""
        for session in self.sessions:
            if isinstance(session, StreamSession) and session.cargo is not None:
                session.cargo.wake(device, stream)

    def _ask_pictures(self, device: str, lease_ms: int) -> None:
        for session in self.sessions:
            if isinstance(session, StreamSession) and session.permit.device == device:
                session.wish_for_pictures(lease_ms)

    def _look_at_keys(self) -> None:
        assert self._gatekeeper is not None
        reasons: dict[Permit, str] = {}
        for session in self.sessions:
            if isinstance(session, StreamSession):
                permit = session.permit
                if permit not in reasons:
                    reasons[permit] = self._gatekeeper.withdrawn(permit)
                if reasons[permit]:
                    session.end("forbidden", reasons[permit])

    async def _health(self, _: Request) -> Response:
        """200 when frames can be worked on and kept, else 503; open to everybody."""
        try:
            self.store.check()
        except StoreError:
            return JSONResponse({"status": "error", "store": "error"}, 503)
        if self.sessions.closing:
            return JSONResponse({"status": "closing", "store": "ok"}, 503)
        silent = self.models.silent(self._config.model_silence_s)
        if silent:
            return JSONResponse({"status": "error", "store": "ok", "silent": list(silent)}, 503)
        return JSONResponse({"status": "ok", "store": "ok", "models": list(self.models.names)})

    async def _show_metrics(self, _: Request) -> Response:
        text = await asyncio.get_running_loop().run_in_executor(self._executor, self.metrics.text)
        return Response(text, media_type=self.metrics.content_type)

    async def _stream(self, websocket: WebSocket) -> None:
        permit: Permit = websocket.scope[PERMIT]
        why = self.sessions.refuses(permit.device)
        if why:
            self._logs.warning("sessions", "%s: refused, %s", permit.device, why)
            refusal = JSONResponse({"error": f"no more sessions: {why}"}, 503, {"Retry-After": "1"})
            await websocket.send_denial_response(refusal)
            return
        assert self._gatekeeper is not None
        changing = self._changing
        session = StreamSession(
            websocket,
            permit.device,
            config=self._config,
            frames=self.frames,
            sessions=self.sessions,
            metrics=self.metrics,
            software=self._software,
            settings=self._defaults if changing is None else changing.wanted(permit.device),
            permit=permit,
            renew=self._gatekeeper.renew,
            memory=self.memory,
            logs=self._logs,
            cargo=self._cargo,
        )
        await session.run()


def _yield_to_others() -> None:
    """Let the scheduler of the system prefer all other threads to this one."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


async def _no_such_path(request: Request, error: Exception) -> Response:
    """404 and 405 as JSON, which clients of the protocol expect of every answer."""
    assert isinstance(error, HTTPException)
    path = f"{request.url.path!r:.100}"
    text = {
        404: f"there is nothing at {path}",
        405: f"{path} takes no {request.method:.20}",
    }.get(error.status_code, error.detail)
    return JSONResponse({"error": text}, error.status_code, error.headers)


async def _fault(_: Request, error: Exception) -> Response:
    """A fault of ours; what it was stands in the log."""
    return JSONResponse({"error": f"a fault of the gateway ({type(error).__name__})"}, 500)
