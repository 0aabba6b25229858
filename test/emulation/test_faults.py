"""The grammar of faults, and the link at any moment."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from mastra_ros.emulation.faults import (
    Fault,
    link_at,
    next_change_s,
    resets_between,
)
from mastra_ros.emulation.grammar import parse_faults, read_faults, read_script
from mastra_ros.emulation.trace import load_trace
from mastra_ros.errors import ConfigError


def test_every_kind_of_fault_is_read() -> None:
    faults = parse_faults(
        "down@5s..15s, delay=120ms@2s..8s,rate=1mbit@3s..9s,stall@1500ms,reset@7s"
    )
    assert faults == (
        Fault("down", 5, 15),
        Fault("delay", 2, 8, 0.12),
        Fault("rate", 3, 9, 1e6),
        Fault("stall", 1.5, math.inf),
        Fault("reset", 7, 7),
    )


def test_an_empty_specification_has_no_faults() -> None:
    assert parse_faults("  ") == ()


@pytest.mark.parametrize(
    ("specification", "position", "complaint"),
    [
        ("flood@1s", 1, "expected one of"),
        ("down@5s..6s,sleep@1s", 13, "expected one of"),
        ("down", 1, "kind[=value]@start[..end]"),
        ("down@5s,", 9, "kind[=value]@start[..end]"),
        ("down=3@5s", 6, "takes no value"),
        ("delay@2s", 1, "needs a value"),
        ("delay=12@2s", 7, "unit ms or s"),
        ("delay=12mbit@2s", 7, "unit ms or s"),
        ("rate=0kbit@2s", 6, "above 0"),
        ("rate=1mbit@x", 12, "unit ms or s"),
        ("stall@5s..4s", 11, "end after 5 s"),
        ("stall@5s..", 11, "unit ms or s"),
        ("reset@5s..6s", 1, "has no end"),
    ],
)
def test_a_wrong_specification_names_the_position(
    specification: str, position: int, complaint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_faults(specification)
    assert f"at position {position}:" in str(caught.value)
    assert complaint in str(caught.value)


def test_the_link_follows_the_schedule() -> None:
    faults = parse_faults(
        "delay=120ms@2s..8s,delay=40ms@4s..5s,rate=1mbit@3s,rate=2mbit@3s,down@9s"
    )
    assert link_at(faults, 0.0).up.delay_s == 0.0
    assert link_at(faults, 2.0).up.delay_s == pytest.approx(0.06)
    assert link_at(faults, 4.5).down.delay_s == pytest.approx(0.08)
    assert link_at(faults, 7.9).up.rate_bps == 1e6
    assert math.isinf(link_at(faults, 2.9).up.rate_bps)
    assert not link_at(faults, 8.9).cut
    assert link_at(faults, 9.0).cut


def test_changes_and_resets_are_found_in_order() -> None:
    faults = parse_faults("stall@1s..3s,reset@2s")
    assert [next_change_s(faults, t_s) for t_s in (0.0, 1.0, 2.0)] == [1.0, 2.0, 3.0]
    assert math.isinf(next_change_s(faults, 3.0))
    assert resets_between(faults, 1.0, 2.0)
    assert not resets_between(faults, 2.0, 9.0)


def test_a_fault_can_be_confined_to_one_direction() -> None:
    faults = parse_faults("up:rate=256kbit@0s,down:delay=80ms@0s,delay=20ms@0s,up:stall@3s")
    link = link_at(faults, 0.0)
    assert (link.up.rate_bps, link.down.rate_bps) == (256e3, math.inf)
    assert link.up.delay_s == pytest.approx(0.01)
    assert link.down.delay_s == pytest.approx(0.09), "in one direction a delay counts in full"
    later = link_at(faults, 3.0)
    assert later.up.stalled
    assert not later.down.stalled
    assert not later.stalled


def test_jitter_adds_up_and_losses_combine() -> None:
    faults = parse_faults("jitter=10ms@0s,up:jitter=30ms@0s,loss=10%@0s,loss=20%@0s")
    link = link_at(faults, 0.0)
    assert (link.up.jitter_s, link.down.jitter_s) == pytest.approx((0.04, 0.01))
    assert link.up.loss == pytest.approx(0.28)
    assert link.rtt_s == pytest.approx(0.025), "jitter makes the mean round trip longer"


@pytest.mark.parametrize(
    ("specification", "complaint"),
    [
        ("up:down@5s", "as a whole"),
        ("down:reset@5s", "as a whole"),
        ("left:stall@5s", "kind[=value]@start[..end]"),
        ("loss=2@5s", "unit %"),
        ("loss=60%@5s", "at most 50%"),
        ("jitter@5s", "such as jitter=30ms"),
        ("trace=@5s", "such as trace=FILE"),
        ("trace=nowhere.up@5s", "cannot be read"),
    ],
)
def test_the_newer_kinds_have_clear_errors_too(specification: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match="fault at position") as caught:
        parse_faults(specification)
    assert complaint in str(caught.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lte.up").write_text("0\n5\n5\n10\n")
    (tmp_path / "tunnel.txt").write_text(
        "# on the way to work\nup:trace=lte.up@0s\n\n"
        "down@30s..42s  # the tunnel\nreset@50s,stall@51s"
    )
    return tmp_path


def test_a_script_has_a_fault_a_line_and_its_traces_beside_it(folder: Path) -> None:
    faults = read_script(folder / "tunnel.txt")
    assert faults == read_faults(f"@{folder / 'tunnel.txt'}")
    assert [fault.kind for fault in faults] == ["trace", "down", "reset", "stall"]
    assert link_at(faults, 1.0).up.trace == load_trace(folder / "lte.up")
    assert link_at(faults, 1.0).down.trace is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("# nothing\n", "expected faults, one a line"),
        ("down@1s\nsleep@2s\n", "line 2: fault at position 1: expected one of"),
        ("trace=gone@0s\n", "line 1: fault at position 7: trace"),
        ("\xff", "expected kind"),
    ],
)
def test_a_wrong_script_names_file_and_line(folder: Path, text: str, complaint: str) -> None:
    path = folder / "script.txt"
    path.write_text(text)
    with pytest.raises(ConfigError, match=str(path)) as caught:
        read_script(path)
    assert complaint in str(caught.value)


def test_a_script_that_is_no_text_is_one_clear_error(folder: Path) -> None:
    (folder / "script.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_script(folder / "script.txt")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_script(folder / "missing.txt")
