"""Clears frames for pictures, in a thread of its own where that takes time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import Withheld
from ..privacy import ClearedFrame, Gate
from ..privacy.gate import OFF
from ..types import Frame
from .privacy import SECTION

if TYPE_CHECKING:
    from .lifecycle import StageNode

DRAWN_WAITING_MAX = 2
"""Pictures to be looked at that may wait: who looks wants the newest."""
KEPT_WAITING_MAX = 32
"""Pictures to be kept that may wait."""

Use = Callable[[ClearedFrame], object]


class Clearing:
    """Hands each frame on as a ClearedFrame, in order. With the mode off, at once."""

    def __init__(self, node: StageNode, gate: Gate) -> None:
        self._node = node
        self._gate = gate
        self._jobs: queue.SimpleQueue[tuple[Frame, Use] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, frame: Frame, use: Use, *, kept: bool = False) -> None:
        """Call `use` with the frame once it is cleared; never, where that fails."""
        if self._gate.mode == OFF:
            self._do(frame, use)
            return
        if self._jobs.qsize() >= (KEPT_WAITING_MAX if kept else DRAWN_WAITING_MAX):
            self._gate.overload()
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="pictures", daemon=True)
            self._thread.start()
        self._jobs.put((frame, use))

    def finish(self) -> None:
        """Hand on all that waits, and end the thread."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._do(*job)

    def _do(self, frame: Frame, use: Use) -> None:
        try:
            use(self._gate.clear(frame, late=True))
        except Withheld as error:
            self._node.get_logger().warning(
                f"{SECTION}: no picture of frame {frame.key.stamp_ns}: {error}",
                throttle_duration_sec=5.0,
            )
        except Exception as error:  # one picture; the node goes on
            self._node.fault("picture", error)
