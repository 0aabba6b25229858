"""Which candidate is chosen."""

from __future__ import annotations

import numpy as np
import pytest

from mastra_ros.inference import Bundle
from mastra_ros.inference.choosing.candidates import Candidate
from mastra_ros.inference.choosing.decide import Trial, decide
from mastra_ros.types import Detections

OWN, OTHER = Candidate("local", "litert"), Candidate("local", "openvino")
LABELS = ("spot", "shade", "nothing")
SPOT = Detections(
    np.array([[0, 0, 8, 8]], np.float32), np.array([0.9], np.float32), np.zeros(1, np.int32), LABELS
)


def tried(candidate: Candidate, ms: float, answer: Detections = SPOT) -> Trial:
    return Trial(candidate, (ms,) * 8, (answer,) * 8)


def test_the_fastest_of_those_that_agree_is_chosen(bundle: Bundle) -> None:
    choice = decide(bundle, [tried(OWN, 7.6), tried(OTHER, 2.8)])
    assert choice is not None
    assert choice.candidate == OTHER
    assert str(choice) == "openvino on local (litert on local 7.6 ms; openvino on local 2.8 ms)"


@pytest.mark.parametrize("ms", [10.0, 9.9, 30.0])
def test_the_parts_own_engine_stays_where_no_other_is_clearly_faster(
    bundle: Bundle, ms: float
) -> None:
    choice = decide(bundle, [tried(OWN, 10.0), tried(OTHER, ms)])
    assert choice is not None
    assert choice.candidate == OWN


def test_one_slow_run_does_not_count_against_an_engine(bundle: Bundle) -> None:
    hiccup = Trial(OTHER, (2.8,) * 7 + (900.0,), (SPOT,) * 8)
    choice = decide(bundle, [tried(OWN, 7.6), hiccup])
    assert choice is not None
    assert choice.candidate == OTHER


def test_an_engine_that_disagrees_is_left_and_said(bundle: Bundle) -> None:
    choice = decide(bundle, [tried(OWN, 7.6), tried(OTHER, 2.8, Detections.empty(LABELS))])
    assert choice is not None
    assert choice.candidate == OWN
    told = choice.problems["openvino on local"]
    assert told.startswith("answers otherwise than litert, picture 0: it misses spot 0.90")
    assert "\n" not in str(choice)


def test_an_engine_that_crashed_is_left_and_said(bundle: Bundle) -> None:
    crashed = Trial(OTHER, problem="ended by SIGILL")
    choice = decide(bundle, [tried(OWN, 7.6), crashed])
    assert choice is not None
    assert (choice.candidate, choice.problems) == (OWN, {"openvino on local": "ended by SIGILL"})


def test_where_the_parts_own_engine_crashes_the_next_best_is_used(bundle: Bundle) -> None:
    choice = decide(bundle, [Trial(OWN, problem="ended by SIGSEGV"), tried(OTHER, 2.8)])
    assert choice is not None
    assert choice.candidate == OTHER


def test_what_was_not_measured_in_time_is_not_chosen(bundle: Bundle) -> None:
    choice = decide(bundle, [tried(OWN, 7.6), Trial(OTHER, (1.0, 1.0), (SPOT, SPOT))])
    assert choice is not None
    assert choice.candidate == OWN
    assert "in time" in choice.problems["openvino on local"]


def test_without_anything_measured_there_is_no_choice(bundle: Bundle) -> None:
    assert decide(bundle, [Trial(OWN), Trial(OTHER, problem="ended by SIGILL")]) is None


def test_each_part_is_held_against_its_own_engine_and_not_against_another_part(
    bundle: Bundle,
) -> None:
    cloud, there = Candidate("cloud", "onnxruntime"), Candidate("cloud", "openvino")
    blind = Detections.empty(LABELS)
    trials = [tried(OWN, 7.0), tried(cloud, 9.0, blind), tried(there, 3.0, blind)]
    choice = decide(bundle, trials)
    assert choice is not None
    assert choice.candidate == there
