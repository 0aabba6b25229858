"""Which video encoder a stream uses: tried on its own pictures now and then, beside its work."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from .codecs import CODECS, opens
from .first import PROCESSOR, Clock
from .pace import Pace
from .tiles import Image
from .trials import Trial, choose, try_codec

log = logging.getLogger(__name__)

PICTURES = 12
"""Pictures in a row that a trial takes."""
FIRST_AGAIN, AGAIN_MAX = 300, 9000
"""Frames until the next trial; each that changes nothing doubles them."""
SIZE_CHANGED = 2.5
"""A scene whose frames cost so many times more or less than when it was tried is another one."""
CLOSE_S = 2.0
"""A trial that is told to end has done so after this: a picture takes a codec no longer."""
NICE = 5
"""More would leave it without a processor while it holds Python's lock, and all others waiting."""
REST = 4.0
"""Beside the work of a stream a trial takes a fifth of a core at most: frames have deadlines."""
VGA_PX = 640 * 480


class Runner(Protocol):
    """Runs a trial beside the work of the stream, or at once."""

    def __call__(self, job: Callable[[], None]) -> threading.Thread | None: ...


def beside(job: Callable[[], None]) -> threading.Thread:
    """Run in a thread of its own that gives way to all others."""
    thread = threading.Thread(target=_gently, args=(job,), name="codec trial", daemon=True)
    thread.start()
    return thread


def at_once(job: Callable[[], None]) -> None:
    """Run here and now, for those that measure."""
    job()


def _gently(job: Callable[[], None]) -> None:
    with contextlib.suppress(OSError, AttributeError):  # Linux: of this thread alone
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
    job()


class Chooser:
    """Proposes one of `names`; used by the stream's thread, trials run where `run` puts them."""

    def __init__(
        self,
        names: Sequence[str],
        *,
        first: str,
        budget_ms: float,
        measured: Collection[str] = (),
        run: Runner = beside,
        clock: Clock = PROCESSOR,
    ) -> None:
        """budget_ms: time to encode a frame of 640x480 px; others have it in proportion.

        measured: codecs whose quality was measured to give equal detections.
        """
        self._measured = frozenset(measured)
        self.names = tuple(names)
        self.present = first
        self._too_slow: set[str] = set()  # in this scene
        self._pace = Pace()
        self.trials: tuple[Trial, ...] = ()
        self._budget_ms = budget_ms
        self._run = run
        self._clock = clock
        self._rest = REST if run is beside else 0.0
        self._pictures: list[Image] = []
        self._encoding = ""
        self._wait = 0  # frames until pictures are gathered for the next trial
        self._again = FIRST_AGAIN
        self._running = False
        self._settled = False  # the present one was chosen by a trial of this scene
        self._closed = False
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._proposed = self.present
        self._mean_bytes = 0.0
        self._tried_bytes = 0.0

    def saw(
        self,
        image: Image,
        encoding: str,
        size: int,
        quality_of: Callable[[str], int],
        *,
        spent_ms: float = math.nan,
    ) -> str:
        """A frame was sent in so many bytes, 0 if it was a key; the codec to use for the next.

        quality_of: what is wanted of each encoder. spent_ms: what encoding took; NaN where
        nothing was encoded, or where it cannot be told.
        """
        self._keep_time(image, spent_ms)
        with self._lock:
            if self._running:
                return self.present
            if self.present != self._proposed:
                self._pace.begin_anew()
            self.present = self._proposed
        if len(self.names) < 2:
            return self.present
        if size:
            self._mean_bytes += (size - self._mean_bytes) / 30 if self._mean_bytes else size
        if self._another_scene():
            self._wait, self._again = 0, FIRST_AGAIN
            self._settled = False
            self._too_slow.clear()
        if self._wait > 0:
            self._wait -= 1
            return self.present
        if self._pictures and (
            self._pictures[0].shape != image.shape or self._encoding != encoding
        ):
            self._pictures.clear()
        self._encoding = encoding
        self._pictures.append(image)
        if len(self._pictures) >= PICTURES:
            pictures, self._pictures = self._pictures, []
            self._running = True
            qualities = {name: quality_of(name) for name in self.names}
            self._thread = self._run(lambda: self._try(pictures, encoding, qualities))
        return self.present

    def _keep_time(self, image: Image, spent_ms: float) -> None:
        """Go over to what is faster where frames take longer than they may."""
        if math.isfinite(spent_ms):
            self._pace.took(spent_ms)
        budget_ms = self._budget_ms * image.shape[0] * image.shape[1] / VGA_PX
        if not self._pace.too_slow(budget_ms):
            return
        self._pace.begin_anew()
        with self._lock:
            faster = self._faster()
            if faster:
                self._too_slow.add(self.present)
                log.info("compression: %s took too long, now %s", self.present, faster)
                self._proposed = faster

    def _faster(self) -> str:
        """The next of the same codec: of one family the slower ones come first. "" without."""
        family = [n for n in self.names if CODECS[n].family == CODECS[self.present].family]
        later = family[family.index(self.present) + 1 :] if self.present in family else []
        return next((name for name in later if opens(name)), "")

    def drop(self, name: str) -> bool:
        """Propose this one no more; False where none is left."""
        with self._lock:
            self.names = tuple(o for o in self.names if o != name and opens(o))
            if name == self.present and self.names:
                self.present = self._proposed = self.names[0]
            return bool(self.names)

    def close(self) -> None:
        """End a trial that runs, at its next picture."""
        self._closed = True
        if self._thread is not None:
            self._thread.join(CLOSE_S)

    def _another_scene(self) -> bool:
        if not self._tried_bytes or self._again - self._wait < FIRST_AGAIN:
            return False
        ratio = max(1.0, self._mean_bytes) / max(1.0, self._tried_bytes)
        return not 1 / SIZE_CHANGED < ratio < SIZE_CHANGED

    def _try(self, pictures: list[Image], encoding: str, qualities: dict[str, int]) -> None:
        height, width = pictures[0].shape[:2]
        budget_ms = self._budget_ms * width * height / VGA_PX
        trials = []
        # The fastest of a family stands last; where that is too slow, so are the others.
        too_slow: set[str] = set()
        for name in reversed(self.names):
            spec = CODECS[name]
            if spec.family in too_slow or name in self._too_slow:
                continue
            trial = try_codec(
                spec,
                pictures,
                encoding,
                qualities[name],
                stopped=lambda: self._closed,
                rest=self._rest,
                clock=self._clock,
            )
            if trial is not None:
                trials.append(trial)
                if trial.encode_ms > 2 * budget_ms:
                    too_slow.add(spec.family)
        families = {CODECS[trial.codec].family for trial in trials}
        equal = families <= self._measured
        chosen = choose(trials, self.present, budget_ms, equal=equal, settled=self._settled)
        with self._lock:
            self._settled = True
            changed = chosen != self.present and chosen in self.names
            self._proposed = chosen if changed else self.present
            self._again = FIRST_AGAIN if changed else min(2 * self._again, AGAIN_MAX)
            self._wait = self._again
            self.trials = tuple(trials)
            self.names = tuple(name for name in self.names if opens(name))
            self._tried_bytes = 0.0 if changed else self._mean_bytes
            self._running = False
        if changed:
            log.info("compression: %s from the next frame on: %s", chosen, told(trials))


def told(trials: Sequence[Trial]) -> str:
    """Trials in a few words."""
    return ", ".join(
        f"{t.codec} {t.frame_bytes:.0f} bytes {t.psnr_db:.1f} dB {t.encode_ms:.1f} ms"
        for t in trials
    )
