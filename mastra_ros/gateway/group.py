"""Frames that go through the gateway as a group: one hand-off in, one out.

Small pictures are looked up, decoded, inferred and kept together. The batcher of the model gathers
a group while the group before it runs, in the thread of the model: `look_up_and_decode`, then the
model, then `commit`, which leaves the writing to the thread of the store and gives the whole group
back to the event loop. What one frame brings about ends that frame alone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..errors import ProtocolError
from ..protocol import FrameMessage
from ..protocol.quick_answers import result_bytes
from ..types import Detections, Frame, Packet
from .store import Commit, FrameId, Record, ResultStore

logger = logging.getLogger(__name__)

STORED_BYTES_MAX = 16_777_216
PX_MAX = 65_536
"""Larger pictures are decoded by other threads than the model's, which shall not wait for that."""


class StreamDecoder(Protocol):
    """What is needed of the decoder of one stream."""

    def looked(self) -> bool:
        """Whether somebody looks at what is decoded."""
        ...

    def decode(self, packet: Packet) -> Frame:
        """See References."""
        ...

    def remember(self, frame: Frame) -> None:
        """Keep the newest frame for who looks."""
        ...


class Held(Protocol):
    """The memory that a job takes."""

    def ended(self) -> None:
        """It is needed no longer."""
        ...


class LiveListener(Protocol):
    """Who sees live frames once their results are committed; see `applications/live.py`."""

    @property
    def wanted(self) -> bool:
        """Whether anybody wants any; cheap."""
        ...

    def offer(self, device: str, frame: Frame, result: bytes) -> None:
        """Take it or leave it out, at once; from any thread. result: a ResultMessage."""
        ...


class NobodyLooks:
    """A listener that wants none."""

    wanted = False

    def offer(self, device: str, frame: Frame, result: bytes) -> None:
        """Nothing."""


@dataclass(eq=False)
class Job:
    """One small picture on its way. `answer` is set once: a record, or what went wrong."""

    id: FrameId
    message: FrameMessage
    received_ns: int
    decoder: StreamDecoder
    memory: Held
    frame: Frame | None = None
    looked_up: bool = False
    record: Record | None = None
    duplicate: bool = False
    error: Exception | None = None
    waiting: list[Callable[[Job], None]] = field(default_factory=list)
    suspect: bool = False  # a process has ended while it was in there

    @property
    def ended(self) -> bool:
        """Whether nothing is left to be done for it."""
        return self.error is not None or self.duplicate


class GroupWork:
    """What the model's thread does with jobs besides running the model."""

    def __init__(
        self,
        store: ResultStore,
        on_decode: Callable[[float], None],
        give_back: Callable[[Sequence[Job]], None],
        live: LiveListener | None = None,
    ) -> None:
        """`give_back(jobs)` is called from other threads, once for each job that is done.

        `on_decode(seconds)` hears how long each took to decode.
        """
        self._live = live or NobodyLooks()
        self._store = store
        self._on_decode = on_decode
        self._give_back = give_back

    def look_up_and_decode(self, jobs: Sequence[Job]) -> None:
        """Find those that are committed already, and decode the others. Never raises."""
        fresh = [job for job in jobs if not job.looked_up]
        if not fresh:
            return  # the group failed in the model, and goes through it one by one
        try:
            kept = self._store.find_all([job.id for job in fresh])
        except Exception as error:
            for job in fresh:
                job.error = error
            return
        for job in fresh:
            job.looked_up = True
            record = kept.get(job.id)
            if record is not None:
                job.record, job.duplicate = record, True
                continue
            started_s = time.perf_counter()
            try:
                job.frame = job.decoder.decode(job.message.to_packet())
            except Exception as error:
                job.error = error
            self._on_decode(time.perf_counter() - started_s)

    def commit(
        self,
        jobs: Sequence[Job],
        found: Sequence[Detections],
        run_ms: float,
        model: str,
        version: str,
        *,
        at_once: bool = False,
    ) -> None:
        """Keep what was found in the frames of the jobs that are left; give all of them back.

        at_once: in this thread, where nothing waits for it.
        """
        left = [job for job in jobs if not job.ended]
        records = []
        looking = self._live.wanted
        for job, detections in zip(left, found, strict=True):
            message = job.message
            if message.late or not looking:
                job.frame = None
            try:
                data = result_bytes(
                    *(message, detections),
                    model=model,
                    version=version,
                    run_ms=run_ms,
                    bytes_max=STORED_BYTES_MAX,
                )
            except ProtocolError as error:
                job.error = error
                continue
            records.append(Record(job.id, data))
        ended = [job for job in jobs if job.ended]
        if ended:
            self._give_back(ended)
        written = [job for job in left if not job.ended]
        if not written:
            return

        def done(commits: Sequence[Commit], error: Exception | None) -> None:
            for job, commit in zip(written, commits, strict=error is None):
                job.record, job.duplicate = commit.record, commit.duplicate
            if error is not None:
                for job in written:
                    job.error = error
            seen = [job for job in written if job.frame is not None and not job.ended]
            frames = [(job.id.device, job.frame, job.record) for job in seen]
            self._give_back(written)
            for device, frame, record in frames:
                if frame is not None and record is not None:
                    self._live.offer(device, frame, record.data)

        self._store.commit_all(records, done, at_once=at_once)
