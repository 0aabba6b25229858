"""A session that ends while frames are being sent is no fault of these frames."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from mastra_ros.bridge import SqliteSpool
from mastra_ros.bridge.clearing import NothingToHide, SpoolGate
from mastra_ros.bridge.delivery import Tally
from mastra_ros.bridge.flight import Entry, Goodput
from mastra_ros.bridge.spool_thread import SpoolThread
from mastra_ros.bridge.uplink import Uplink
from mastra_ros.errors import LinkError, ProtocolError
from mastra_ros.types import Packet


@pytest.mark.parametrize("late", [True, False])
def test_a_frame_whose_turn_comes_when_the_session_is_closed_is_kept(
    late: bool, config: Callable[..., Any], packet: Callable[..., Packet], tmp_path: Path
) -> None:
    """It was given up as too large, and gone from the spool."""
    spool = SpoolThread(lambda: SqliteSpool(tmp_path / "spool.sqlite"), Mock())
    spool.start()
    try:
        listener = Mock()
        uplink = Uplink(
            *(Mock(), config(), spool, Tally(), Goodput(), listener),
            SpoolGate(NothingToHide()),
            cargo=Mock(),
        )
        kept = packet(5, late=late)
        if late:
            spool.put(kept)
        with pytest.raises(ProtocolError):
            uplink.session.receive(b"what is no message", time.monotonic_ns())
        with pytest.raises(LinkError, match="session has ended"):
            uplink._encode(Entry(kept, 1, time.monotonic_ns(), 2**62))
        assert listener.failed.call_count == 0
        batch = spool.next_batch(10, frozenset()).result(20)
        assert [p.key for p in batch] == ([kept.key] if late else [])
        assert spool.stats.dropped_total == 0
    finally:
        spool.close(20.0)
