"""mosec with equal work, by the variables BENCH_MODEL and BENCH_DATABASE (or `none`)."""

from __future__ import annotations

import os
from typing import Any

from equal_work import Work  # copied beside this file
from mosec import Server, Worker

MODEL, DATABASE = os.environ["BENCH_MODEL"], os.environ["BENCH_DATABASE"]


class Frames(Worker):  # type: ignore[misc]
    """A group of pictures at a time."""

    def __init__(self) -> None:
        self._work = Work(MODEL, "" if DATABASE == "none" else DATABASE)

    def deserialize(self, data: bytes) -> bytes:
        """A body is a picture."""
        return data

    def serialize(self, data: bytes) -> bytes:
        """What `forward` gives is bytes."""
        return data

    def forward(self, data: list[bytes]) -> Any:
        """The scores and boxes of each."""
        return [scores.tobytes() + boxes.tobytes() for scores, boxes in self._work.run(data)]


if __name__ == "__main__":
    server = Server()
    server.append_worker(Frames, num=1, max_batch_size=64, max_wait_time=1)
    server.run()
