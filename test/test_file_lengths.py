"""Files stay short enough to be read."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LINES_MAX = 400


@pytest.mark.parametrize("folder", ["mastra_ros", "test", "train", "bench", "scripts", "launch"])
def test_files_stay_short(folder: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {lines} lines"
        for path in sorted((ROOT / folder).rglob("*.py"))
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LINES_MAX
    ]
    assert not wrong, "\n".join(wrong)
