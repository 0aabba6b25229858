"""The pictures of the dashboard are in its docs, and small. Made by: bench.dashboard_pictures"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOTAL_BYTES_MAX = 300_000


def test_every_picture_is_shown_and_all_together_are_small() -> None:
    folder = ROOT / "docs/images"
    made = {path.name: path.read_bytes() for path in folder.glob("dashboard_*.png")}
    names = {f"dashboard_{one}.png" for one in ("fleet", "device", "rollouts", "phone", "dark")}
    assert set(made) == names
    assert all(content.startswith(b"\x89PNG") for content in made.values())
    assert sum(map(len, made.values())) <= TOTAL_BYTES_MAX
    text = (ROOT / "docs/dashboard.md").read_text(encoding="utf-8")
    assert {
        f"dashboard_{one}.png" for one in re.findall(r"images/dashboard_(\w+)\.png", text)
    } == names
