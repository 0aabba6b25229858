"""The ASGI application: routes, and the parts of the gateway behind them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from ..config import GatewayConfig
from ..errors import StoreError
from .auth import DEVICE, Allowlist, Gatekeeper, PublicKeys
from .bodies import ReadOn
from .frames import Frames
from .metrics import Metrics
from .models import Models
from .references import PacketDecoder, References
from .sessions import Sessions
from .settings import device_settings
from .sqlite_store import SqliteStore
from .store import ResultStore
from .stream import StreamSession
from .v2 import OpenInference

logger = logging.getLogger(__name__)

WORKERS = 2
"""Threads that decode frames and look up results; the runtimes of models have their own."""
GOODBYE_S = 3.0


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
    ) -> None:
        self._config = config
        self._software = software
        self._settings = device_settings(config.device_settings)
        self._executor = ThreadPoolExecutor(WORKERS, thread_name_prefix="frames")
        self.metrics = metrics
        self.models = models
        self.store = store
        self.sessions = Sessions(config.sessions_max)
        self.frames = Frames(
            store=store,
            references=References(
                make_decoder,
                self._executor,
                streams_max=config.streams_kept,
                bytes_max=config.references_bytes_max,
            ),
            models=models,
            metrics=metrics,
            executor=self._executor,
            frames_max=config.queue_frames_max + config.batch_size_max,
            pixels_max=config.pixels_max,
        )
        self._v2 = OpenInference(models, self._executor, config.body_bytes_max)

    def app(self, keys_dir: Path) -> ASGIApp:
        """The application, which lets in the devices whose public keys are in `keys_dir`."""
        starlette = Starlette(
            routes=[
                Route("/healthz", self._health),
                Route("/metrics", self._show_metrics),
                WebSocketRoute("/v1/stream", self._stream),
                *self._v2.routes(),
            ],
            exception_handlers={HTTPException: _no_such_path, Exception: _fault},
        )
        guarded = Gatekeeper(
            starlette,
            keys=PublicKeys(keys_dir),
            audience=self._config.audience,
            allowlist=Allowlist(self._config.allow),
            metrics=self.metrics,
        )
        return ReadOn(guarded, body_bytes_max=self._config.body_bytes_max)

    async def close(self) -> None:
        """Say goodbye to devices, finish what the models have in work, keep its results."""
        await self.sessions.close(GOODBYE_S)
        # First the models, which refuse those that wait, so that few frames are left to finish.
        await self.models.close()
        await self.frames.close()
        await asyncio.to_thread(self.store.close)
        self._executor.shutdown()

    async def _health(self, _: Request) -> Response:
        """200 when frames can be worked on and kept, else 503; open to everybody."""
        try:
            self.store.check()
        except StoreError:
            return JSONResponse({"status": "error", "store": "error"}, 503)
        if self.sessions.closing:
            return JSONResponse({"status": "closing", "store": "ok"}, 503)
        return JSONResponse({"status": "ok", "store": "ok", "models": list(self.models.names)})

    async def _show_metrics(self, _: Request) -> Response:
        text = await asyncio.get_running_loop().run_in_executor(self._executor, self.metrics.text)
        return Response(text, media_type=self.metrics.content_type)

    async def _stream(self, websocket: WebSocket) -> None:
        device: str = websocket.scope[DEVICE]
        if self.sessions.full:
            logger.warning("%s: refused, %d sessions are open", device, len(self.sessions))
            refusal = JSONResponse({"error": "no more sessions"}, 503, {"Retry-After": "1"})
            await websocket.send_denial_response(refusal)
            return
        session = StreamSession(
            websocket,
            device,
            config=self._config,
            frames=self.frames,
            sessions=self.sessions,
            metrics=self.metrics,
            software=self._software,
            settings=self._settings,
        )
        await session.run()


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


def open_store(config: GatewayConfig, folder: Path, metrics: Metrics) -> SqliteStore:
    """The database of results in `folder`; StoreError when it cannot be used."""
    return SqliteStore(
        folder,
        results_max=config.results_max,
        age_max_s=config.results_age_max_s,
        on_commit=metrics.on_commit,
    )
