"""Gateways under attack, shared by the rows that want the same one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.attacks.site import Sites


@pytest.fixture(scope="session")
def sites() -> Iterator[Sites]:
    """The sites of the short form."""
    pytest.importorskip("onnx", reason="onnx is not installed: no model to serve")
    made = Sites(short=True)
    yield made
    made.close()
