"""The page on cameras names every encoding and source that is taken, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("sensor_msgs", reason="needs ROS messages: source env.sh")

from mastra_ros.camera.folder import SUFFIXES
from mastra_ros.nodes.convert.pixels import SUPPORTED

PAGE = (Path(__file__).resolve().parents[2] / "docs/cameras.md").read_text(encoding="utf-8")


def test_the_table_of_encodings_is_that_of_the_code() -> None:
    table = PAGE[PAGE.index("| encoding | becomes |") : PAGE.index("YUV is that of")]
    first_cells = [line.split("|")[1] for line in table.splitlines()[2:] if line.startswith("|")]
    named = [name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(named) == sorted(SUPPORTED)


def test_every_kind_of_file_of_a_folder_is_named() -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith("| `folder:DIR`")).lower()
    short = {".jpg": "jpeg", ".tif": "tiff"}
    for suffix in SUFFIXES:
        assert short.get(suffix, suffix[1:]) in row
