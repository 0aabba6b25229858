"""What the bridge carries beside frames, across sessions: records, statuses, artefacts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..config import BridgeConfig
from ..errors import MastraError
from ..records import Record
from ..sets import SetFrame
from .artefacts import ArtefactFolder, Beside, Link
from .clearing import SpoolGate
from .news import News
from .paths import artefacts_path, records_path, sets_path
from .pictures import ShownPictures
from .records import RecordSpool, RecordThread
from .set_lane import SetItem
from .spool_reserve import Reserve
from .statuses import Statuses

SETS_PENDING = 64
"""Frames of sets that may wait for a slow disk before more are refused."""

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
        self.pictures: ShownPictures | None = None  # for who looks at this device
        self.records = RecordThread(self._open, lambda: in_loop(wake))
        self.sets = RecordThread(
            self._open_sets, lambda: in_loop(wake), name="frames of sets", pending_max=SETS_PENDING
        )
        self._sets_refused = 0
        self._set_error = ""
        self.folder = ArtefactFolder(artefacts_path(config), config.artefacts_bytes_max)
        self.link_down, self.beside = Link(), Beside()
        self.disk = ThreadPoolExecutor(1, thread_name_prefix="artefacts")

    def _open(self) -> RecordSpool:
        config, path = self._config, records_path(self._config)
        return RecordSpool(path, config.stream, config.records_bytes_max, Reserve(path))

    def _open_sets(self) -> RecordSpool:
        config, path = self._config, sets_path(self._config)
        return RecordSpool(path, config.stream, config.sets_bytes_max, what="frames of sets")

    def start(self) -> None:
        """Open the files."""
        self.records.start()
        self.sets.start()

    def close(self, timeout_s: float) -> None:
        """Commit what waits, and let go of the files."""
        self.records.close(timeout_s)
        self.sets.close(timeout_s)
        self.disk.shutdown()

    def keep(self, record: Record) -> None:
        """Keep a record until the gateway has committed it; from any thread, never blocks."""
        self.records.put(record, self._kept)

    def keep_frame(self, frame: SetFrame, gate: SpoolGate) -> None:
        """Keep a frame of a set until the gateway has committed it; from any thread."""
        try:
            item = SetItem.of(frame, self._config.stream)
        except MastraError as error:
            self._set_kept(str(error))
            return
        self._in_loop(self._keep_cleared, frame, item, gate)

    def _keep_cleared(self, frame: SetFrame, item: SetItem, gate: SpoolGate) -> None:
        packet = frame.packet
        if packet is not None and not gate.passes_live(packet):
            self._refuse_frame(f"privacy: made under {packet.clearance or 'no clearance'!r}")
        else:
            self.sets.put(item, self._set_kept)

    def _set_kept(self, refused: str) -> None:
        if refused or self._set_error:
            self._in_loop(self._refuse_frame, refused)

    def _refuse_frame(self, reason: str) -> None:
        self._sets_refused += bool(reason)
        if reason and not self._set_error:
            log.error("bridge: a frame of a set is refused: %s", reason)
        self._set_error = reason
        self._changed()

    def show(self, pictures: ShownPictures, gate: SpoolGate) -> None:
        """Send these to who looks; to be called before `start`."""
        self.pictures = pictures
        pictures.attach(self._in_loop, gate)

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
        stats, sets = self.records.stats, self.sets.stats
        return {
            "records": stats.waiting,
            "records_delivered": stats.committed_total,
            "records_refused": self._refused + stats.refused_by_gateway,
            "record_error": self._error or stats.error,
            "set_frames": sets.waiting,
            "set_frames_delivered": sets.committed_total,
            "set_frames_refused": self._sets_refused + sets.refused_by_gateway,
            "set_error": self._set_error or sets.error,
            "artefacts_received": self.artefacts_received,
        }
