"""The newest picture of a device, with what was found in it: `/v1/devices/NAME/picture`.

No picture is kept for this but while somebody looks: then the decoder of each of its streams holds
on to the frame that it decoded last, and a device whose frames do not come is asked to show what it
sees, now and then. What a device has sent was cleared by its gate of privacy before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor

import cv2
import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..compression import Decoder
from ..errors import MastraError
from ..pictures import eight_bits
from ..pipeline.overlay import Image, draw_boxes
from ..protocol import ResultMessage
from ..protocol.checks import is_name
from ..protocol.envelope import decode
from ..types import Frame, Packet
from .asking import Refused, answered, whose
from .group import STORED_BYTES_MAX
from .looking import LEASE_S, SIDE_PX_MAX, Ask, LookedAt
from .references import References
from .store import FrameId, ResultStore

FRESH_S = 1.0
"""A device of which a frame was decoded so lately is asked for no pictures beside."""
SHOWN_PX_MAX = 640
JPEG_QUALITY = 75
RESULT_S, STEP_S = 0.5, 0.05
"""How long the result of the picture is waited for."""
CODES = {"mono8": cv2.COLOR_GRAY2BGR, "rgb8": cv2.COLOR_RGB2BGR}


class Picturing:
    """Handler of the path; pictures are made in `executor`, which yields to frames."""

    def __init__(
        self,
        references: References,
        store: ResultStore,
        executor: Executor,
        looked: LookedAt,
        ask: Ask,
    ) -> None:
        self._references = references
        self._store = store
        self._executor = executor
        self._looked = looked
        self._ask = ask
        self._turn = asyncio.Semaphore(1)

    def routes(self) -> list[Route]:
        """The route."""
        return [Route("/v1/devices/{device}/picture", answered(self._show))]

    async def _show(self, request: Request) -> Response:
        device = str(request.path_params["device"])
        if not is_name(device):
            raise Refused(404, f"there is no device {device!r:.80}")
        whose(request, device)
        now_s = time.monotonic()
        frame = self._references.look(device, now_s)
        decoded_s = self._references.looked_at_s(device)
        if now_s - decoded_s > FRESH_S and self._looked.look(device, now_s):
            self._ask(device, int(LEASE_S * 1e3))
        shown = self._looked.newest(device, now_s)
        if shown is not None and (frame is None or shown.at_s > decoded_s):
            if shown.packet is None:
                told = {"error": f"the device shows none: {shown.withheld}"}
                return JSONResponse({**told, "withheld": shown.withheld}, 404)
            return await self._answer(self._redraw, shown.packet)
        if frame is None:
            raise Refused(404, "no frame has come since somebody looks; ask again")
        return await self._answer(self._draw, device, frame)

    async def _answer(self, make: Callable[..., bytes], *args: object) -> Response:
        async with self._turn:  # who looks waits, and not the frames
            loop = asyncio.get_running_loop()
            jpeg = await loop.run_in_executor(self._executor, make, *args)
        return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "no-store"})

    def _redraw(self, packet: Packet) -> bytes:
        """What a device shows, decoded and encoded here: no browser is given a device's bytes."""
        try:
            frame = Decoder(0, SIDE_PX_MAX * SIDE_PX_MAX, video=False).decode(packet)
            return _jpeg(_bgr(frame))
        except (MastraError, ValueError, cv2.error) as error:
            raise Refused(404, f"this picture cannot be shown: {error}"[:200]) from None

    def _draw(self, device: str, frame: Frame) -> bytes:
        try:
            canvas = _bgr(frame)
            found = self._result(FrameId(device, *frame.key))
            if found is not None:
                draw_boxes(canvas, found.to_result().detections)
            return _jpeg(canvas)
        except (MastraError, ValueError, cv2.error) as error:
            raise Refused(404, f"this picture cannot be shown: {error}"[:200]) from None

    def _result(self, name: FrameId) -> ResultMessage | None:
        """What was found in the frame; None where that takes too long."""
        until_s = time.monotonic() + RESULT_S
        while (record := self._store.find(name)) is None:
            if time.monotonic() > until_s:
                return None
            time.sleep(STEP_S)
        message = decode(record.data, STORED_BYTES_MAX)
        return message if isinstance(message, ResultMessage) else None


def _bgr(frame: Frame) -> Image:
    plain = eight_bits(frame)
    if plain.encoding == "bgr8":
        return np.array(plain.image, np.uint8)
    if plain.encoding not in CODES:
        raise ValueError(f"its encoding is {plain.encoding}")
    return np.asarray(cv2.cvtColor(plain.image, CODES[plain.encoding]), np.uint8)


def _jpeg(canvas: Image) -> bytes:
    scale = min(1.0, SHOWN_PX_MAX / max(canvas.shape[:2]))
    if scale < 1.0:
        smaller = cv2.resize(canvas, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        canvas = np.asarray(smaller, np.uint8)
    good, data = cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not good:
        raise ValueError("JPEG does not take it")
    return data.tobytes()
