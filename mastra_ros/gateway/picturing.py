"""The newest picture of a device, with what was found in it: `/v1/devices/NAME/picture`.

Nothing more is asked of the device, and no picture is kept for this but while somebody looks: then
the decoder of each of its streams holds on to the frame that it decoded last. What a device has
sent was cleared by its gate of privacy before.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Executor

import cv2
import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..errors import MastraError
from ..pictures import eight_bits
from ..pipeline.overlay import Image, draw_boxes
from ..protocol import ResultMessage
from ..protocol.checks import is_name
from ..protocol.envelope import decode
from ..types import Frame
from .asking import Refused, answered, whose
from .group import STORED_BYTES_MAX
from .references import References
from .store import FrameId, ResultStore

SIDE_PX_MAX = 640
JPEG_QUALITY = 75
RESULT_S, STEP_S = 0.5, 0.05
"""How long the result of the picture is waited for."""
CODES = {"mono8": cv2.COLOR_GRAY2BGR, "rgb8": cv2.COLOR_RGB2BGR}


class Picturing:
    """Handler of the path; pictures are made in `executor`, which yields to frames."""

    def __init__(self, references: References, store: ResultStore, executor: Executor) -> None:
        self._references = references
        self._store = store
        self._executor = executor
        self._turn = asyncio.Semaphore(1)

    def routes(self) -> list[Route]:
        """The route."""
        return [Route("/v1/devices/{device}/picture", answered(self._show))]

    async def _show(self, request: Request) -> Response:
        device = str(request.path_params["device"])
        if not is_name(device):
            raise Refused(404, f"there is no device {device!r:.80}")
        whose(request, device)
        frame = self._references.look(device, time.monotonic())
        if frame is None:
            raise Refused(404, "no frame has come since somebody looks; ask again")
        async with self._turn:  # who looks waits, and not the frames
            loop = asyncio.get_running_loop()
            jpeg = await loop.run_in_executor(self._executor, self._draw, device, frame)
        return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "no-store"})

    def _draw(self, device: str, frame: Frame) -> bytes:
        try:
            canvas = _bgr(frame)
            found = self._result(FrameId(device, *frame.key))
            if found is not None:
                draw_boxes(canvas, found.to_result().detections)
            scale = min(1.0, SIDE_PX_MAX / max(canvas.shape[:2]))
            if scale < 1.0:
                canvas = np.asarray(
                    cv2.resize(canvas, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA),
                    np.uint8,
                )
            good, data = cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        except (MastraError, ValueError, cv2.error) as error:
            raise Refused(404, f"this picture cannot be shown: {error}"[:200]) from None
        if not good:
            raise Refused(404, "this picture cannot be shown")
        return data.tobytes()

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
