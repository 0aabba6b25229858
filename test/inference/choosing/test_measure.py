"""Engines tried in child processes: real ones, and some that break in every way."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from mastra_ros.inference import Bundle, EngineOptions
from mastra_ros.inference.choosing.candidates import Candidate, candidates_of
from mastra_ros.inference.choosing.decide import Trial, decide
from mastra_ros.inference.choosing.measure import measure
from mastra_ros.inference.choosing.pictures import NUMBER, drawn_frames

from .conftest import CRASHING, HANGING, LYING

OWN, OTHER = Candidate("local", "litert"), Candidate("local", "openvino")
LONG_S = 120.0
TRY_FOR_LONG = f"""
import sys
from mastra_ros.inference import EngineOptions, load_bundle
from mastra_ros.inference.choosing.candidates import Candidate
from mastra_ros.inference.choosing.measure import measure
here = Candidate("local", "openvino")
measure(load_bundle(sys.argv[1]), [here], EngineOptions(), budget_s={LONG_S})
"""
needs_openvino = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="openvino is not installed"
)


def tried(bundle: Bundle, *candidates: Candidate, budget_s: float = LONG_S) -> list[Trial]:
    before = {child.pid for child in psutil.Process().children()}
    trials = measure(bundle, candidates, EngineOptions(), budget_s=budget_s)
    assert {child.pid for child in psutil.Process().children()} <= before, "a child is left behind"
    return trials


@needs_openvino
def test_engines_that_agree_are_all_measured_on_every_picture(bundle: Bundle) -> None:
    found = candidates_of(bundle, ("local", "cloud"))
    assert [str(one) for one in found] == [
        "litert on local",
        "openvino on local",
        "onnxruntime on cloud",
        "openvino on cloud",
    ]
    trials = tried(bundle, *found)
    assert [trial.problem for trial in trials] == [""] * 4
    assert {len(trial.times_ms) for trial in trials} == {NUMBER}
    choice = decide(bundle, trials)
    assert choice is not None
    assert not choice.problems


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (CRASHING, "ended by SIGILL"),
        ("raise SystemExit(3)", "ended with status 3"),
        ("raise RuntimeError('half removed')", "ended with status 1"),
        ("raise ImportError('no such library')", "pip install openvino"),
    ],
)
def test_an_engine_that_ends_its_child_costs_itself_alone(
    bundle: Bundle, stand_in: Callable[[str, str], None], code: str, said: str
) -> None:
    stand_in("openvino", code)
    own, other = tried(bundle, OWN, OTHER)
    assert said in other.problem
    choice = decide(bundle, [own, other])
    assert choice is not None
    assert choice.candidate == OWN


def test_an_engine_that_hangs_is_given_up_when_time_is_up(
    bundle: Bundle, stand_in: Callable[[str, str], None]
) -> None:
    stand_in("openvino", HANGING)
    _, other = tried(bundle, OWN, OTHER, budget_s=5.0)
    assert not other.times_ms


def test_an_engine_that_answers_otherwise_is_left(
    bundle: Bundle, stand_in: Callable[[str, str], None]
) -> None:
    stand_in("openvino", LYING)
    trials = tried(bundle, OWN, OTHER)
    choice = decide(bundle, trials)
    assert choice is not None
    assert choice.candidate == OWN
    assert choice.problems["openvino on local"].startswith("answers otherwise than litert")


def test_a_missing_runtime_is_said_with_how_to_install_it(
    bundle: Bundle, without: Callable[..., None]
) -> None:
    without("onnxruntime")
    (trial,) = tried(bundle, Candidate("cloud", "onnxruntime"))
    assert "pip install onnxruntime" in trial.problem


def test_a_measurement_that_is_stopped_ends_at_once_and_leaves_nobody(
    bundle: Bundle, stand_in: Callable[[str, str], None]
) -> None:
    stand_in("openvino", HANGING)
    stop = threading.Event()
    timer = threading.Timer(1.0, stop.set)
    timer.start()
    started = time.monotonic()
    measure(bundle, [OTHER], EngineOptions(), budget_s=LONG_S, stop=stop)
    assert time.monotonic() - started < LONG_S / 2
    timer.join()


def test_an_engine_that_hangs_ends_with_the_process_that_tried_it(
    bundle: Bundle, stand_in: Callable[[str, str], None], tmp_path: Path
) -> None:
    hanging = tmp_path / "hanging"
    stand_in("openvino", f"open({str(hanging)!r}, 'w').close()\n{HANGING}")
    folder = str(bundle.part("local").path.parent)
    with subprocess.Popen([sys.executable, "-c", TRY_FOR_LONG, folder]) as parent:
        deadline = time.monotonic() + LONG_S
        while not hanging.exists():
            assert time.monotonic() < deadline, "nothing is tried"
            time.sleep(0.05)
        children = psutil.Process(parent.pid).children()
        parent.kill()
    assert children
    _, alive = psutil.wait_procs(children, timeout=LONG_S / 4)
    assert not alive


def test_the_drawn_pictures_are_of_the_models_size_and_colour_and_always_the_same(
    bundle: Bundle,
) -> None:
    frames, again = drawn_frames(bundle.input), drawn_frames(bundle.input)
    assert len(frames) == NUMBER
    for one, other in zip(frames, again, strict=True):
        assert one.image.shape == (bundle.input.height_px, bundle.input.width_px)
        np.testing.assert_array_equal(one.image, other.image)
    assert len({frame.image.tobytes() for frame in frames}) == NUMBER
