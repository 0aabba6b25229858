"""A store of records, on disk and in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from mastra_ros.gateway.records import MemoryRecordStore, RecordStore, SqliteRecordStore


@pytest.fixture(params=["memory", "sqlite"])
def open_store(request: Any, tmp_path: Path) -> Iterator[Callable[..., RecordStore]]:
    """Opens a store; on disk the same one each time."""
    with ExitStack() as stack:

        def make(**options: Any) -> RecordStore:
            store: RecordStore
            if request.param == "memory":
                store = MemoryRecordStore(**options)
            else:
                store = SqliteRecordStore(tmp_path / "state", **options)
            stack.callback(store.close)
            return store

        yield make
