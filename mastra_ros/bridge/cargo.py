"""What the bridge carries beside frames, across sessions: records, statuses, artefacts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..config import BridgeConfig
from ..records import Record
from .artefacts import ArtefactFolder
from .news import News
from .paths import artefacts_path, records_path
from .records import RecordSpool, RecordThread
from .spool_reserve import Reserve
from .statuses import Statuses

log = logging.getLogger(__name__)


class BridgeCargo:
    """`in_loop(function, …)` calls in the bridge's thread, soon.

    changed(): the status has changed. wake(): there may be records to send. Both are called there.
    """

    def __init__(
        self,
        config: BridgeConfig,
        *,
        in_loop: Callable[..., bool],
        changed: Callable[[], None],
        wake: Callable[[], None],
    ) -> None:
        self._config = config
        self._in_loop = in_loop
        self._changed = changed
        self._news = News()
        self._refused = 0
        self._error = ""
        self.artefacts_received = 0
        self.statuses = Statuses()
        self.records = RecordThread(self._open, lambda: in_loop(wake))
        self.folder = ArtefactFolder(artefacts_path(config), config.artefacts_bytes_max)
        self.disk = ThreadPoolExecutor(1, thread_name_prefix="artefacts")

    def _open(self) -> RecordSpool:
        config, path = self._config, records_path(self._config)
        return RecordSpool(path, config.stream, config.records_bytes_max, Reserve(path))

    def close(self, timeout_s: float) -> None:
        """Commit what waits, and let go of the files."""
        self.records.close(timeout_s)
        self.disk.shutdown()

    def keep(self, record: Record) -> None:
        """Keep a record until the gateway has committed it; from any thread, never blocks."""
        self.records.put(record, self._kept)

    def tell(self, status: Mapping[str, Any]) -> None:
        """How the device is now; from any thread, never blocks."""
        self._in_loop(self.statuses.put, status)

    def _kept(self, refused: str) -> None:
        """Called in the thread of the records, or of whoever brought one."""
        if refused:
            self._in_loop(self._refuse, refused)
        elif self._error:
            self._in_loop(self._well)

    def _refuse(self, reason: str) -> None:
        self._refused += 1
        if not self._error:
            log.error("bridge: a record is refused: %s", reason)
        self._error = reason
        self._changed()

    def _well(self) -> None:
        self._error = ""
        self._changed()

    def refused_by_gateway(self, reason: str) -> None:
        """The gateway does not take a record, or takes none at all."""
        if line := self._news.line(reason, time.monotonic_ns()):
            log.warning("bridge: records: %s", line)

    def status(self) -> dict[str, Any]:
        """The fields of `BridgeStatus` that are of it."""
        stats = self.records.stats
        return {
            "records": stats.waiting,
            "records_delivered": stats.committed_total,
            "records_refused": self._refused + stats.refused_by_gateway,
            "record_error": self._error or stats.error,
            "artefacts_received": self.artefacts_received,
        }
