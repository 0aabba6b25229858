"""The capture loop: a source, read on its own thread at its own pace, kept alive and reported."""

from __future__ import annotations

import dataclasses
import logging
import secrets
import threading
import time
from collections.abc import Callable
from typing import Protocol

from ..config import CameraConfig
from ..errors import (
    ConfigError,
    DependencyError,
    FrameError,
    SourceEnded,
    SourceError,
    SourceStalled,
)
from ..pictures import PictureReader
from ..redaction import redact
from ..types import Frame, FrameKey
from .drawn.line import FrameTruth
from .events import CameraEvent, Kind
from .opening import check_source, open_source
from .pacing import Backoff, Pacer, Timeline
from .source import Clock, Source, Stamper
from .uri import parse_uri

log = logging.getLogger(__name__)

BAD_FRAMES_MAX = 100
"""A live source that gives so many bad frames in a row counts as broken."""

STOP_WAIT_S = 1.0
"""How long `stop` waits for a thread that is in a read or a callback."""


class Opener(Protocol):
    """`open_source` or a fake of it."""

    def __call__(
        self, config: CameraConfig, stream: str, *, stamper: Stamper, reader: PictureReader
    ) -> Source:
        """Open the source."""


class CaptureLoop:
    """Reads the configured source and gives each frame to `on_frame`, on one thread.

    A live source that fails is opened again, with growing pauses, for as long as it takes; a
    finite one that fails is reported as `failed`. Both callbacks run on the loop's thread; an error
    in `on_frame` ends the loop with `failed`. Raises ConfigError at birth where the source's
    name makes no sense. Each frame gets its id here: a random name of this run, and a number.
    `clock_ns` and `wait_s` (wait, and say whether to stop) are monotonic time.
    """

    def __init__(
        self,
        config: CameraConfig,
        on_frame: Callable[[Frame], None],
        on_event: Callable[[CameraEvent], None] | None = None,
        *,
        stream: str = "main",
        stamp_ns: Clock = time.time_ns,
        clock_ns: Clock = time.monotonic_ns,
        wait_s: Callable[[float], bool] | None = None,
        opener: Opener = open_source,
    ) -> None:
        check_source(config)
        self._config = config
        self._name = str(parse_uri(config.source))
        self._on_frame = on_frame
        self._on_event = on_event or (lambda event: log.info("%s", event))
        self._stream = stream
        self._clock_ns = clock_ns
        self._stop = threading.Event()
        self._wait_s = wait_s or self._stop.wait
        self._opener = opener
        self._stamper = Stamper(config.stamps, stamp_ns)
        self._reader = PictureReader(config)
        self.doubt = ""  # what looks wrong with the pictures just now
        self._source: Source | None = None
        self._size = ""
        self._backoff = Backoff(config.reopen_delay_max_s)
        self._opened_before = False
        self._thread: threading.Thread | None = None
        self._run = secrets.token_hex(6)
        self.frames = 0
        self.bad_frames = 0
        self.reopened = 0

    def start(self) -> None:
        """Begin on a thread of its own."""
        if self._thread is not None:
            raise RuntimeError("a capture loop starts once")
        self._thread = threading.Thread(target=self.run, name="camera", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; afterwards no callback begins. Waits at most a second for one that is running."""
        self._stop.set()
        source = self._source
        if source is not None and source.live:
            source.close()  # wakes a read
        self.join(STOP_WAIT_S)

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait until the loop has ended; whether it has."""
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return thread is None
        thread.join(timeout_s)
        return not thread.is_alive()

    def truth(self, key: FrameKey) -> FrameTruth | None:
        """What a recent frame shows, where the source knows it (the synthetic line)."""
        source = self._source
        return None if source is None else source.truth(key.unnamed)

    def run(self) -> None:
        """Capture until the end, a failure or `stop`: the body of the thread."""
        finished = False
        try:
            while self._session() and not self._wait_s(self._backoff.next_s()):
                pass
            finished = True
        finally:
            if self._source is not None:
                self._source.close()
            if not finished:
                self._tell("failed", "a callback raised an error; its traceback follows")

    def _session(self) -> bool:
        """From opening the source to its end; whether to open it again."""
        try:
            source = self._opener(
                self._config, self._stream, stamper=self._stamper, reader=self._reader
            )
        except (ConfigError, DependencyError) as error:
            return self._tell("failed", str(error))
        except SourceError as error:
            return self._broken("broken", str(error), live=self._is_live())
        self._source = source
        if self._stop.is_set():
            return False
        if self._opened_before:
            self.reopened += 1
        self._tell("reopened" if self._opened_before else "opened", self._description(source))
        self._opened_before = True
        try:
            return self._read_on(source)
        except SourceEnded as error:
            if source.live:
                return self._broken("broken", str(error), live=True)
            return self._tell("ended", str(error))
        except SourceStalled as error:
            return self._broken("stalled", str(error), live=source.live)
        except SourceError as error:
            return self._broken("broken", str(error), live=source.live)
        finally:
            if source.live:
                source.close()

    def _read_on(self, source: Source) -> bool:
        config = self._config
        pacer = Pacer(config.rate_hz or (0.0 if source.live else source.rate_hz or 0.0))
        timeline = Timeline()
        bad_in_a_row = 0
        while not self._stop.is_set():
            due_ns = None if config.rate_hz else source.due_ns()
            now_ns = self._clock_ns()
            pause_s = pacer.wait_s(now_ns) if due_ns is None else timeline.wait_s(now_ns, due_ns)
            if pause_s > 0:
                if self._wait_s(pause_s):
                    return False
                continue
            try:
                frame = source.read(config.stall_timeout_s)
            except FrameError as error:
                self.bad_frames += 1
                bad_in_a_row += 1
                self._tell("bad_frame", str(error))
                if source.live and bad_in_a_row >= BAD_FRAMES_MAX:
                    raise SourceError(f"{bad_in_a_row} bad frames in a row") from error
                continue
            if self._stop.is_set():
                return False
            bad_in_a_row = 0
            self._backoff.reset()
            self._notice_size(frame)
            self._notice_doubt()
            self._notice_clock()
            self.frames += 1
            key = frame.key._replace(id=f"{self._run}-{self.frames}")
            self._on_frame(dataclasses.replace(frame, key=key))
            if self.frames == config.frame_limit:
                return self._tell("ended", f"the limit of {config.frame_limit} frames is reached")
        return False

    def _notice_clock(self) -> None:
        back_ns = self._stamper.take_back_ns()
        if back_ns:
            self._tell("clock_back", f"the clock went back by {back_ns / 1e9:.3f} s: stamps follow")

    def _notice_size(self, frame: Frame) -> None:
        size = f"{frame.width_px}x{frame.height_px} px {frame.encoding}"
        if self._size and size != self._size:
            self._tell("size_changed", f"{self._size} before, {size} now")
        self._size = size

    def _notice_doubt(self) -> None:
        if self._reader.doubt != self.doubt:
            self.doubt = self._reader.doubt
            if self.doubt:
                self._tell("doubtful", self.doubt)

    def _broken(self, kind: Kind, message: str, *, live: bool) -> bool:
        if self._stop.is_set():
            return False
        if not live:
            return self._tell("failed", message)
        self._tell(kind, f"{message}; trying again")
        return True

    def _is_live(self) -> bool:
        """Whether the configured source would be live, were it open."""
        return parse_uri(self._config.source).kind in ("v4l2", "network")

    def _description(self, source: Source) -> str:
        own = f", {source.rate_hz:.4g} frames/s of its own" if source.rate_hz else ""
        return f"opened, {'live' if source.live else 'recorded or made'}{own}"

    def _tell(self, kind: Kind, message: str) -> bool:
        """Report; returns False, which ends a session."""
        if not self._stop.is_set():
            self._on_event(CameraEvent(kind, redact(message), self._name))
        return False
