"""Faults at every step: no packet and no picture ever carries what had to be hidden.

Each frame bears a watermark of noise in its region. All that leaves (key frames, deltas, records of
the spool, saved and annotated pictures) is decoded as a gateway would, and correlated with it.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from bench.leaks import FAULTS, Trial

FRAMES = 500
"""In the long form, `python -m bench.leaks`, 10,000."""


@pytest.fixture(scope="module")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    trial = Trial(tmp_path_factory.mktemp("hidden"), hide=True)
    trial.run(FRAMES, huge=1)
    return trial


def test_none_of_the_faulty_frames_carries_the_watermark(hidden: Trial) -> None:
    assert hidden.frames == FRAMES
    assert hidden.faulty == FRAMES
    assert hidden.leaks == []
    assert set(hidden.by_fault) == set(FAULTS)


def test_among_them_frames_did_leave_in_every_way(hidden: Trial) -> None:
    assert min(hidden.looked_at[way] for way in ("key", "delta", "spool", "saved", "drawn")) > 5
    assert hidden.withheld > FRAMES / 3


def test_the_same_search_finds_it_where_nothing_is_hidden(tmp_path: Path) -> None:
    trial = Trial(tmp_path, hide=False)
    trial.run(100, huge=0)
    assert trial.withheld == 0
    seen = Counter(way for way, _ in trial.leaks)
    for way, count in trial.looked_at.items():
        assert seen[way] >= 0.99 * count, (way, seen, trial.looked_at)
