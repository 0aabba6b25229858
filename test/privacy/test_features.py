"""Features leave only where it was measured that no plate can be rebuilt of them."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mastra_ros.compression import Encoder, FeatureEncoder
from mastra_ros.config import CompressionConfig, PrivacyConfig, build
from mastra_ros.errors import ConfigError, ModelError, Withheld
from mastra_ros.nodes.clear_anew import ClearAnew
from mastra_ros.privacy import Gate, Opened, features
from mastra_ros.privacy.features import MeasuredCut, decide
from mastra_ros.privacy.rebuilt import KEY, SAMPLES_MIN, why_not
from mastra_ros.types import Features, FrameKey

from .conftest import FakeFinder, gate_of, noisy_frame

HEAD = "ab" * 32
PAIR = HEAD[:16]
GOOD: dict[str, Any] = {
    "head_sha256": HEAD,
    "samples": SAMPLES_MIN,
    "correlation": 0.02,
    "correlation_upper": 0.05,
    "readings": 0,
    "control": 0.8,
    "settled": True,
}
MEASURED = {"features": "measured", "features_bundle": "mine"}


def features_of(cut: str = "deep", pair: str = PAIR) -> Features:
    return Features(
        FrameKey("main", 1), cut, np.zeros((2, 3), np.int8), 0.1, 0, 64, 48, "mine", pair
    )


def bundle_of(told: Any = None, *, split: bool = True) -> Any:
    measurements = {} if told is None else {KEY: told}
    of = SimpleNamespace(cut="deep", pair=PAIR, measurements=measurements) if split else None
    return SimpleNamespace(name="mine", split=of, part=lambda _: SimpleNamespace(sha256=HEAD))


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The bundle that is there, to be changed; empty: none."""
    found: list[Any] = []

    def load(name: str) -> Any:
        if not found:
            raise ModelError(f"bundle {name}: not found")
        return found[-1]

    monkeypatch.setattr(features, "load_bundle", load)
    return found


def test_a_cut_is_private_where_few_correlate_none_is_read_and_the_decoder_has_learnt() -> None:
    assert why_not({KEY: GOOD}, HEAD) == ""
    assert why_not({KEY: {**GOOD, "correlation_upper": 0.3, "more": "newer"}}, HEAD) == ""


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("samples", SAMPLES_MIN - 1, "at least 200 plates"),
        ("samples", True, "at least 200 plates"),
        ("samples", "many", "at least 200 plates"),
        ("correlation_upper", 0.31, "plates are rebuilt"),
        ("correlation_upper", math.nan, "plates are rebuilt"),
        ("correlation_upper", -math.inf, "plates are rebuilt"),
        ("correlation_upper", "0.1", "plates are rebuilt"),
        ("correlation_upper", None, "plates are rebuilt"),
        ("readings", 1, "were read: 1 of 200"),
        ("readings", -1, "were read"),
        ("readings", None, "were read"),
        ("control", 0.69, "has not learnt"),
        ("control", None, "has not learnt"),
        ("control", math.nan, "has not learnt"),
        ("settled", False, "still learning"),
        ("settled", "yes", "still learning"),
        ("head_sha256", "cd" * 32, "another head"),
        ("head_sha256", None, "another head"),
    ],
)
def test_a_measurement_that_says_otherwise_or_nothing_refuses_the_cut(
    name: str, value: Any, complaint: str
) -> None:
    assert complaint in why_not({KEY: {**GOOD, name: value}}, HEAD)
    if value is None:
        assert complaint in why_not({KEY: {k: v for k, v in GOOD.items() if k != name}}, HEAD)


@pytest.mark.parametrize("told", [None, [], "private", True])
def test_a_measurement_that_is_no_section_refuses_the_cut(told: Any) -> None:
    assert why_not({KEY: told}, HEAD)
    assert "was not measured" in why_not({}, HEAD)
    assert "another head" in why_not({KEY: {**GOOD, "head_sha256": ""}}, "")


