"""The benchmark for a GPU runs whole on the CPU with a small model, and says what it lacks."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from bench import gateway_gpu


def test_all_of_it_runs_small_on_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "gpu.json"
    options = ["--small", "--seconds", "0.2", "--clients", "4", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["gateway_gpu", *options])
    assert gateway_gpu.main() == 0
    told = json.loads(out.read_text())
    for work in (*told["encoder"].values(), told["board"]):
        for who in ("clients", "full"):
            assert work["gateway"][who]["per_s"] > 0
            assert work["gateway"][who]["refused"] == 0
        assert work["bare"]["4"]["batch_ms"] > 0
        assert work["overhead"] > 0
    assert told["skipped"] == {"triton": "no --triton SERVING was given"}
    measured = [bar["name"] for bar in told["bars"] if bar["value"] is not None]
    assert len(measured) == 4
    assert all(bar["value"] is None for bar in told["bars"] if "Triton" in bar["name"])
