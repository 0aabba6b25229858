"""Artefacts as messages: small ones with their data, large ones by their file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from mastra_ros.bridge.artefacts import Received
from mastra_ros.nodes import convert
from mastra_ros.nodes.convert.artefact import INLINE_BYTES_MAX
from mastra_ros.protocol.artefacts import ArtefactOffer


@pytest.mark.parametrize("size", [0, 5, INLINE_BYTES_MAX, INLINE_BYTES_MAX + 1])
def test_the_data_are_in_the_message_up_to_1_mib(tmp_path: Path, size: int) -> None:
    data = bytes(size)
    path = tmp_path / "artefact"
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    offer = ArtefactOffer(1, "plan", "one", size, digest, "v2", "application/json")
    told = convert.artefact_to_ros(Received(offer, path), 1_700_000_000_000_000_005)
    assert (told.kind, told.name, told.version) == ("plan", "one", "v2")
    assert (told.media_type, told.sha256, told.size) == ("application/json", digest, size)
    assert told.path == str(path)
    assert bytes(told.data) == (data if size <= INLINE_BYTES_MAX else b"")
    assert convert.stamp_from_ros(told.header.stamp) == 1_700_000_000_000_000_005
