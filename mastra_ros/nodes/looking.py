"""Pictures for who looks at this device: `look` -> cleared stills with what was found -> `seen`.

Nothing is heard of results, and no picture is made, but while somebody looks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from std_msgs.msg import Float32

from ..compression.view import ViewPace, encode_view
from ..errors import CodecError, Withheld
from ..msg import InferenceResult, Packet
from ..pipeline.overlay import Image, draw_boxes
from ..privacy import Gate
from ..types import Detections, Frame, FrameKey, Result
from . import convert
from .frames import STREAM
from .lifecycle import RELIABLE

if TYPE_CHECKING:
    from .lifecycle import StageNode

END_S = 1.0
"""Once in so long it is seen whether somebody still looks."""


class Shower:
    """Makes the pictures, in the thread that clears and encodes live frames.

    frame_of(key): a recent frame. do(task): has that thread do it, if it has nothing else to do;
    whether it will.
    """

    def __init__(
        self,
        node: StageNode,
        gate: Gate,
        *,
        frame_of: Callable[[FrameKey], Frame | None],
        do: Callable[[Callable[[], None]], bool],
    ) -> None:
        self._node = node
        self._gate = gate
        self._frame_of = frame_of
        self._do = do
        self._seen = node.advertise(Packet, "seen", RELIABLE)
        self._stop: Callable[[], None] | None = None  # ends hearing results
        self.pace = ViewPace()
        self.made = 0

    def start(self) -> None:
        """Hear who looks, until deactivation."""
        self._stop = None
        self._node.listen(Float32, "look", self._on_look, RELIABLE)
        self._node.every(END_S, self._end)

    def on_frame(self, frame: Frame) -> None:
        """A frame has come: it is shown as it is, where nothing is told of what is in frames."""
        if self.pace.due(time.monotonic(), plain=True):
            self._begin(frame, None)

    def _on_look(self, message: Float32) -> None:
        self.pace.wish(float(message.data), time.monotonic())
        if self._stop is None and self.pace.looked_at(time.monotonic()):
            self._stop = self._node.listen(InferenceResult, "result", self._on_result, RELIABLE)

    def _end(self) -> None:
        if self._stop is not None and not self.pace.looked_at(time.monotonic()):
            self._stop()
            self._stop = None

    def _on_result(self, message: InferenceResult) -> None:
        if not message.final or not self.pace.due(time.monotonic()):
            return
        result: Result = convert.result_from_ros(message, STREAM)
        frame = self._frame_of(result.key)
        if frame is not None:
            self._begin(frame, result.detections)

    def _begin(self, frame: Frame, found: Detections | None) -> None:
        if self._do(partial(self._show, frame, found)):
            self.pace.made(time.monotonic())

    def _show(self, frame: Frame, found: Detections | None) -> None:
        try:
            cleared = self._gate.clear(frame, late=True)
            packet = encode_view(cleared, partial(_draw, found))
        except (Withheld, CodecError) as error:
            text = f"withheld: {error}" if isinstance(error, Withheld) else str(error)
            header = convert.header_to_ros(frame.key, frame.frame_id)
            self._seen.publish(Packet(header=header, id=frame.key.id, meta=text[:256]))
            return
        self.made += 1
        self._seen.publish(convert.packet_to_ros(packet, frame.frame_id))


def _draw(found: Detections | None, canvas: Image, scale: float) -> None:
    if found is not None and len(found):
        boxes = found.boxes * scale
        draw_boxes(canvas, Detections(boxes, found.scores, found.classes, found.labels))
