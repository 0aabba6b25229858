"""The process of one model: groups of small pictures in, what came of each out.

    python -m mastra_ros.gateway.group_worker DESCRIPTOR

DESCRIPTOR is a socket of the gateway that began it. One thread looks up, decodes, infers and
commits one group after the other; only where the next is complete already, the thread of the store
commits meanwhile. It ends when its gateway hangs up, so it leaves signals to the gateway.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from ..compression import Decoder
from ..config import GatewayConfig, build
from ..errors import MastraError
from ..orphans import end_with_parent
from ..protocol import FrameMessage
from ..redaction import RedactingFormatter
from ..types import Detections, Frame, Packet, PacketKind
from .apart import wire
from .bundles import open_pictures
from .group import GroupWork, Job
from .references import References
from .sqlite_store import SqliteStore
from .store import FrameId

logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

_KINDS = {kind.value: kind for kind in PacketKind}
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class _NoMemory:
    """The gateway keeps the account of a job's memory."""

    def ended(self) -> None:
        """Nothing."""


class Worker:
    """Works on groups, one after the other."""

    def __init__(self, begin: wire.Begin, answer: Callable[[wire.Answered], None]) -> None:
        """`answer` is called from two threads. Raises ModelError, DependencyError or StoreError."""
        self._answer = answer
        config = build(GatewayConfig, begin.config)
        _, self._detector = open_pictures(begin.bundle, config)
        self._commits: deque[tuple[int, float]] = deque()
        self._decode_s: list[float] = []
        self._store = SqliteStore(
            Path(begin.folder),
            results_max=config.results_max,
            age_max_s=config.results_age_max_s,
            on_commit=lambda results, seconds: self._commits.append((results, seconds)),
            beside=True,
        )
        self._references = References(
            lambda: Decoder(config.references_kept, config.pixels_max, video=False),
            ThreadPoolExecutor(1),  # has no thread until it is used, which it is not
            streams_max=config.streams_kept,
            bytes_max=begin.references_bytes_max,
        )
        self._group = GroupWork(self._store, self._decode_s.append, _give_back)

    @property
    def engine(self) -> str:
        """The engine in use, in words."""
        return self._detector.chosen

    def work(self, group: wire.Group) -> None:
        """Keep what is found in the pictures of a group, and answer; never raises for it."""
        began_s = time.perf_counter()
        jobs = [self._job(asked) for asked in group.frames]
        self._group.look_up_and_decode(jobs)
        shown = [job.frame if asked.show else None for job, asked in _pairs(jobs, group.frames)]
        decode_s = self._decode_s[:]
        self._decode_s.clear()
        inferring_s = time.perf_counter()
        found = self._detect(jobs)
        now_s = time.perf_counter()
        run_ms = (now_s - began_s) * 1e3
        back: list[Job] = []

        def done(job: Job) -> None:
            back.append(job)
            if len(back) == len(jobs):
                told = [_told(job, frame) for job, frame in _pairs(jobs, shown)]
                commits = [self._commits.popleft() for _ in range(len(self._commits))]
                problem = self._store.problem
                self._answer(wire.Answered(group.number, told, run_ms, decode_s, commits, problem))

        for job in jobs:
            job.waiting.append(done)
        model, version = self._detector.model, self._detector.version
        self._group.commit(
            jobs, found, (now_s - inferring_s) * 1e3, model, version, at_once=not group.more
        )
        self._references.trim()

    def close(self) -> None:
        """Close the model and the database."""
        self._store.close()
        self._detector.close()

    def _job(self, asked: wire.Asked) -> Job:
        decoder = self._references.stream(asked.device, asked.stream)
        frame = FrameId(asked.device, asked.stream, asked.stamp_ns, asked.id)
        return Job(frame, _message(asked), 0, decoder, _NoMemory())

    def _detect(self, jobs: Sequence[Job]) -> list[Detections]:
        """What is in those that are left; one at which the model fails has its error."""
        left = [job for job in jobs if not job.ended]
        frames: list[Any] = [job.frame for job in left]
        try:
            return self._detector.detect_batch(frames)
        except Exception as error:
            if len(left) == 1:
                left[0].error = error
                return []
        return [found for job in left for found in self._detect([job])]


def _give_back(jobs: Sequence[Job]) -> None:
    for job in jobs:
        for done in job.waiting:
            done(job)


def _pairs(first: Iterable[T], second: Iterable[R]) -> Iterable[tuple[T, R]]:
    return zip(first, second, strict=True)


class _Message(FrameMessage):
    """One that the gateway has checked when it came, and whose packet it was."""

    def to_packet(self) -> Packet:
        made = Packet.__new__(Packet)
        made.__dict__.update(
            key=self.key,
            kind=_KINDS[self.kind],
            payload=self.payload,
            width_px=self.width_px,
            height_px=self.height_px,
            encoding=self.encoding,
            reference_ns=self.reference_ns,
            hard=False,
            late=self.late,
            meta={},
            clearance="",
            codec="",
        )
        return made


def _message(asked: wire.Asked) -> _Message:
    made = _Message.__new__(_Message)
    made.__dict__.update(
        stream=asked.stream,
        stamp_ns=asked.stamp_ns,
        kind=asked.kind,
        width_px=asked.width_px,
        height_px=asked.height_px,
        encoding=asked.encoding,
        payload=asked.payload,
        reference_ns=asked.reference_ns,
        meta={},
        deadline_ms=0.0,
        hard=False,
        late=asked.late,
        id=asked.id,
        clearance="",
    )
    return made


def _told(job: Job, frame: Frame | None) -> wire.Told:
    picture = None
    if frame is not None:
        picture = wire.Picture(frame.image.shape, frame.encoding, frame.image.tobytes())
    if job.error is None and job.record is not None:
        outcome = wire.DUPLICATE if job.duplicate else wire.COMMITTED
        return wire.Told(outcome, job.record.data, picture=picture)
    error = job.error or RuntimeError("no answer")
    if isinstance(error, MastraError):
        return wire.Told(wire.FAILED, error=type(error).__name__, text=str(error))
    logger.error("%s: failed", job.id, exc_info=error)
    text = f"{type(error).__name__} while working on the frame"
    return wire.Told(wire.FAILED, error="ModelError", text=text)


def main() -> int:
    """Serve the gateway that has begun this process, until it hangs up."""
    end_with_parent(os.getppid())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sock = socket.socket(fileno=int(sys.argv[1]))
    ear = wire.Ear(sock)
    first = ear.hear()
    if first is None:
        return 0
    begin = wire.read_begin(first)
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingFormatter(FORMAT))
    logging.basicConfig(level=begin.log_level, handlers=[handler])
    talking = threading.Lock()

    def answer(answered: wire.Answered) -> None:
        with talking, contextlib.suppress(OSError):  # a gateway that has ended is heard below
            sock.sendall(wire.packed(answered))

    try:
        worker = Worker(begin, answer)
    except (MastraError, OSError) as error:
        sock.sendall(wire.packed(wire.Begun("", " ".join(str(error).split()) or "it fails")))
        return 1
    try:
        gc.collect()
        gc.freeze()
        sock.sendall(wire.packed(wire.Begun(worker.engine)))
        while (data := ear.hear()) is not None:
            worker.work(wire.read_group(data))
    except (BrokenPipeError, ConnectionResetError):
        logger.debug("the gateway has ended")
    finally:
        worker.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