def test_only_the_features_of_the_cut_and_head_that_were_measured_pass() -> None:
    measured = MeasuredCut("deep", PAIR)
    assert decide(measured, "", "") == decide(measured, "deep", PAIR) == ""
    for cut, pair in (("stem", PAIR), ("deep", "0" * 16), ("deep", "")):
        assert "measured was cut 'deep'" in decide(measured, cut, pair)
    refused = MeasuredCut("deep", PAIR, "why")
    assert decide(refused, "", "") == decide(refused, "deep", PAIR) == "why"


def test_the_gate_lets_out_what_was_measured_and_nothing_else(installed: list[Any]) -> None:
    installed.append(bundle_of(GOOD))
    gate = gate_of(FakeFinder(), **MEASURED)
    assert gate.state.features
    assert gate.clear_features(features_of()).clearance == gate.clearance
    for other in (features_of("stem"), features_of(pair="0" * 16), features_of(pair="")):
        with pytest.raises(Withheld, match="measured was cut"):
            gate.clear_features(other)
    assert gate.withheld == 3


@pytest.mark.parametrize(
    ("bundle", "complaint"),
    [
        (None, "not found"),
        (bundle_of(split=False), "is not split"),
        (bundle_of(), "was not measured"),
        (bundle_of({**GOOD, "samples": 10}), "at least 200 plates"),
        (bundle_of({**GOOD, "head_sha256": "cd" * 32}), "another head"),
    ],
)
def test_without_a_good_measurement_the_route_split_is_closed_and_frames_still_leave(
    installed: list[Any], bundle: Any, complaint: str
) -> None:
    installed += [bundle] if bundle is not None else []
    finder = FakeFinder()
    gate = Gate(build(PrivacyConfig, MEASURED), lambda _: Opened([finder]))
    assert not gate.state.features
    assert not gate.shut
    assert complaint in gate.features_refused
    with pytest.raises(Withheld, match=complaint):
        gate.clear_features(features_of())


def test_a_bundle_that_is_put_in_place_of_the_measured_one_later_counts_for_nothing(
    installed: list[Any],
) -> None:
    installed.append(bundle_of())
    gate = gate_of(FakeFinder(), **MEASURED)
    assert gate.features_refused
    installed.append(bundle_of(GOOD))
    with pytest.raises(Withheld):
        gate.clear_features(features_of())


def test_measured_needs_a_bundle() -> None:
    with pytest.raises(ConfigError, match="features_bundle"):
        build(PrivacyConfig, {"features": "measured"})


def test_the_older_ways_are_as_they_were(installed: list[Any]) -> None:
    assert not installed
    assert gate_of(FakeFinder(), features="allow").clear_features(features_of(pair=""))
    assert gate_of(mode="off", reason="boards", **MEASURED).clear_features(features_of())
    depth = gate_of(FakeFinder(), features="depth", features_cuts=["deep"])
    assert depth.clear_features(features_of(pair=""))


@pytest.mark.parametrize(
    ("today", "passes"),
    [
        ({"features": "allow"}, True),
        ({"features": "refuse"}, False),
        ({"features": "depth", "features_cuts": ["deep"]}, True),
        ({"features": "depth", "features_cuts": ["stem"]}, False),
        (MEASURED, True),
    ],
)
def test_features_in_the_spool_leave_by_what_is_said_today_whatever_was_said_then(
    installed: list[Any], today: dict[str, Any], passes: bool
) -> None:
    installed.append(bundle_of(GOOD))
    then = gate_of(FakeFinder(), features="allow")
    packet = FeatureEncoder().encode(then.clear_features(features_of()))
    config = build(PrivacyConfig, today)
    clearer = ClearAnew(config, lambda c: Gate(c, lambda _: Opened([FakeFinder()])))
    assert clearer.passes(packet, then.state) is passes
    if not passes:
        with pytest.raises(Withheld):
            clearer.anew(packet)
    damaged = dataclasses.replace(packet, payload=packet.payload[:-1] + b"\xff")
    checked = today["features"] in ("depth", "measured")
    assert clearer.passes(damaged, then.state) is (passes and not checked)


def test_frames_in_the_spool_leave_whatever_is_said_of_features() -> None:
    gate = gate_of(FakeFinder())
    packet = Encoder(CompressionConfig(), "main").encode(gate.clear(noisy_frame()))
    assert ClearAnew(PrivacyConfig()).passes(packet, gate.state)
