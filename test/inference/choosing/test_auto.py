"""The detector that changes its engine while it answers."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from mastra_ros.errors import ConfigError, DependencyError, ModelError
from mastra_ros.inference import Bundle, Detector, EngineOptions
from mastra_ros.inference.choosing import auto
from mastra_ros.inference.choosing.auto import AutoDetector, open_detector
from mastra_ros.inference.choosing.candidates import Candidate, key_of
from mastra_ros.inference.choosing.decide import Choice, Trial
from mastra_ros.inference.choosing.kept import load_choice, save_choice
from mastra_ros.inference.choosing.measure import measure
from mastra_ros.types import Detections, Frame

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="openvino is not installed"
)

OWN, OTHER = Candidate("local", "litert"), Candidate("local", "openvino")
BOTH = ("local",)
WAIT_S = 120.0


@pytest.fixture(autouse=True)
def unpinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MASTRA_ENGINE")


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Callable[..., threading.Event]:
    """Let measuring find openvino faster, or what is given, once the event is set."""

    def make(*trials: Trial) -> threading.Event:
        found = trials or (fast(OTHER), slow(OWN))
        go = threading.Event()

        def instead(
            bundle: Bundle, candidates: object, options: object, *, stop: threading.Event
        ) -> Sequence[Trial]:
            while not go.wait(0.01) and not stop.is_set():
                pass
            return found

        monkeypatch.setattr(auto, "measure", instead)
        return go

    return make


def fast(candidate: Candidate) -> Trial:
    return Trial(candidate, (1.0,) * 8, (Detections.empty(("spot", "shade", "nothing")),) * 8)


def slow(candidate: Candidate) -> Trial:
    return Trial(candidate, (9.0,) * 8, (Detections.empty(("spot", "shade", "nothing")),) * 8)


def opened(bundle: Bundle, folder: Path | None = None) -> AutoDetector:
    detector = open_detector(bundle, BOTH, choices_dir=folder)
    assert isinstance(detector, AutoDetector)
    return detector


def test_it_begins_on_the_bundles_engine_and_goes_over_between_two_frames(
    bundle: Bundle,
    spotted: Frame,
    measured: Callable[..., threading.Event],
    caplog: pytest.LogCaptureFixture,
) -> None:
    go = measured()
    detector = opened(bundle)
    detector.warm_up(2)
    assert detector.await_choice(0.0) is False, "a warm-up is no frame"
    answers = [detector.detect(spotted)]
    assert detector.chosen == "litert on local"
    with caplog.at_level(logging.INFO):
        go.set()
        assert detector.await_choice(WAIT_S)
    answers += [detector.detect(spotted) for _ in range(3)]
    assert detector.engine.name == "openvino"
    told = "openvino on local (openvino on local 1.0 ms; litert on local 9.0 ms)"
    assert detector.chosen == told
    assert told in caplog.text
    for answer in answers:
        np.testing.assert_allclose(answer.boxes, answers[0].boxes, atol=0.2)
        assert answer.classes.tolist() == answers[0].classes.tolist()
    detector.close()
    with pytest.raises(ModelError, match="closed"):
        detector.detect(spotted)


def test_no_frame_is_lost_or_delayed_while_engines_are_measured(
    bundle: Bundle, spotted: Frame, measured: Callable[..., threading.Event]
) -> None:
    go = measured()
    detector = opened(bundle)
    engines = []
    for i in range(200):
        assert len(detector.detect(spotted)) == 2
        engines.append(detector.engine.name)
        if i == 50:
            go.set()
            assert detector.await_choice(WAIT_S)
    assert engines == ["litert"] * 51 + ["openvino"] * 149
    detector.close()


def test_the_threshold_set_meanwhile_holds_after_the_change(
    bundle: Bundle, spotted: Frame, measured: Callable[..., threading.Event]
) -> None:
    go = measured()
    detector = opened(bundle)
    detector.detect(spotted)
    detector.score_threshold = 0.95
    go.set()
    assert detector.await_choice(WAIT_S)
    found = detector.detect(spotted)
    assert detector.engine.name == "openvino"
    assert (detector.score_threshold, found.classes.tolist()) == (0.95, [0])
    detector.close()


def test_the_choice_is_kept_and_used_from_the_first_frame_on(
    bundle: Bundle, spotted: Frame, tmp_path: Path, measured: Callable[..., threading.Event]
) -> None:
    measured().set()
    first = opened(bundle, tmp_path / "state")
    first.detect(spotted)
    assert first.await_choice(WAIT_S)
    first.close()
    second = opened(bundle, tmp_path / "state")
    assert second.engine.name == "openvino"
    assert second.await_choice(0.0), "nothing is measured again"
    second.detect(spotted)
    assert second.await_choice(0.0)
    second.close()


def test_where_the_folder_cannot_be_written_it_is_measured_again(
    bundle: Bundle, spotted: Frame, tmp_path: Path, measured: Callable[..., threading.Event]
) -> None:
    measured().set()
    (tmp_path / "file").write_text("")
    for _ in range(2):
        detector = opened(bundle, tmp_path / "file" / "state")
        assert detector.engine.name == "litert"
        detector.detect(spotted)
        assert detector.await_choice(WAIT_S)
        detector.detect(spotted)
        assert detector.engine.name == "openvino"
        detector.close()


def test_a_choice_that_was_not_measured_whole_is_used_and_not_kept(
    bundle: Bundle, spotted: Frame, tmp_path: Path, measured: Callable[..., threading.Event]
) -> None:
    partly = Trial(OTHER, (1.0,) * 4, fast(OTHER).answers[:4])
    measured(slow(OWN), partly).set()
    detector = opened(bundle, tmp_path / "state")
    detector.detect(spotted)
    assert detector.await_choice(WAIT_S)
    detector.detect(spotted)
    assert detector.engine.name == "openvino"
    assert load_choice(tmp_path / "state", key_of(bundle, BOTH, EngineOptions())) is None
    detector.close()


def test_a_kept_engine_that_no_longer_opens_is_one_warning_and_the_next_is_used(
    bundle: Bundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Choice(Candidate("local", "onnxruntime"), {}, {})
    save_choice(tmp_path, key_of(bundle, BOTH, EngineOptions()), broken)
    with caplog.at_level(logging.WARNING):
        detector = opened(bundle, tmp_path)
    assert detector.engine.name == "litert"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    detector.close()


def test_an_engine_that_crashed_is_one_line_and_the_first_stays(
    bundle: Bundle,
    spotted: Frame,
    measured: Callable[..., threading.Event],
    caplog: pytest.LogCaptureFixture,
) -> None:
    measured(slow(OWN), Trial(OTHER, problem="ended by SIGILL")).set()
    detector = opened(bundle)
    with caplog.at_level(logging.WARNING):
        detector.detect(spotted)
        assert detector.await_choice(WAIT_S)
    assert [record.message for record in caplog.records] == [
        "bright_cells: openvino on local: ended by SIGILL"
    ]
    detector.detect(spotted)
    assert detector.engine.name == "litert"
    detector.close()


def test_a_measurement_that_fails_altogether_leaves_the_first_at_work(
    bundle: Bundle,
    spotted: Frame,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: object, **__: object) -> list[Trial]:
        raise OSError("no more processes")

    monkeypatch.setattr(auto, "measure", broken)
    detector = opened(bundle)
    detector.detect(spotted)
    assert detector.await_choice(WAIT_S)
    assert "could not be measured" in caplog.text
    assert len(detector.detect(spotted)) == 2
    detector.close()


def test_closing_ends_a_measurement_under_way(bundle: Bundle, spotted: Frame) -> None:
    detector = opened(bundle)
    detector.detect(spotted)
    detector.close()
    assert detector.await_choice(0.0)


def test_a_part_that_stands_for_the_first_is_taken_where_it_is_faster(
    bundle: Bundle, spotted: Frame, measured: Callable[..., threading.Event]
) -> None:
    cloud = Candidate("cloud", "onnxruntime")
    measured(slow(OWN), fast(cloud)).set()
    detector = open_detector(bundle, ("local", "cloud"))
    assert isinstance(detector, AutoDetector)
    assert detector.model == "bright_cells_litert"
    detector.detect(spotted)
    assert detector.await_choice(WAIT_S)
    detector.detect(spotted)
    assert (detector.part_name, detector.model) == ("cloud", "bright_cells_onnxruntime")
    detector.close()


@pytest.mark.parametrize("engine", ["bundle", "litert", "openvino"])
def test_a_named_engine_is_used_and_nothing_is_measured(bundle: Bundle, engine: str) -> None:
    detector = open_detector(bundle, BOTH, engine)
    assert isinstance(detector, Detector)
    assert detector.engine.name == ("litert" if engine == "bundle" else engine)
    detector.close()


def test_the_environment_pins_what_auto_stands_for(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASTRA_ENGINE", "bundle")
    detector = open_detector(bundle, BOTH)
    assert isinstance(detector, Detector)
    detector.close()
    monkeypatch.setenv("MASTRA_ENGINE", "abacus")
    with pytest.raises(ConfigError, match="MASTRA_ENGINE: expected auto, bundle or an engine"):
        open_detector(bundle, BOTH)


PROGRAM = """
import functools, json, logging, sys
logging.basicConfig(level=logging.INFO)
from mastra_ros.errors import MastraError
from mastra_ros.inference import load_bundle
from mastra_ros.inference.choosing import auto
from mastra_ros.inference.choosing.auto import open_detector
from mastra_ros.inference.choosing.kept import choices_folder
from mastra_ros.inference.choosing.pictures import drawn_frames
auto.measure = functools.partial(auto.measure, budget_s=120.0)  # also on a busy machine
bundle, part, engine = load_bundle(sys.argv[1]), sys.argv[2], sys.argv[3]
try:
    folder = choices_folder("") if sys.argv[4:] else None
    detector = open_detector(bundle, (part,), engine, choices_dir=folder)
