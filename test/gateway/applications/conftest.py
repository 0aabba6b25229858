"""The application `strange`, installed as a user's package would be."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def strange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Its name, known here and in child processes."""
    site = tmp_path / "site"
    info = site / "strange-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strange\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[mastra_ros.applications]\nstrange = strange:Strange\nframed = strange:Framed\n"
        "watching = strange:Watching\n"
    )
    (site / "strange.py").write_text((Path(__file__).parent / "strange.py").read_text())
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=":")
    return "strange"
