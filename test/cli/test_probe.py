"""`mastra probe`: against a gateway of its own, and what each policy would do."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from mastra_ros.cli.main import main
from mastra_ros.cli.probe import judge
from mastra_ros.config import SchedulingConfig
from mastra_ros.scheduling.policies.policy import POLICIES
from mastra_ros.types import LinkSample, LoadSample

SHORT = ["--idle", "0.3", "--busy", "0.5", "--bytes", "262144"]


def test_a_gateway_of_its_own_is_probed_and_all_is_printed_and_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "probe.json"
    fault = "delay=60ms@0s,up:rate=4mbit@0s"
    assert main(["probe", "--embedded", "--fault", fault, *SHORT, "--json", str(path)]) == 0
    told = json.loads(path.read_text())
    assert told["tls"].startswith("TLSv1.3")
    assert told["rtt_ms"]["min"] >= 59
    assert 0 < told["goodput_up_bps"] < 4.2e6
    assert 0 <= told["load"]["cpu"] <= 1
    assert set(told["policies"]) == set(POLICIES)
    text = capsys.readouterr().out
    for expected in ("TLSv1.3", "goodput up", "round trip p50 / p99", *POLICIES):
        assert expected in text


def test_each_policy_says_what_it_would_do_from_either_route() -> None:
    link = LinkSample(1, True, rtt_ms=30.0, rtt_var_ms=2.0, goodput_bps=1e7, last_heard_ns=1)
    told = judge(SchedulingConfig(), LoadSample(1, cpu=0.95, memory=0.5), link)
    assert told["dta"]["local"]["route"] == "cloud", "load above 0.8, delay below 200 ms"
    assert told["fixed"]["cloud"]["route"] == "local"
    unknown = LinkSample(1, True)
    idle = judge(SchedulingConfig(), LoadSample(1, math.nan, math.nan), unknown)
    assert idle["dta"]["cloud"]["route"] == "cloud", "nothing is known, so it stays"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["wss://127.0.0.1:1", "--busy", "1000"], "--busy: expected 0.1 to 60, got 1000"),
        (["wss://127.0.0.1:1", "--fault", "down@0s"], "--fault: works on the link"),
        (["http://127.0.0.1:1", "--keys", "none"], "expected wss://host:port"),
        (["--embedded", "--fault", "flood@0s"], "fault at position 1"),
    ],
)
def test_a_wrong_command_line_is_one_line(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["probe", *arguments]) == 2
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1
