"""The boards of a line, each drawn once from the seed and its number, the next ones in advance."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

import cv2
import numpy as np

from .board import Board, BoardDefect, draw_board

AHEAD = 1
"""Boards drawn before they are needed: drawing one takes as long as several frames.

One is enough at the pace of a belt; more would be drawn when a line starts, and disturb others.
"""

PAUSE_S = 0.01
"""Pause after every millisecond or so of drawing, while nobody waits for the board.

A real camera costs the processor little: drawn at a stretch, boards made the models late that are
tried out with them.
"""

DRAWN_PX = 960
"""Larger boards are drawn at this longer side and enlarged, or drawing would disturb the frames."""

KEPT = 6
"""Boards in memory; an older one is drawn again when it is asked for."""


class BoardStore:
    """Draws boards on a thread of its own and keeps the latest; safe to share between threads."""

    def __init__(self, seed: int, width_px: int, height_px: int, defect_rate: float) -> None:
        self._seed = seed
        self._size = (width_px, height_px)
        self._defect_rate = defect_rate
        self._lock = threading.Lock()
        self._boards: OrderedDict[int, Future[Board]] = OrderedDict()
        self._waiting = 0  # for boards that are being drawn
        self._hurry = threading.Event()
        self._painter = ThreadPoolExecutor(1, thread_name_prefix="boards")
        self._closed = False
        self._request(1)

    def board(self, number: int) -> Board:
        """Board `number`, from 1; waits while it is being drawn."""
        if number < 1:
            raise ValueError(f"expected a board number of 1 or more, got {number}")
        with self._lock:
            wanted = self._request(number)
            if not self._closed:
                for ahead in range(1, AHEAD + 1):
                    self._request(number + ahead)
            self._boards.move_to_end(number)
            while len(self._boards) > KEPT:
                self._boards.popitem(last=False)
        try:
            return self._await(wanted)
        except CancelledError:  # closed while the board waited for its turn
            return self._draw(number)

    def close(self) -> None:
        """Draw nothing more in advance; a board asked for later is drawn on the spot."""
        with self._lock:
            self._closed = True
        self._hurry.set()
        self._painter.shutdown(wait=False, cancel_futures=True)

    def _await(self, wanted: Future[Board]) -> Board:
        """A board, drawn without pauses from now on if it is not yet done."""
        if wanted.done():
            return wanted.result()
        with self._lock:
            self._waiting += 1
            self._hurry.set()
        try:
            return wanted.result()
        finally:
            with self._lock:
                self._waiting -= 1
                if not self._waiting and not self._closed:
                    self._hurry.clear()

    def _request(self, number: int) -> Future[Board]:
        known = self._boards.get(number)
        if known is not None:
            return known
        if self._closed:
            future: Future[Board] = Future()
            future.set_result(self._draw(number))
        else:
            future = self._painter.submit(self._draw, number)
        self._boards[number] = future
        return future

    def _draw(self, number: int) -> Board:
        rng = np.random.default_rng([self._seed, number])
        defects = int(rng.integers(1, 7)) if rng.random() < self._defect_rate else 0
        return _draw_scaled(rng, *self._size, defects, self._pause)

    def _pause(self) -> None:
        self._hurry.wait(PAUSE_S)


def _draw_scaled(
    rng: np.random.Generator,
    width_px: int,
    height_px: int,
    defects: int,
    pause: Callable[[], None],
) -> Board:
    """Draw a board at no more than DRAWN_PX and enlarge it: all its lengths grow with its side."""
    scale = max(width_px, height_px) / DRAWN_PX
    small = [round(side / scale) for side in (width_px, height_px)]
    if scale <= 1 or min(small) < 64:
        return draw_board(rng, width_px, height_px, defects, pause=pause)
    board = draw_board(rng, small[0], small[1], defects, pause=pause)
    large = cv2.resize(board.image, (width_px, height_px), interpolation=cv2.INTER_CUBIC)
    _, image = cv2.threshold(large, 127, 255, cv2.THRESH_BINARY)
    sx, sy = width_px / small[0], height_px / small[1]
    boxes = (
        BoardDefect(d.label, d.x1 * sx, d.y1 * sy, d.x2 * sx, d.y2 * sy) for d in board.defects
    )
    return Board(np.asarray(image, np.uint8), tuple(boxes))
