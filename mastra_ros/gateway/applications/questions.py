"""What is asked of an application, from any thread, until its own thread answers."""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from ...errors import StoreError

Answer = Future[dict[str, Any]]
"""What a process says to a question; it fails with StoreError."""


class Questions:
    """The questions to one application, in order."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._waiting: queue.SimpleQueue[tuple[dict[str, Any], bool, Answer]] = queue.SimpleQueue()

    def ask(self, message: dict[str, Any], *, begin: bool) -> Answer:
        """Ask; begin: whether a process is begun for it."""
        answer: Answer = Future()
        self._waiting.put((message, begin, answer))
        return answer

    def answer(self, serve: Callable[[dict[str, Any], bool], dict[str, Any]]) -> bool:
        """Answer all that wait with `serve(message, begin)`; whether there were any.

        What it raises ends this, and is told to who asked as well.
        """
        answered = False
        while not self._waiting.empty():
            message, begin, answer = self._waiting.get()
            if not answer.set_running_or_notify_cancel():
                continue
            answered = True
            try:
                answer.set_result(serve(message, begin))
            except Exception as error:
                answer.set_exception(StoreError(f"application {self._name}: {error}"))
                raise
        return answered

    def refuse(self, why: str) -> None:
        """Nothing that waits is answered."""
        while not self._waiting.empty():
            *_, answer = self._waiting.get()
            if answer.set_running_or_notify_cancel():
                answer.set_exception(StoreError(f"application {self._name}: {why}"))
