"""Which results are refined: measures, budgets, what it gains, and thresholds that follow."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mastra_ros.config import SchedulingConfig
from mastra_ros.scheduling.arbiter.confidence import MEASURES, agreement, confidence
from mastra_ros.scheduling.arbiter.escalation import Escalation
from mastra_ros.types import Detections, FrameKey, Result, Route

MS = 1_000_000


def found(*scores: float, shift: float = 0.0, labels: tuple[str, ...] = ("a", "b")) -> Detections:
    n = len(scores)
    boxes = np.zeros((n, 4), np.float32)
    boxes[:, 0] = np.arange(n) * 50 + shift
    boxes[:, 2:] = boxes[:, :2] + 10
    boxes[:, 3] = 10
    return Detections(boxes, np.array(scores, np.float32), np.zeros(n, np.int32), labels)


@pytest.mark.parametrize("measure", MEASURES)
def test_a_measure_is_0_to_1_and_certain_of_nothing_found(measure: str) -> None:
    assert confidence(Detections.empty(), measure) == 1.0
    rng = np.random.default_rng(3)
    for _ in range(100):
        value = confidence(found(*rng.random(rng.integers(1, 9))), measure)
        assert 0 <= value <= 1
    assert confidence(found(0.999, 0.999), measure) > 0.95


def test_the_measures_see_different_things() -> None:
    low, half = found(0.1, 0.99), found(0.5, 0.99)
    assert confidence(low, "threshold") == pytest.approx(0.1)
    assert confidence(low, "margin") == pytest.approx(0.8)
    assert confidence(half, "margin") == pytest.approx(0.0, abs=1e-6)
    assert confidence(half, "entropy") < confidence(low, "entropy")
    assert confidence(found(0.5, 0.5), "entropy") < confidence(half, "entropy")


def test_agreement_is_the_f_score_of_one_by_the_other() -> None:
    three = found(0.9, 0.9, 0.9)
    assert agreement(three, three) == 1.0
    assert agreement(three, found(0.9, 0.9)) == pytest.approx(0.8)
    assert agreement(three, found(0.9, 0.9, 0.9, shift=20)) == 0.0
    assert agreement(Detections.empty(), Detections.empty()) == 1.0
    assert agreement(three, Detections.empty()) == 0.0
    assert agreement(three, found(0.9, 0.9, 0.9, labels=("x", "y"))) == 0.0


def escalation(**values: Any) -> Escalation:
    return Escalation(SchedulingConfig(**values))


def test_the_share_is_bounded() -> None:
    some = escalation(escalate_share_max=0.2)
    taken = 0
    for n in range(500):
        assert some.unsure(0.1)
        taken += some.allowed(50.0, 1000.0, n * 100 * MS)
    assert 100 <= taken <= 105
    assert some.state.withheld == 500 - taken
    none = escalation(escalate_share_max=0.0)
    none.unsure(0.1)
    assert not none.allowed(50.0, 1000.0, 0)


def test_the_upload_is_bounded() -> None:
    some = escalation(escalate_bps_max=80_000.0)
    taken = 0
    for n in range(600):  # a minute, ten a second, of 2 kB: 80 kbit/s pay for five a second
        some.unsure(0.1)
        taken += some.allowed(50.0, 2000.0, n * 100 * MS)
    assert 295 <= taken <= 306


def test_what_the_link_could_not_bring_in_time_is_not_sent() -> None:
    one = escalation(escalate_deadline_ms=400.0)
    one.unsure(0.1)
    assert not one.allowed(401.0, 1000.0, 0)
    assert one.allowed(399.0, 1000.0, 0)
    assert one.allowed(math.nan, math.nan, 0)


def test_the_threshold_follows_a_target_share() -> None:
    rng = np.random.default_rng(5)
    following = escalation(escalate_follow="share", escalate_target_share=0.25)
    unsure = [following.unsure(float(s)) for s in rng.beta(5, 2, 4000)]
    assert np.mean(unsure[2000:]) == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(("target", "expected"), [(0.9, 0.8), (0.6, 0.2)])
def test_the_threshold_follows_a_target_accuracy(target: float, expected: float) -> None:
    """Both agree with a probability of 0.5 + confidence / 2, so that `expected` is the answer."""
    rng = np.random.default_rng(6)
    following = escalation(escalate_follow="accuracy", escalate_target_accuracy=target)
    local = Result(FrameKey("main", 1), Route.LOCAL, found(0.9))
    cloud = replace(local, origin=Route.CLOUD)
    other = replace(cloud, detections=found(0.9, shift=30))
    trail = []
    for sure in rng.random(6000):
        if following.unsure(float(sure)):
            agrees = rng.random() < 0.5 + sure / 2
            following.refined(float(sure), local, cloud if agrees else other)
        trail.append(following.state.threshold)
    assert np.mean(trail[3000:]) == pytest.approx(expected, abs=0.15)


def test_the_gain_is_estimated_as_it_goes() -> None:
    watched = escalation()
    assert math.isnan(watched.state.gain)
    local = Result(FrameKey("main", 1), Route.LOCAL, found(0.9, 0.4))
    for n in range(400):
        watched.counted(n % 4 == 0)
        if n % 4 == 0:
            watched.refined(0.4, local, replace(local, detections=found(0.9)))
    state = watched.state
    assert state.agreement == pytest.approx(2 / 3)
    assert state.gain_in_all == pytest.approx(0.25 / 3, abs=0.03)


def test_0_never_refines_whatever_the_measure() -> None:
    assert not escalation(escalate_below=0.0, escalate_follow="share").unsure(0.0)


def test_another_threshold_starts_anew() -> None:
    config = SchedulingConfig(escalate_follow="share", escalate_target_share=0.9)
    moved = Escalation(config)
    for _ in range(20):
        moved.unsure(0.99)
    assert moved.state.threshold > 0.5
    moved.configure(replace(config, deadline_ms=100.0))
    assert moved.state.threshold > 0.5
    moved.configure(replace(config, escalate_below=0.3))
    assert moved.state.threshold == 0.3
