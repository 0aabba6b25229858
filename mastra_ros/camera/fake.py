"""Fakes of a source, for tests of this stage and of whoever uses it."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np

from ..errors import MastraError, SourceEnded, SourceError, SourceStalled
from ..types import Frame, FrameKey
from .drawn.line import FrameTruth
from .source import Stamper


class FakeSource:
    """Plays a script: a number gives a gray frame of that side in px, an error is raised.

    At the end a finite source has ended; a live one blocks in `read` until it is closed or the
    time is out, as a silent camera does.
    """

    def __init__(
        self,
        script: Iterable[int | MastraError],
        *,
        stream: str = "main",
        stamper: Stamper | None = None,
        frame_id: str = "camera",
        live: bool = False,
        rate_hz: float | None = None,
        due: Iterable[int] = (),
    ) -> None:
        self._script = iter(script)
        self._due = list(due)
        self._stream = stream
        self._stamper = stamper or Stamper()
        self._frame_id = frame_id
        self.live = live
        self.rate_hz = rate_hz
        self.reading = threading.Event()  # set while a read blocks
        self.closed = threading.Event()

    def read(self, timeout_s: float) -> Frame:
        """The next step of the script."""
        if self.closed.is_set():
            raise SourceError("the source is closed")
        step = next(self._script, None)
        del self._due[:1]
        if step is None:
            if not self.live:
                raise SourceEnded("the script is at its end")
            self.reading.set()
            if self.closed.wait(timeout_s):
                raise SourceError("the source is closed")
            raise SourceStalled(f"no frame for {timeout_s:g} s")
        if isinstance(step, MastraError):
            raise step
        image = np.full((step, step), 128, np.uint8)
        return Frame(FrameKey(self._stream, self._stamper.stamp()), image, "mono8", self._frame_id)

    def due_ns(self) -> int | None:
        """Every frame at its turn, unless `due` says when."""
        return self._due[0] if self._due else None

    def truth(self, key: FrameKey) -> FrameTruth | None:  # noqa: ARG002
        """Not known."""
        return None

    def close(self) -> None:
        """Wake the read."""
        self.closed.set()
