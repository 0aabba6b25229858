"""The grammar of faults, and the link at any moment."""

from __future__ import annotations

import math

import pytest

from mastra_ros.emulation.faults import (
    Fault,
    link_at,
    next_change_s,
    parse_faults,
    resets_between,
)
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