except MastraError as error:
    print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
    sys.exit()
frame = drawn_frames(bundle.input)[0]
first, engine = len(detector.detect(frame)), detector.engine.name
if hasattr(detector, "await_choice"):
    detector.await_choice(120)
second = len(detector.detect(frame))
detector.close()
print(json.dumps({"first": engine, "last": detector.engine.name, "found": [first, second]}))
"""


def told_by(bundle: Bundle, part: str, engine: str = "auto") -> tuple[dict[str, object], str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(bundle.path.parent), part, engine],
        capture_output=True,
        text=True,
        check=True,
    )
    told: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return told, done.stderr


@pytest.mark.parametrize(
    ("gone", "part", "left", "hint"),
    [
        (["openvino"], "cloud", "onnxruntime", ""),
        (["openvino"], "local", "litert", ""),
        (["onnxruntime"], "cloud", "openvino", "pip install onnxruntime"),
        (["ai_edge_litert", "tflite_runtime"], "local", "openvino", "pip install ai-edge-litert"),
    ],
)
def test_in_an_environment_without_a_runtime_another_that_reads_the_file_serves(
    bundle: Bundle, without: Callable[..., None], gone: list[str], part: str, left: str, hint: str
) -> None:
    without(*gone)
    told, log = told_by(bundle, part)
    assert (told["first"], told["last"]) == (left, left)
    assert hint in log
    assert "Traceback" not in log


def test_without_any_runtime_for_it_the_error_says_what_to_install(
    bundle: Bundle, without: Callable[..., None]
) -> None:
    without("onnxruntime", "openvino")
    told, _ = told_by(bundle, "cloud")
    assert str(told["error"]).startswith("DependencyError: ONNX Runtime is needed")
    told, _ = told_by(bundle, "cloud", "openvino")
    assert str(told["error"]).startswith("DependencyError: OpenVINO is needed")


def test_the_bundles_engine_is_not_replaced_where_it_was_asked_for(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DependencyError, match="pip install onnxruntime"):
        open_detector(bundle, ("cloud",), "bundle")


def test_two_processes_that_choose_at_once_both_answer_and_leave_one_choice(
    bundle: Bundle, tmp_path: Path
) -> None:
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(bundle.path.parent), "local", "auto", "keep"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for _ in range(2)
    ]
    for one in programs:
        output, errors = one.communicate()
        assert one.returncode == 0, errors
        assert len(set(json.loads(output.splitlines()[-1])["found"])) == 1
    kept = list((tmp_path / "state" / "mastra" / "engines").iterdir())
    assert [path.suffix for path in kept] == [".json"]


def test_real_engines_are_measured_and_one_of_them_chosen(
    bundle: Bundle, spotted: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def patiently(*given: object, stop: threading.Event) -> list[Trial]:
        return measure(*given, budget_s=WAIT_S, stop=stop)  # type: ignore[arg-type]

    monkeypatch.setattr(auto, "measure", patiently)
    detector = opened(bundle)
    assert len(detector.detect(spotted)) == 2
    assert detector.await_choice(WAIT_S)
    assert len(detector.detect(spotted)) == 2
    assert "litert on local" in detector.chosen
    assert " ms" in detector.chosen
    detector.close()
