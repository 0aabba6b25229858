"""Looks at devices and disk once in a while, counts alarms, and hands news to the webhook."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from .alarms import Alarm, AlarmStates, Webhook
from .alarms.states import Dropping, Key, faults_of
from .metrics import Metrics
from .statuses import Hearing, StatusBoard
from .steering import Rollout

logger = logging.getLogger(__name__)

DISK_FREE_MIN = 0.02
LOOK_S = 1.0


class Alerting:
    """Used from the loop. connected(): device and stream of each session; look(): see `Hearing`."""

    def __init__(
        self,
        board: StatusBoard,
        hearing: Hearing,
        metrics: Metrics,
        webhook: Webhook | None,
        *,
        state: Path,
        connected: Callable[[], Iterable[tuple[str, str]]],
        look: Callable[[], None],
    ) -> None:
        self._board, self._hearing = board, hearing
        self._metrics = metrics
        self._webhook = webhook
        self._state = state
        self._connected = connected
        self._look = look
        self._states = AlarmStates()
        self._dropping = Dropping()
        self._rollout = ""

    def on_rollout(self, rollout: Rollout) -> None:
        """A roll-out has entered a phase."""
        failed = rollout.phase in ("back", "rolled_back")
        self._rollout = f"{rollout.name}: {rollout.reason}" if failed else ""

    def step(self, now_s: float | None = None) -> list[Alarm]:
        """Look; the news, which the webhook has been told."""
        now_s = time.time() if now_s is None else now_s
        self._look()
        found = self._found(now_s)
        news = self._states.update(found, now_s)
        for alarm in news:
            logger.warning("alarm %s: %s %s %s", alarm.state, alarm.kind, alarm.device, alarm.text)
            if self._webhook is not None:
                self._webhook.tell(alarm)
        self._metrics.on_alarms(self._states.counts())
        return news

    def close(self) -> None:
        """Tell nothing more."""
        if self._webhook is not None:
            self._webhook.close()

    def _found(self, now_s: float) -> dict[Key, str]:
        found: dict[Key, str] = {}
        connected = {device for device, _ in self._connected()}
        for device in self._hearing.devices():
            heard = self._hearing.of_device(device, now_s)
            if device not in connected:
                found["cut", device] = "it has no session"
            if not heard.heard and heard.last_seen_s is not None:
                found["silent", device] = f"not heard for {now_s - heard.last_seen_s:.0f} s"
            for stream in self._board.streams(device):
                entry = self._board.newest(device, stream)
                status = {} if entry is None else entry.status
                found |= {(kind, device): text for kind, text in faults_of(status).items()}
                if count := self._dropping.look(device, stream, status):
                    found["dropped", device] = f"{count} packets were dropped"
        if self._rollout:
            found["rollout", ""] = self._rollout
        try:
            disk = shutil.disk_usage(self._state)
            if disk.free < DISK_FREE_MIN * disk.total:
                found["disk", ""] = f"{disk.free / 1e6:.0f} MB are free for the gateway's state"
        except OSError as error:
            found["disk", ""] = f"the gateway's state: {error.strerror}"
        return found
