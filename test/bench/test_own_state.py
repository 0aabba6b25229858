"""Benchmarks and tests keep nothing in the state of whoever runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHOW = (
    "import bench.pinned; from mastra_ros.bridge.paths import *; "
    "from mastra_ros.config import BridgeConfig as B; "
    "print(*(path(B()).parent for path in (spool_path, records_path, sets_path, artefacts_path)))"
)


def places(**environment: str) -> list[Path]:
    """Where the bridge of a benchmark keeps what it keeps."""
    keep = {name: value for name, value in os.environ.items() if name != "XDG_STATE_HOME"}
    done = subprocess.run(
        [sys.executable, "-c", SHOW],
        cwd=ROOT,
        env={**keep, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return [Path(text) for text in done.stdout.split()]


def test_devices_of_a_benchmark_keep_what_they_keep_in_a_folder_that_goes_with_it(
    tmp_path: Path,
) -> None:
    found = places(HOME=str(tmp_path))
    assert len(found) == 4
    assert not any(tmp_path in (place, *place.parents) for place in found), found
    assert not any(place.parent.exists() for place in found), "it went with the benchmark"


def test_a_folder_that_is_named_is_used(tmp_path: Path) -> None:
    assert places(XDG_STATE_HOME=str(tmp_path)) == [tmp_path / "mastra"] * 4


WRITES = """
from pathlib import Path

def test_it():
    folder = Path("~/.local/state/mastra").expanduser()
    folder.mkdir(parents=True)
    (folder / "spool-cam-1-main.sqlite").touch()
"""


@pytest.mark.parametrize(("text", "status"), [(WRITES, 1), ("def test_it(): pass", 0)])
def test_a_test_that_writes_there_fails(tmp_path: Path, text: str, status: int) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "test/conftest.py").read_text("utf-8"), "utf-8")
    (tmp_path / "test_writes.py").write_text(text, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_writes.py"],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout
    assert ("made in" in done.stdout) == bool(status)
