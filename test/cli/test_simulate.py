"""`mastra simulate` compares policies, in three formats and as a picture."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from mastra_ros.cli.main import main


@pytest.fixture
def link(tmp_path: Path) -> Path:
    path = tmp_path / "line.csv"
    path.write_text("time_s,rtt_ms,loss,rate_bps\n0,30,0,8e6\n4,200,0.1,3e5\n")
    return path


def simulate(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["simulate", *arguments])
    out, err = capsys.readouterr()
    return status, out, err


def test_all_policies_and_baselines_are_compared(
    link: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = simulate(capsys, str(link), "--duration", "8", "--load", "bursts")
    assert status == 0
    assert "line: 80 frames at 10 Hz, deadline 150 ms, seed 1" in out
    for name in ("(optimum)", "dta", "dta_full", "adaptive", "latency", "always-local"):
        assert f"\n{name}" in out


def test_json_and_csv_say_the_same_each_time(
    link: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (str(link), "--duration", "6", "--policies", "dta,always-cloud", "--seed", "4")
    _, first, _ = simulate(capsys, *arguments, "--format", "json")
    _, again, _ = simulate(capsys, *arguments, "--format", "json")
    assert first == again
    (told,) = json.loads(first)
    _, table, _ = simulate(capsys, *arguments, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [row["policy"] for row in rows] == ["dta", "always-cloud"]
    for row, policy in zip(rows, told["policies"], strict=True):
        assert float(row["hit_rate"]) == policy["hit_rate"]


def test_stages_accuracy_and_prices_are_files_of_the_user(
    link: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stages = tmp_path / "stages.json"
    stages.write_text(
        json.dumps(
            {
                "local_ms": 10,
                "encode_ms": 1,
                "cloud_ms": 5,
                "delta_bytes": 2000,
                "key_bytes": 9000,
            }
        )
    )
    accuracy = tmp_path / "accuracy.csv"
    accuracy.write_text(
        "confidence,agreement,true,local_right,local_found,cloud_right,cloud_found\n"
        "0.3,0.5,4,2,4,4,4\n0.9,1,4,4,4,4,4\n"
    )
    status, out, _ = simulate(
        capsys,
        str(link),
        *("--duration", "3.5", "--policies", "always-local", "--format", "json"),
        *("--stages", str(stages), "--accuracy", str(accuracy)),
        *("--set", "scheduling.escalate_below=0.5"),
    )
    assert status == 0
    (row,) = json.loads(out)[0]["policies"]
    assert row["escalated"] > 5
    assert row["accuracy"] > 0.85  # 0.75 by the device alone


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--policies", "oracle"], "policy: expected one of"),
        (["--duration", "0"], "--duration: expected 0.1 to"),
        (["--set", "scheduling.load_high=2"], "load_high: expected 0 to 1"),
        (["--stages", "absent.yaml"], "absent.yaml: cannot be read"),
        (["--load", "absent.csv"], "absent.csv"),
    ],
)
def test_a_wrong_argument_is_one_line(
    link: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    status, _, err = simulate(capsys, str(link), *arguments)
    assert status == 2
    assert says in err
    assert err.count("\n") == 1


def test_a_picture_is_drawn_where_matplotlib_is_installed(
    link: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is optional")
    simulate(capsys, str(link), "--duration", "2", "--policies", "dta", "--plot", str(tmp_path))
    assert (tmp_path / "line.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_it_says_how_to_install_it(
    link: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    status, _, err = simulate(
        capsys, str(link), "--duration", "1", "--policies", "dta", "--plot", str(tmp_path)
    )
    assert status == 1
    assert "pip install matplotlib" in err


def test_times_that_were_measured_stand_for_those_of_the_stages(
    link: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The device's model is as slow as its deadline allows, or fast: only the table says so."""
    table = tmp_path / "bench.json"
    for spent_ms, in_time in ((400.0, 0.0), (5.0, 1.0)):
        rows = [
            {"part": part, "engine": "openvino", "threads": 1, "batch": 1, "p50_ms": spent_ms}
            for part in ("local", "cloud")
        ]
        table.write_text(json.dumps(rows))
        status, out, _ = simulate(
            capsys,
            *(str(link), "--duration", "4", "--policies", "always-local", "--format", "json"),
            *("--measured", str(table)),
        )
        assert status == 0
        assert json.loads(out)[0]["policies"][0]["hit_rate"] == in_time


def test_a_table_of_one_end_leaves_the_other_as_it_was(
    link: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "bench.json"
    row = {"part": "cloud_int8", "engine": "openvino", "threads": 1, "batch": 1, "p50_ms": 1.0}
    table.write_text(json.dumps([row]))
    policies = "always-local,always-cloud"
    arguments = (str(link), "--duration", "4", "--policies", policies, "--format", "json")
    ages = []
    for more in ((), ("--measured", str(table))):
        _, out, _ = simulate(capsys, *arguments, *more)
        ages.append([policy["age_p50_ms"] for policy in json.loads(out)[0]["policies"]])
    (local, cloud), (local_again, cloud_again) = ages
    assert local_again == local
    assert cloud_again < cloud


def test_a_file_that_is_no_table_of_times_is_one_line(
    link: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "none.json").write_text("{")
    for name in ("none.json", "missing.json"):
        status, _, err = simulate(capsys, str(link), "--measured", str(tmp_path / name))
        assert status == 2
        assert err.startswith("mastra: --measured: ")
        assert err.count("\n") == 1
