"""NATS JetStream beside our records: run by itself where it is installed, and named where not."""

from __future__ import annotations

import importlib.util
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bench.records_bars import records_values
from bench.records_nats import JetStream, missing
from bench.records_table import tables
from mastra_ros.protocol.keys import init_keys


@pytest.mark.skipif(bool(missing()), reason=f"not installed: {missing()}")
def test_it_is_run_where_it_is_installed_and_syncs_each_message(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    init_keys(keys)
    with ExitStack() as stack:
        nats = JetStream.opened(tmp_path, keys, stack)
        assert nats is not None
        assert nats.name.endswith("each message is synced")
        assert nats.rate(2, 4, b"x" * 100, 0.2) > 0


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def nothing(_: str, *__: Any) -> None:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", nothing)
    assert "nats-py" in missing()
    with ExitStack() as stack:
        assert JetStream.opened(tmp_path, tmp_path, stack) is None


def test_the_table_says_what_is_not_installed_and_the_bars_do_not_mind() -> None:
    rows = [
        {"of": "mastra", "devices": 16, "records_per_s": 6000.0},
        {"of": "NATS JetStream", "not_installed": "nats-py, nats-server"},
    ]
    document = {"rate": rows, "bars": []}
    assert "| NATS JetStream | not installed: nats-py, nats-server |" in tables(document)
    names = {name: value for name, value, *_ in records_values(document)}
    assert names["records committed over TLS from 16 devices, a second"] == 6000.0
