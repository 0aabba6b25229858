"""One frame's way through the gateway: decode, infer, commit; and what the device is told.

A frame is worked on once however often it is sent: what is committed already is answered from
the store, and what is in work is joined. The work belongs to the gateway and not to a session,
so it is finished and kept also when its device has gone.

Small pictures go through in groups (`group.py`); all others, and those for which there is no memory
at the moment, each in a task of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from ..compression import decode_features
from ..errors import (
    CodecError,
    FrameError,
    LinkError,
    MastraError,
    ReferenceMissing,
    StoreError,
)
from ..protocol import FrameMessage, KeyFrameRequest, Message, Nack, ResultMessage
from ..protocol.envelope import decode, encode
from ..protocol.quick_answers import acknowledgement
from ..types import Frame, PacketKind, Result, Route
from .door.logs import Sparing
from .group import PX_MAX, STORED_BYTES_MAX, GroupWork, Job, LiveListener, NobodyLooks
from .group_process import Desk
from .memory import Memory
from .metrics import Metrics
from .models import Models
from .references import References, Turn
from .store import FrameId, Record, ResultStore

logger = logging.getLogger(__name__)

ORDERED = (PacketKind.VIDEO.value, PacketKind.REPEAT.value)
"""Kinds that are decoded in the order in which they came."""
LATE_PATIENCE_S = 5.0
"""How long a frame that nobody waits for may wait for memory."""


@dataclass(frozen=True)
class Answer:
    """What the device is told of a frame, in this order; a record is a result as bytes."""

    parts: Sequence[Message | Record]
    outcome: str  # committed, duplicate, or the code of the nack

    @property
    def messages(self) -> list[Message]:
        """All of it as messages."""
        return [_result_of(part) if isinstance(part, Record) else part for part in self.parts]


Reply = Callable[[Answer], None]


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
        logs: Sparing | None = None,
        live: LiveListener | None = None,
    ) -> None:
        self._live = live or NobodyLooks()
        self._logs = logs or Sparing(logger)
        self._memory = memory or Memory(sys.maxsize)
        self._store = store
        self._references = references
        self._models = models
        self._metrics = metrics
        self._executor = executor
        self._frames_max = frames_max
        self._pixels_max = pixels_max
        self._loop = asyncio.get_running_loop()
        self._running: dict[FrameId, asyncio.Task[tuple[ResultMessage, bool]]] = {}
        self._jobs: dict[FrameId, Job] = {}
        self._no_jobs = asyncio.Event()
        self._no_jobs.set()
        self._slow: set[asyncio.Task[None]] = set()
        seconds = metrics.decode_seconds.observe
        models.work_with(GroupWork(store, seconds, self._give_back, live))
        models.work_apart_with(Desk(seconds, self._finish, self._live))

    @property
    def running(self) -> int:
        """Frames in work."""
        return len(self._running) + len(self._jobs)

    async def answer(self, device: str, message: FrameMessage, received_ns: int) -> Answer:
        """Work on a frame that was received at `received_ns` (monotonic); never raises for it."""
        done: asyncio.Future[Answer] = self._loop.create_future()

        def reply(answer: Answer) -> None:
            if not done.done():
                done.set_result(answer)

        self.take(device, message, received_ns, reply)
        return await done

    def take(self, device: str, message: FrameMessage, received_ns: int, reply: Reply) -> None:
        """As `answer`, which `reply` is called with, in the event loop."""
        frame = FrameId(device, *message.key)
        job = self._jobs.get(frame)
        if job is not None:
            job.waiting.append(self._replies(message, received_ns, reply, joined=True))
        elif frame in self._running or not self._put(frame, message, received_ns, reply):
            task = self._loop.create_task(self._answer_slowly(device, message, received_ns, reply))
            self._slow.add(task)
            task.add_done_callback(self._slow.discard)

    # -- in groups -------------------------------------------------------------------------

    def _put(self, frame: FrameId, message: FrameMessage, received_ns: int, reply: Reply) -> bool:
        """Send a small picture on its way with others; False where that cannot be."""
        pixels = message.width_px * message.height_px
        if (
            message.kind in (PacketKind.FEATURES.value, *ORDERED)
            or pixels > min(PX_MAX, self._pixels_max)
            or self.running >= self._frames_max
        ):
            return False
        channels = 1 if message.encoding == "mono8" else 3
        memory = self._memory.small_picture(frame.device, 2 * channels * pixels)
        if memory is None:
            return False
        decoder = self._references.stream(frame.device, message.stream)
        job = Job(frame, message, received_ns, decoder, memory)
        future = None
        try:
            model = self._models.get(str(message.meta.get("model", "")))
            future = model.put_job(job)
        except MastraError as error:
            if not isinstance(error, LinkError) or model.apart is None:
                memory.ended()  # it is told what is wrong on the slow way
                return False
            job.error = error  # nor does it pass by the process that is for it
        job.waiting.append(self._replies(message, received_ns, reply, joined=False))
        self._jobs[frame] = job
        self._no_jobs.clear()
        if job.error is not None:
            self._finish((job,))
        elif future is not None:
            future.add_done_callback(lambda done: self._model_done(job, done))
        return True

    def _model_done(self, job: Job, done: asyncio.Future[Any]) -> None:
        """Of a job that the model could not work on nobody else hears."""
        error = None if done.cancelled() else done.exception()
        if error is not None:
            assert isinstance(error, Exception)
            job.error = error
            self._finish((job,))

    def _give_back(self, jobs: Sequence[Job]) -> None:
        """From the threads of model and store."""
        with contextlib.suppress(RuntimeError):  # the loop has ended, and all who waited
            self._loop.call_soon_threadsafe(self._finish, jobs)

    def _finish(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            if self._jobs.pop(job.id, None) is None:
                continue  # refused already, by a model that was given up
            job.frame = None
            job.memory.ended()
            for answer in job.waiting:
                answer(job)
        self._references.trim()
        if not self._jobs:
            self._no_jobs.set()

    def _replies(
        self, message: FrameMessage, received_ns: int, reply: Reply, *, joined: bool
    ) -> Callable[[Job], None]:
        def answer(job: Job) -> None:
            if job.error is not None:
                refusal = self._refusal_of(job.id, job.error)
                told = _nack(message, refusal.code, str(refusal))
            else:
                assert job.record is not None
                told = _done(message, job.record, received_ns, job.duplicate or joined)
            self._count(message, told.outcome, received_ns)
            reply(told)

        return answer

    # -- one by one ------------------------------------------------------------------------

    async def _answer_slowly(
        self, device: str, message: FrameMessage, received_ns: int, reply: Reply
    ) -> None:
        answer = await self._answer(device, message, received_ns)
        self._count(message, answer.outcome, received_ns)
        reply(answer)

    def _count(self, message: FrameMessage, outcome: str, received_ns: int) -> None:
        lane = "late" if message.late else "live"
        self._metrics.on_frame(message.kind, lane, outcome)
        if outcome == "committed":
            self._metrics.on_held(lane, (time.monotonic_ns() - received_ns) / 1e9)

    async def close(self) -> None:
        """Wait for what is in work."""
        await asyncio.gather(*self._running.values(), *self._slow, return_exceptions=True)
        await self._no_jobs.wait()

    async def _answer(self, device: str, message: FrameMessage, received_ns: int) -> Answer:
        frame = FrameId(device, *message.key)
        task = self._running.get(frame)
        joined = task is not None
        if task is None:
            if self.running >= self._frames_max:
                return _nack(message, "overloaded", f"{self.running} frames are in work")
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
        return _done(message, result, received_ns, duplicate or joined)

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
            inferred, seen = await self._infer(frame.device, message, turn)
            result = ResultMessage.from_result(inferred)
            record = Record(frame, encode(result, STORED_BYTES_MAX))
            commit = await asyncio.wrap_future(self._store.commit(record))
            if commit.duplicate:
                return _result_of(commit.record), True
            if seen is not None:
                self._live.offer(frame.device, seen, record.data)
            return result, False
        except MastraError as error:
            raise self._refusal_of(frame, error) from error
        finally:
            if turn is not None:
                turn.over()

    def _refusal_of(self, frame: FrameId, error: Exception) -> Refusal:
        """What the device is told of an error; faults of ours stand in the log."""
        if isinstance(error, ReferenceMissing):
            return Refusal("reference_missing", str(error))
        if isinstance(error, (CodecError, FrameError)):
            return Refusal("corrupt", str(error))
        if isinstance(error, LinkError):
            return Refusal("overloaded", str(error))
        if isinstance(error, StoreError):
            self._logs.error("store", "%s: result not kept: %s", str(frame), str(error))
            return Refusal("overloaded", "results cannot be kept now")
        if isinstance(error, MastraError):
            self._logs.error("model", "%s: failed: %s", str(frame), str(error))
            return Refusal("failed", str(error))
        logger.error("%s: failed", frame, exc_info=error)
        return Refusal("failed", f"{type(error).__name__} while working on the frame")

    async def _infer(
        self, device: str, message: FrameMessage, turn: Turn | None
    ) -> tuple[Result, Frame | None]:
        """What was found; and the frame itself, where somebody wants to see live ones."""
        if message.kind == PacketKind.FEATURES.value:
            return await self._infer_features(message), None
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
                # Brought to the model's size where it was decoded: the model's thread, which small
                # pictures wait for, has little to do with it then.
                looking = self._live.wanted and not message.late
                fitted, seen = await self._references.decode(
                    *(device, message.to_packet()),
                    lambda frame: (model.fit(frame), frame if looking else None),
                )
                self._metrics.decode_seconds.observe(time.perf_counter() - started_s)
                if turn is not None:
                    turn.over()
                picture.shrink(fitted.image.nbytes + (0 if seen is None else seen.image.nbytes))
                inferred = await model.infer(fitted, late=message.late)
                del fitted
        except MemoryError as error:
            raise Refusal("overloaded", f"no memory: {error}") from None
        found = Result(
            key=message.key,
            origin=Route.CLOUD,
            detections=inferred.detections,
            model=inferred.model,
            model_version=inferred.version,
            late=message.late,
            inference_ms=inferred.run_ms,
        )
        return found, seen

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


def _done(
    message: FrameMessage, result: Message | Record, received_ns: int, duplicate: bool
) -> Answer:
    held_us = (time.monotonic_ns() - received_ns) // 1000
    ack = acknowledgement(message, duplicate=duplicate, held_us=held_us)
    # The result first: what is acknowledged is forgotten by the device's spool.
    return Answer((result, ack), "duplicate" if duplicate else "committed")


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
