"""A used token stays used across restarts, as long as it would be good."""

from __future__ import annotations

import stat
import time
from pathlib import Path

import pytest

from mastra_ros.errors import AuthenticationError
from mastra_ros.gateway import used_tokens
from mastra_ros.gateway.used_tokens import FILE, UsedTokens


def test_a_used_token_is_refused_after_a_restart(tmp_path: Path) -> None:
    now_s = time.time()
    UsedTokens(tmp_path).admit("cam", "first-token", now_s + 300, now_s)
    again = UsedTokens(tmp_path)
    with pytest.raises(AuthenticationError, match="used before"):
        again.admit("cam", "first-token", now_s + 300, now_s)
    again.admit("cam", "second-token", now_s + 300, now_s)
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_expired_tokens_are_left_out_at_a_start(tmp_path: Path) -> None:
    now_s = time.time()
    used = UsedTokens(tmp_path)
    used.admit("cam", "old-token", now_s - 1, now_s - 300)
    used.admit("cam", "new-token", now_s + 300, now_s - 300)
    UsedTokens(tmp_path)
    text = (tmp_path / FILE).read_text()
    assert "new-token" in text
    assert "old-token" not in text


def test_torn_and_strange_lines_cost_no_other(tmp_path: Path) -> None:
    now_s = time.time()
    UsedTokens(tmp_path).admit("cam", "first-token", now_s + 300, now_s)
    with (tmp_path / FILE).open("a") as file:
        file.write('[]\n{"a": 1}\n["cam", 7, 1]\n["cam", "torn-tok')
    again = UsedTokens(tmp_path)
    with pytest.raises(AuthenticationError, match="used before"):
        again.admit("cam", "first-token", now_s + 300, now_s)


def test_the_file_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(used_tokens, "LINES_MAX", 10)
    now_s = time.time()
    used = UsedTokens(tmp_path)
    for n in range(50):
        used.admit("cam", f"token-{n:04}", now_s - 1, now_s - 60)
    assert len((tmp_path / FILE).read_text().splitlines()) <= 12


def test_without_a_folder_tokens_are_remembered_in_memory_and_it_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    used = UsedTokens(tmp_path / "missing")
    assert "remembered until a restart only" in caplog.text
    used.admit("cam", "first-token", time.time() + 300, time.time())
    with pytest.raises(AuthenticationError, match="used before"):
        used.admit("cam", "first-token", time.time() + 300, time.time())
