"""One frame's way through the gateway: decode, infer, commit; and what the device is told.

A frame is worked on once however often it is sent: what is committed already is answered from
the store, and what is in work is joined. The work belongs to the gateway and not to a session,
so it is finished and kept also when its device has gone.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from ..compression import decode_features
from ..errors import (
    CodecError,
    FrameError,
    LinkError,
    MastraError,
    ProtocolError,
    ReferenceMissing,
    StoreError,
)
from ..protocol import Ack, FrameMessage, KeyFrameRequest, Message, Nack, ResultMessage
from ..protocol.envelope import decode, encode
from ..types import PacketKind, Result, Route
from .memory import Memory
from .metrics import Metrics
from .models import Models
from .references import References, Turn
from .store import FrameId, Record, ResultStore

logger = logging.getLogger(__name__)

STORED_BYTES_MAX = 16_777_216
ORDERED = (PacketKind.VIDEO.value, PacketKind.REPEAT.value)
"""Kinds that are decoded in the order in which they came."""
LATE_PATIENCE_S = 5.0
"""How long a frame that nobody waits for may wait for memory."""


@dataclass(frozen=True)
class Answer:
    """What the device is told of a frame, in this order."""

    messages: Sequence[Message]
    outcome: str  # committed, duplicate, or the code of the nack


class Refusal(Exception):  # noqa: N818 - an answer and no fault of ours
    """The frame is refused with this code."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Frames:
    """The frames of all devices; used from the event loop, works in `executor`."""

    def __init__(
        self,
        *,
        store: ResultStore,
        references: References,
        models: Models,
        metrics: Metrics,
        executor: Executor,
        frames_max: int,
        pixels_max: int,
        memory: Memory | None = None,
    ) -> None:
        self._memory = memory or Memory(sys.maxsize)
        self._store = store
        self._references = references
        self._models = models
        self._metrics = metrics
        self._executor = executor
        self._frames_max = frames_max
        self._pixels_max = pixels_max
        self._running: dict[FrameId, asyncio.Task[tuple[ResultMessage, bool]]] = {}

    @property
    def running(self) -> int:
        """Frames in work."""
        return len(self._running)

    async def answer(self, device: str, message: FrameMessage, received_ns: int) -> Answer:
        """Work on a frame that was received at `received_ns` (monotonic); never raises for it."""
        answer = await self._answer(device, message, received_ns)
        lane = "late" if message.late else "live"
        self._metrics.frames.labels(message.kind, lane, answer.outcome).inc()
        if answer.outcome == "committed":
            held_s = (time.monotonic_ns() - received_ns) / 1e9
            self._metrics.frame_seconds.labels(lane).observe(held_s)
        return answer

    async def close(self) -> None:
        """Wait for what is in work."""
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _answer(self, device: str, message: FrameMessage, received_ns: int) -> Answer:
        frame = FrameId(device, *message.key)
        task = self._running.get(frame)
        joined = task is not None
        if task is None:
            if len(self._running) >= self._frames_max:
                return _nack(message, "overloaded", f"{len(self._running)} frames are in work")
            turn = None
            if message.kind in ORDERED:
                turn = self._references.turn(device, message.stream)
            task = asyncio.get_running_loop().create_task(self._work(frame, message, turn))
            self._running[frame] = task
            task.add_done_callback(lambda done: self._finished(frame, done))
        try:
            # Shielded: the session may end, the frame is finished nevertheless.
            result, duplicate = await asyncio.shield(task)
        except Refusal as refusal:
            return _nack(message, refusal.code, str(refusal))
        except Exception as error:  # what one frame brings about must cost no other
            logger.exception("%s: failed", frame)
            return _nack(message, "failed", f"{type(error).__name__} while working on the frame")
        duplicate = duplicate or joined
        held_us = (time.monotonic_ns() - received_ns) // 1000
        ack = Ack(message.stream, message.stamp_ns, duplicate, held_us, message.id)
        # The result first: what is acknowledged is forgotten by the device's spool.
        return Answer((result, ack), "duplicate" if duplicate else "committed")

    def _finished(self, frame: FrameId, task: asyncio.Task[tuple[ResultMessage, bool]]) -> None:
        del self._running[frame]
        if not task.cancelled():
            task.exception()  # who waited for the frame may have gone

    async def _work(
        self, frame: FrameId, message: FrameMessage, turn: Turn | None
    ) -> tuple[ResultMessage, bool]:
        """The frame's result, and whether it was committed before; Refusal with its code."""
        try:
            loop = asyncio.get_running_loop()
            record = await loop.run_in_executor(self._executor, self._store.find, frame)
            if record is not None:
                return _result_of(record), True
            result = ResultMessage.from_result(await self._infer(frame.device, message, turn))
            record = Record(frame, encode(result, STORED_BYTES_MAX))
            commit = await asyncio.wrap_future(self._store.commit(record))
            if commit.duplicate:
                return _result_of(commit.record), True
            return result, False
        except ReferenceMissing as error:
            raise Refusal("reference_missing", str(error)) from error
        except (CodecError, FrameError) as error:
            raise Refusal("corrupt", str(error)) from error
        except LinkError as error:
            raise Refusal("overloaded", str(error)) from error
        except StoreError as error:
            logger.error("%s: result not kept: %s", frame, error)
            raise Refusal("overloaded", "results cannot be kept now") from error
        except (MastraError, ProtocolError) as error:
            logger.error("%s: failed: %s", frame, error)
            raise Refusal("failed", str(error)) from error
        finally:
            if turn is not None:
                turn.over()

    async def _infer(self, device: str, message: FrameMessage, turn: Turn | None) -> Result:
        if message.kind == PacketKind.FEATURES.value:
            return await self._infer_features(message)
        pixels = message.width_px * message.height_px
        if pixels > self._pixels_max:
            raise Refusal("too_large", f"expected at most {self._pixels_max} px, got {pixels}")
        model = self._models.get(str(message.meta.get("model", "")))
        channels = 1 if message.encoding == "mono8" else 3
        # Decoding needs the picture twice: as it was decoded, and as it is used; video in planes.
        size = (2 if turn is None else 3) * channels * pixels
        if size > self._memory.picture_max:
            room = self._memory.picture_max
            raise Refusal("too_large", f"decoding takes {size} bytes, memory allows {room}")
        if turn is not None:
            await turn.come()
        try:
            async with self._memory.picture(device, size, patience_s(message)) as picture:
                started_s = time.perf_counter()
                frame = await self._references.decode(device, message.to_packet())
                self._metrics.decode_seconds.observe(time.perf_counter() - started_s)
                if turn is not None:
                    turn.over()
                picture.shrink(frame.image.nbytes)
                inferred = await model.infer(frame, late=message.late)
                del frame
        except MemoryError as error:
            raise Refusal("overloaded", f"no memory: {error}") from None
        return Result(
            key=message.key,
            origin=Route.CLOUD,
            detections=inferred.detections,
            model=inferred.model,
            model_version=inferred.version,
            late=message.late,
            inference_ms=inferred.run_ms,
        )

    async def _infer_features(self, message: FrameMessage) -> Result:
        """The device has run the head; here runs the tail."""
        tail = self._models.tail(str(message.meta.get("model", "")))
        started_s = time.perf_counter()
        loop = asyncio.get_running_loop()
        features = await loop.run_in_executor(
            self._executor, decode_features, message.to_packet(), tail.values
        )
        self._metrics.decode_seconds.observe(time.perf_counter() - started_s)
        inferred = await tail.model.infer(features, late=message.late)
        return Result(
            key=message.key,
            origin=Route.SPLIT,
            detections=inferred.detections,
            model=inferred.model,
            model_version=inferred.version,
            late=message.late,
            inference_ms=inferred.run_ms,
        )


def patience_s(message: FrameMessage) -> float:
    """How long a frame may wait for memory: as long as somebody waits for its answer."""
    if message.late or not message.deadline_ms:
        return LATE_PATIENCE_S
    return min(message.deadline_ms / 1e3, LATE_PATIENCE_S)


def _nack(message: FrameMessage, code: str, text: str) -> Answer:
    nack = Nack(message.stream, message.stamp_ns, code, text[:1024], message.id)
    if code == "reference_missing":
        return Answer((nack, KeyFrameRequest(message.stream)), code)
    return Answer((nack,), code)


def _result_of(record: Record) -> ResultMessage:
    message = decode(record.data, STORED_BYTES_MAX)
    if not isinstance(message, ResultMessage):
        raise StoreError(f"{record.frame}: expected a result, got {type(message).__name__}")
    return message
