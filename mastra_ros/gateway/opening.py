"""Opens what a gateway keeps on disk, and starts the applications that see it."""

from __future__ import annotations

import contextlib
from pathlib import Path

from ..config import GatewayConfig
from .applications.feeds import FRAMES, RESULTS
from .applications.hosts import Applications
from .applications.keeping import Keeping
from .metrics import Metrics
from .records import SqliteRecordStore
from .results_feed import ResultsFeed
from .sets import SqliteSetStore
from .sqlite_store import SqliteStore


def open_store(config: GatewayConfig, folder: Path, metrics: Metrics) -> SqliteStore:
    """The database of results in `folder`; StoreError when it cannot be used."""
    return SqliteStore(
        folder,
        results_max=config.results_max,
        age_max_s=config.results_age_max_s,
        on_commit=metrics.on_commit,
    )


def open_cargo(
    config: GatewayConfig, folder: Path, metrics: Metrics, results: SqliteStore
) -> tuple[SqliteRecordStore, Applications]:
    """The databases of records and sets in `folder`, and the applications that see them, started.

    Raises ConfigError for an application that is not known, StoreError for a database.
    """
    with contextlib.ExitStack() as opened:
        keeping = Keeping(folder, config.artefacts_bytes_max)
        opened.callback(keeping.close)
        woken: list[Applications] = []
        sets = SqliteSetStore(
            folder,
            device_bytes_max=config.sets_bytes_max,
            on_commit=lambda frames: _wake(woken, frames),
        )
        opened.callback(sets.close)
        applications = Applications(
            config.applications,
            keeping,
            on_outcome=metrics.on_application,
            silence_s=config.application_silence_s,
            sets=sets,
            results=ResultsFeed(folder),
            live_bytes_max=config.live_bytes_max,
        )
        woken.append(applications)
        results.listen(lambda count: applications.wake(count, RESULTS))
        records = SqliteRecordStore(
            folder,
            records_max=config.records_max,
            age_max_s=config.records_age_max_s,
            on_commit=applications.wake,
        )
        opened.pop_all()
    applications.start(records)
    return records, applications


def _wake(applications: list[Applications], frames: int) -> None:
    for one in applications:
        one.wake(frames, FRAMES)
