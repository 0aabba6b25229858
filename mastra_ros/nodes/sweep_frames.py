"""Makes packets of the frames of a sweep, in a thread of their own, and hands them on in order.

What lies outside the region is black before the gate sees it, and only what the gate has cleared is
encoded: whole pictures, JPEG-LS, lossless unless an error is declared.
"""

from __future__ import annotations

import dataclasses
import queue
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..compression import Encoder
from ..compression.stills import JPEGLS
from ..config import CompressionConfig
from ..errors import CodecError, MastraError, Withheld
from ..pipeline.ultrasound.recorder import Step, Told
from ..pipeline.ultrasound.sweep import SweepBegin, SweepEnd, TrackedFrame
from ..privacy import Gate
from ..types import Frame, FrameKey, Packet
from .frames import STREAM

META = "ultrasound"
"""Key in the `meta` of a packet under which the place of its frame stands."""
WAITING_MAX = 300
"""Frames that may wait to be encoded: ten seconds."""
BUSY = "too many frames wait to be encoded"


class SweepSink(Protocol):
    """Takes a sweep towards the gateway; never waits for it."""

    def begin(self, begin: SweepBegin) -> None: ...

    def frame(self, frame: TrackedFrame, packet: Packet) -> None: ...

    def end(self, end: SweepEnd) -> None: ...


class SweepFrames:
    """Encodes what the recorder tells. `open_gate` is asked for the gate of each sweep."""

    def __init__(
        self,
        sink: SweepSink,
        open_gate: Callable[[SweepBegin], Gate],
        error_max: int,
        fault: Callable[[Exception], None],
    ) -> None:
        self._sink = sink
        self._open_gate = open_gate
        self._gate: Gate | None = None
        self._fault = fault
        self._encoder = Encoder(CompressionConfig(codec=JPEGLS, error_max=error_max), STREAM)
        self._encoder.peer((JPEGLS,))
        self._mask: NDArray[np.bool_] | None = None
        self._tasks: queue.SimpleQueue[Step[Frame] | None] = queue.SimpleQueue()
        self.told = 0
        self.bytes = 0
        self.refused: Counter[str] = Counter()
        self._refused_now: Counter[str] = Counter()  # of the sweep that goes on
        self._told_before = 0
        self._thread = threading.Thread(target=self._work, name="sweep", daemon=True)
        self._thread.start()

    def give(self, steps: list[Step[Frame]]) -> None:
        """From any thread; returns at once."""
        for step in steps:
            if isinstance(step, Told) and self._tasks.qsize() >= WAITING_MAX:
                self._refuse(BUSY)
            else:
                self._tasks.put(step)

    def stop(self) -> None:
        """Encode what waits, and end the thread."""
        self._tasks.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (step := self._tasks.get()) is not None:
            self._try(step)

    def _try(self, step: Step[Frame]) -> None:
        try:
            self._do(step)
        except (Withheld, CodecError) as error:
            self._refuse(str(error)[:80])
        except Exception as error:  # one frame; the sweep goes on
            self._refuse(type(error).__name__)
            self._fault(error)

    def _refuse(self, reason: str) -> None:
        self.refused[reason] += 1
        self._refused_now[reason] += 1

    def _do(self, step: Step[Frame]) -> None:
        if isinstance(step, Told):
            self._encode(step)
        elif isinstance(step, SweepBegin):
            self._mask = step.region.mask(step.width_px, step.height_px)
            self._gate = self._open_gate(step)
            self._told_before = self.told
            self._refused_now.clear()
            self._sink.begin(step)
        else:
            refused = Counter(step.refused) + self._refused_now
            told = self.told - self._told_before
            self._sink.end(dataclasses.replace(step, frames=told, refused=refused))

    def _encode(self, told: Told[Any]) -> None:
        frame, place = told.picture, told.frame
        if self._gate is None or self._mask is None:
            raise MastraError("a frame before its sweep has begun")
        image = np.where(self._mask, frame.image, 0).astype(np.uint8)
        key = FrameKey(STREAM, place.stamp_ns, f"{place.sweep}-{place.sequence}")
        cleared = self._gate.clear(Frame(key, image, "mono8", frame.frame_id))
        self._encoder.forget()
        packet = self._encoder.encode(cleared)
        packet = dataclasses.replace(packet, late=True, meta={META: place.to_map()})
        self.told += 1
        self.bytes += len(packet.payload)
        self._sink.frame(place, packet)
