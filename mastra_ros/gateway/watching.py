"""What the statuses of devices tell of a roll-out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .latecomers import Latecomers
from .statuses import Hearing, StatusBoard
from .steering import Rollout, Seen


class Watching:
    """Reads board and hearing, in the loop. look(): brings `hearing` up to date."""

    def __init__(self, board: StatusBoard, hearing: Hearing, look: Callable[[], None]) -> None:
        self._board = board
        self._hearing = hearing
        self._look = look

    def streams(self, devices: Iterable[str]) -> dict[str, list[str]]:
        """The streams of each device that can be given a bundle: those that told of one."""
        return {
            device: [
                stream
                for stream in self._board.streams(device)
                if (entry := self._board.newest(device, stream)) is not None
                if "bundle" in entry.status
            ]
            for device in devices
        }

    def latecomers(self, done: Sequence[Rollout]) -> Latecomers:
        """Who is late for these roll-outs."""
        return Latecomers(self._board, self._hearing, done)

    def look(self) -> None:
        """Bring up to date who is heard."""
        self._look()

    def seen(self, rollout: Rollout, now_s: float) -> dict[str, Seen]:
        """Of every device that the roll-out has reached or may reach."""
        self._look()
        return {
            device: self._of(device, rollout, now_s) for device in {*rollout.reached, *rollout.told}
        }

    def _of(self, device: str, rollout: Rollout, now_s: float) -> Seen:
        heard = self._hearing.of_device(device, now_s).heard
        since_s = rollout.switched.get(device, now_s)
        newest: dict[str, Any] = {}
        ages: list[float] = []
        results = failed = 0
        for stream in self.streams([device])[device]:
            entry = self._board.newest(device, stream)
            bundle = {} if entry is None else entry.status["bundle"]
            if not newest or bundle.get("digest") == rollout.digest:
                newest = bundle
            for one in self._board.since(device, stream, since_s, now_s):
                route = one.status.get("route", {})
                age_ms = route.get("age_ms", {}).get("p99")
                ages += [] if age_ms is None else [age_ms]
                failed += route.get("failed", 0)
                results += sum(route.get("results", {}).values())  # with those that failed
        own = newest.get("rollout") == rollout.mark
        agreement = newest.get("agreement") if own else None
        return Seen(
            heard,
            digest=str(newest.get("digest", "")),
            refused=str(newest.get("refused", "")) if own else "",
            age_p99_ms=sorted(ages)[len(ages) // 2] if ages else None,
            results=results,
            failed=failed,
            agreement=agreement if isinstance(agreement, (int, float)) else None,
        )
