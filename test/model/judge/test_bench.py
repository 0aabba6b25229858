"""Speed is measured for what was asked, and what is not in use is told."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from mastra_ros.cli import main as cli
from mastra_ros.inference import Bundle
from mastra_ros.model.judge.bench import bench


def test_every_combination_is_measured(colours: Bundle) -> None:
    timings = bench(colours, engines=["bundle"], threads=(1, 2), batches=(1, 3), runs=3)
    assert len(timings) == 2 * 2 * 2
    assert {(t.part, t.threads, t.batch) for t in timings} == {
        (part, threads, batch)
        for part in ("local", "cloud")
        for threads in (1, 2)
        for batch in (1, 3)
    }
    assert all(t.joined and 0 < t.bare_p50_ms <= t.bare_p99_ms for t in timings)
    assert all(t.frames_per_s == pytest.approx(1e3 * t.batch / t.p50_ms) for t in timings)


def test_every_installed_engine_that_reads_a_part_is_measured(colours: Bundle) -> None:
    timings = bench(colours, threads=(1,), batches=(1,), runs=2)
    wanted = [("cloud", "onnxruntime")]
    if importlib.util.find_spec("openvino") is not None:
        wanted.append(("cloud", "openvino"))
    assert [(one.part, one.engine) for one in timings if one.part == "cloud"] == wanted


def test_an_engine_that_is_not_known_is_refused(
    colours: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["model", "bench", str(colours.path.parent), "--engine", "abacus"]
    assert cli.main(arguments) == 2
    assert "--engine: expected all, bundle, litert" in capsys.readouterr().err


def test_a_provider_that_is_not_there_is_told(
    colours: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bench.json"
    arguments = ["--part", "cloud", "--threads", "1", "--batch", "1", "--runs", "2"]
    arguments += ["--engine", "onnxruntime"]
    providers = ["--providers", "QNNExecutionProvider", "--json", str(out)]
    assert cli.main(["model", "bench", str(colours.path.parent), *arguments, *providers]) == 0
    assert "QNNExecutionProvider is not in use" in capsys.readouterr().out
    assert json.loads(out.read_text())[0]["missing"] == "QNNExecutionProvider"


@pytest.mark.parametrize("batch", ["0", "one", "", "1,2000"])
def test_a_batch_that_is_none_is_refused(
    colours: Bundle, batch: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["model", "bench", str(colours.path.parent), "--batch", batch]) == 2
    assert "--batch: expected numbers" in capsys.readouterr().err
