"""The process of one model: groups of small pictures in, what came of each out.

    python -m mastra_ros.gateway.group_worker DESCRIPTOR

DESCRIPTOR is a socket of the gateway that began it. One thread does all, one group after the other:
look up, decode, infer, commit; nobody waits for a lock. It ends when its gateway hangs up, so it
leaves signals to the gateway.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ..compression import Decoder
from ..config import GatewayConfig, build
from ..errors import MastraError
from ..orphans import end_with_parent
from ..protocol import FrameMessage
from ..redaction import RedactingFormatter
from ..types import Frame
from .apart import wire
from .group import GroupWork, Job
from .models import open_pictures
from .references import References
from .sqlite_store import SqliteStore
from .store import FrameId

logger = logging.getLogger(__name__)

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class _NoMemory:
    """The gateway keeps the account of a job's memory."""

    def ended(self) -> None:
        """Nothing."""


class Worker:
    """Works on groups, one after the other."""

    def __init__(self, begin: wire.Begin) -> None:
        """Raises ModelError, DependencyError or StoreError."""
        config = build(GatewayConfig, begin.config)
        _, self._detector = open_pictures(begin.bundle, config)
        self._commits: list[tuple[int, float]] = []
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
        self._group = GroupWork(self._store, self._decode_s.append, lambda _: None)

    @property
    def engine(self) -> str:
        """The engine in use, in words."""
        return self._detector.chosen

    def work(self, group: Sequence[wire.Asked]) -> wire.Answered:
        """Keep what is found in the pictures of a group; never raises for it."""
        began_s = time.perf_counter()
        self._commits.clear()
        self._decode_s.clear()
        jobs = [self._job(asked) for asked in group]
        self._group.look_up_and_decode(jobs)
        frames = [job.frame if asked.show else None for job, asked in zip(jobs, group, strict=True)]
        try:
            self._infer_and_commit(jobs)
        except Exception:  # together; the one at fault fails alone
            for job in jobs:
                try:
                    if not job.ended:
                        self._infer_and_commit([job])
                except Exception as error:
                    job.error = error
        self._references.trim()
        return wire.Answered(
            [_told(job, frame) for job, frame in zip(jobs, frames, strict=True)],
            (time.perf_counter() - began_s) * 1e3,
            list(self._decode_s),
            list(self._commits),
            self._store.problem,
        )

    def close(self) -> None:
        """Close the database."""
        self._store.close()

    def _job(self, asked: wire.Asked) -> Job:
        decoder = self._references.stream(asked.device, asked.stream)
        frame = FrameId(asked.device, asked.stream, asked.stamp_ns, asked.id)
        return Job(frame, _message(asked), 0, decoder, _NoMemory())

    def _infer_and_commit(self, jobs: Sequence[Job]) -> None:
        frames: list[Any] = [job.frame for job in jobs if not job.ended]
        began_s = time.perf_counter()
        found = self._detector.detect_batch(frames) if frames else []
        run_ms = (time.perf_counter() - began_s) * 1e3
        self._group.commit(jobs, found, run_ms, self._detector.model, self._detector.version)


def _message(asked: wire.Asked) -> FrameMessage:
    """The gateway has checked it when it came."""
    made = FrameMessage.__new__(FrameMessage)
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
    try:
        worker = Worker(begin)
    except (MastraError, OSError) as error:
        sock.sendall(wire.packed(wire.Begun("", " ".join(str(error).split()) or "it fails")))
        return 1
    try:
        gc.collect()
        gc.freeze()
        sock.sendall(wire.packed(wire.Begun(worker.engine)))
        while (data := ear.hear()) is not None:
            sock.sendall(wire.packed(worker.work(wire.read_group(data))))
    except (BrokenPipeError, ConnectionResetError):
        pass  # the gateway has ended
    finally:
        worker.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
