"""The gate fails closed: what could not be checked does not leave."""

from __future__ import annotations

import copy
import dataclasses
import threading
import time
from typing import Any

import numpy as np
import pytest

from mastra_ros.config import PrivacyConfig, build
from mastra_ros.errors import ConfigError, ModelError, Withheld
from mastra_ros.privacy import ClearedFeatures, ClearedFrame, Gate, Opened, Region, open_gate
from mastra_ros.types import Features, Frame, FrameKey

from .conftest import FakeFinder, face, frame_of, gate_of, noise, noisy_frame

ENCODINGS = ("mono8", "bgr8", "rgb8", "mono16", "bgr16", "rgb16")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_face_is_hidden_in_the_very_frame_in_which_it_is_found(encoding: str) -> None:
    gate = gate_of(FakeFinder(face(40, 40)), widen=0.0)
    frame = noisy_frame(encoding)
    before = frame.image.copy()
    cleared = gate.clear(frame)
    assert cleared.masked == 1
    inside = np.s_[40:80, 40:80]
    assert len(np.unique(cleared.image[inside].reshape(40 * 40, -1), axis=0)) <= 64
    outside = np.ones(before.shape[:2], bool)
    outside[inside] = False
    assert np.array_equal(cleared.image[outside], before[outside])
    assert np.array_equal(frame.image, before)  # the device's own model sees the frame as it is
    assert (cleared.key, cleared.encoding) == (frame.key, encoding)


def test_the_finder_sees_blue_green_red_of_eight_bits_and_cannot_write_to_it() -> None:
    seen = []
    finder = FakeFinder()
    finder.answer = lambda image: seen.append((image.copy(), image.flags.writeable)) or []
    image = np.zeros((8, 8, 3), np.uint8)
    image[..., 0] = 200  # red
    gate_of(finder).clear(frame_of(image, encoding="rgb8"))
    assert seen[0][0][0, 0].tolist() == [0, 0, 200]
    assert not seen[0][1]


def raising(error: BaseException) -> Any:
    def answer(_: Any) -> Any:
        raise error

    return answer


FAULTS = {
    "an exception": raising(RuntimeError("broken")),
    "no memory": raising(MemoryError()),
    "an error of the model": raising(ModelError("cannot run")),
    "an exit": raising(SystemExit(3)),
    "an interrupt": raising(KeyboardInterrupt()),
    "a region of NaN": lambda _: [Region(float("nan"), 0, 5, 5, "face")],
    "a score of NaN": lambda _: [Region(0, 0, 5, 5, "face", float("nan"))],
    "an infinite region": lambda _: [Region(0, 0, float("inf"), 5, "face")],
    "a region without an area": lambda _: [Region(0, 0, 0, 5, "face")],
    "nothing at all": lambda _: None,
    "an array": lambda _: np.zeros((1, 5)),
    "tuples for regions": lambda _: [(0, 0, 5, 5, "face", 0.9)],
    "writing to the picture": lambda image: image.__setitem__(0, 0) or [],
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("first", [True, False])
def test_no_fault_of_a_finder_lets_a_frame_out(fault: str, first: bool) -> None:
    faulty, good = FakeFinder(), FakeFinder(face(40, 40))
    faulty.answer = FAULTS[fault]
    gate = gate_of(*((faulty, good) if first else (good, faulty)))
    with pytest.raises(Withheld):
        gate.clear(noisy_frame())
    assert (gate.cleared, gate.masked, gate.withheld) == (0, 0, 1)
    assert sum(gate.reasons.values()) == 1
    faulty.answer = lambda _: []
    assert gate.clear(noisy_frame()).masked == 1  # the next one may be fine


def test_a_search_that_hangs_is_given_up_and_holds_up_no_other_frame(
    freed: threading.Event,
) -> None:
    finder = FakeFinder()
    finder.answer = lambda _: [] if freed.wait(30.0) else None
    gate = gate_of(finder, timeout_ms=30.0)
    with pytest.raises(Withheld, match="longer than 30 ms"):
        gate.clear(noisy_frame())
    assert "hangs" in gate.shut
    for _ in range(3):
        with pytest.raises(Withheld, match="hangs"):
            gate.clear(noisy_frame())
    assert len(finder.seen) == 1
    gate.close()
    assert finder.closed == 0  # it is in use
    freed.set()
    _until(lambda: finder.closed == 1)


def test_after_a_search_that_hung_all_is_well_and_its_answer_is_thrown_away(
    freed: threading.Event,
) -> None:
    finder = FakeFinder()
    finder.answer = lambda _: [face(0, 0)] if freed.wait(30.0) else None
    gate = gate_of(finder, timeout_ms=30.0)
    with pytest.raises(Withheld):
        gate.clear(noisy_frame())
    finder.answer = lambda _: [face(60, 60)]
    freed.set()
    _until(lambda: not gate.shut)
    cleared = gate.clear(noisy_frame())
    assert cleared.masked == 1
    assert np.array_equal(cleared.image[:40, :40], noisy_frame().image[:40, :40])


def _until(condition: Any) -> None:
    deadline = time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize(
    "error", [ModelError("digest: expected a1, got b2"), OSError(2, "no file"), MemoryError()]
)
def test_finders_that_cannot_be_opened_shut_the_gate_and_it_says_why(error: Exception) -> None:
    gate = Gate(PrivacyConfig(), raising(error))
    assert gate.shut
    with pytest.raises(Withheld):
        gate.clear(noisy_frame())
    assert gate.clearance == ""
    assert not gate.accepts("")
    assert gate.withheld == 1


def test_a_gate_is_opened_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    present: list[Opened] = []

    def open_(_: PrivacyConfig) -> Opened:
        if not present:
            raise ModelError("missing")
        return present[0]

    gate = Gate(PrivacyConfig(), open_)
    present.append(Opened([FakeFinder()]))
    with pytest.raises(Withheld, match="missing"):
        gate.clear(noisy_frame())
    monkeypatch.setattr("mastra_ros.privacy.gate.REOPEN_S", -1.0)
    gate.clear(noisy_frame())
    assert not gate.shut


def test_the_default_without_models_withholds_and_names_the_command() -> None:
    gate = open_gate(build(PrivacyConfig, {"finders": ["centerface"], "models_dir": "/nowhere"}))
    if gate.shut:  # true until the models are here
        assert "make setup" in gate.shut
        with pytest.raises(Withheld, match="make setup"):
            gate.clear(noisy_frame())
    gate.close()


@pytest.mark.parametrize(
    ("values", "complaint"),
    [({"finders": []}, "at least one"), ({"finders": ["eagle"]}, "unknown 'eagle'")],
)
def test_no_finder_and_unknown_ones_shut_the_gate(values: Any, complaint: str) -> None:
    gate = open_gate(build(PrivacyConfig, values))
    with pytest.raises(Withheld, match=complaint):
        gate.clear(noisy_frame())


def test_a_few_frames_withheld_in_a_row_shut_the_gate_and_one_that_passes_opens_it() -> None:
    finder = FakeFinder()
    gate = gate_of(finder)
    finder.answer = raising(RuntimeError("broken"))
    shut = []
    for _ in range(3):
        with pytest.raises(Withheld):
            gate.clear(noisy_frame())
        shut.append(bool(gate.shut))
    assert shut == [False, False, True]
    finder.answer = lambda _: []
    gate.clear(noisy_frame())
    assert not gate.shut


def test_a_picture_too_large_is_not_searched_and_does_not_leave() -> None:
    finder = FakeFinder()
    gate = gate_of(finder, pixels_max=1000)
    with pytest.raises(Withheld, match="at most 1000 px to search, got 19200"):
        gate.clear(noisy_frame())
    assert not finder.seen


def test_an_unknown_encoding_does_not_leave() -> None:
    frame = noisy_frame()
    object.__setattr__(frame, "encoding", "yuv422")
    for values in ({}, {"mode": "regions", "polygons": ["0,0 1,0 1,1"]}):
        with pytest.raises(Withheld, match="yuv422"):
            gate_of(FakeFinder(), **values).clear(frame)


def test_off_needs_a_reason_and_then_gives_the_frame_as_it_is() -> None:
    for reason in ("", "  "):
        with pytest.raises(ConfigError, match="reason"):
            build(PrivacyConfig, {"mode": "off", "reason": reason})
    frame = noisy_frame()
    cleared = gate_of(mode="off", reason="boards").clear(frame)
    assert (cleared.frame, cleared.masked, cleared.clearance) == (frame, 0, "off")


def test_whole_shows_the_objects_of_the_task_alone() -> None:
    objects = FakeFinder(Region(20.5, 20.5, 30, 20, "scratch", 0.8))
    gate = gate_of(FakeFinder(), objects=objects, mode="whole")
    frame = noisy_frame()
    cleared = gate.clear(frame)
    assert np.array_equal(cleared.image[21:40, 21:50], frame.image[21:40, 21:50])
    around = cleared.image.copy()
    around[20:42, 20:52] = 0
    assert len(np.unique(around.reshape(-1, 3), axis=0)) <= 65


def test_whole_hides_everything_without_a_model_of_the_task() -> None:
    cleared = gate_of(FakeFinder(), mode="whole").clear(noisy_frame())
    assert len(np.unique(cleared.image.reshape(-1, 3), axis=0)) <= 64


@pytest.mark.parametrize("hide", ["mosaic", "solid"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_regions_shows_what_is_inside_the_polygon_alone(hide: str, encoding: str) -> None:
    gate = gate_of(mode="regions", polygons=["0.25,0.25 0.75,0.25 0.75,0.75 0.25,0.75"], hide=hide)
    frame = noisy_frame(encoding)
    cleared = gate.clear(frame)
    assert np.array_equal(cleared.image[30:90, 40:120], frame.image[30:90, 40:120])
    blank = cleared.image.copy()
    blank[30:91, 40:121] = 0
    colours = np.unique(blank.reshape(120 * 160, -1), axis=0)
    assert len(colours) <= (1 if hide == "solid" else 65)


def test_regions_without_a_polygon_sends_nothing() -> None:
    gate = gate_of(mode="regions")
    assert "no polygon" in gate.shut
    with pytest.raises(Withheld, match="no polygon"):
        gate.clear(noisy_frame())


@pytest.mark.parametrize("text", ["0,0 1,1", "0,0 1,x 1,1", "0,0 1,0 2,1", "0,0 1,nan 1,1", ""])
def test_a_polygon_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="polygons"):
        build(PrivacyConfig, {"mode": "regions", "polygons": [text]})


def _features(cut: str = "c1") -> Features:
    return Features(FrameKey("main", 1), cut, np.zeros((2, 3), np.int8), 0.1, 0, 64, 48)


def test_features_are_refused_by_default_and_pass_where_that_is_written_down() -> None:
    refusing = gate_of(FakeFinder())
    assert not refusing.features_pass()
    with pytest.raises(Withheld, match=r"privacy\.features"):
        refusing.clear_features(_features())
    assert refusing.withheld == 1
    assert gate_of(FakeFinder(), features="allow").clear_features(_features()).tensor.size
    assert gate_of(mode="off", reason="boards").clear_features(_features()).clearance == "off"
    deep = gate_of(FakeFinder(), features="depth", features_cuts=["c7"])
    assert deep.features_pass()
    assert deep.clear_features(_features("c7"))
    with pytest.raises(Withheld):
        deep.clear_features(_features("c1"))
    with pytest.raises(ConfigError, match="features_cuts"):
        build(PrivacyConfig, {"features": "depth"})


def test_a_clearance_names_the_promise_and_another_promise_is_not_accepted() -> None:
    gate = gate_of(FakeFinder())
    assert gate.clear(noisy_frame()).clearance == gate.clearance
    assert gate.accepts(gate.clearance)
    others = [
        gate_of(FakeFinder(), score_min=0.2),
        gate_of(FakeFinder(name="another")),
        gate_of(FakeFinder(), mode="whole"),
        gate_of(mode="off", reason="boards"),
        gate_of(mode="regions", polygons=["0,0 1,0 1,1"]),
    ]
    clearances = {other.clearance for other in others}
    assert len(clearances) == 5
    assert not any(gate.accepts(one) for one in (*clearances, "", "off"))
    assert all(others[3].accepts(one) for one in (gate.clearance, "", "off"))


def test_only_the_gate_makes_what_may_leave() -> None:
    frame = noisy_frame()
    with pytest.raises(TypeError, match="only the gate"):
        ClearedFrame(frame, "off", 0)
    with pytest.raises(TypeError, match="only the gate"):
        ClearedFeatures(_features(), "off")
    cleared = gate_of(FakeFinder()).clear(frame)
    with pytest.raises(TypeError, match="only the gate"):
        dataclasses.replace(cleared, frame=frame)
    assert copy.copy(cleared).key == frame.key


@pytest.mark.parametrize("encoding", ["bgr8", "mono8"])
def test_a_region_may_reach_beyond_the_picture_and_lie_beside_it(encoding: str) -> None:
    regions = [face(-20, -20), face(150, 110), face(500, 500), face(-500, 3), face(-10, -10, 9000)]
    for region in regions:
        cleared = gate_of(FakeFinder(region), widen=0.0).clear(noisy_frame(encoding))
        assert cleared.image.shape == noisy_frame(encoding).image.shape


def test_what_is_found_with_less_than_the_least_score_stays_visible() -> None:
    frame = noisy_frame()
    cleared = gate_of(FakeFinder(face(40, 40, score=0.29))).clear(frame)
    assert np.array_equal(cleared.image, frame.image)


def test_a_frame_without_anything_private_is_not_copied() -> None:
    frame = noisy_frame()
    assert gate_of(FakeFinder()).clear(frame).image is frame.image


def test_pictures_of_another_size_begin_their_tracks_anew() -> None:
    finder = FakeFinder(face(40, 40))
    gate = gate_of(finder)
    gate.clear(noisy_frame())
    finder.answer = lambda _: []
    assert gate.clear(noisy_frame()).masked == 1
    small = frame_of(noise((60, 80, 3)))
    assert gate.clear(small).masked == 0


def test_a_frame_out_of_order_gets_the_masks_of_now_and_moves_no_track() -> None:
    finder = FakeFinder(face(40, 40))
    gate = gate_of(finder, hold_frames=2)
    gate.clear(noisy_frame())
    finder.answer = lambda _: []
    for _ in range(6):
        assert gate.clear(noisy_frame(), late=True).masked == 1
    assert [gate.clear(noisy_frame()).masked for _ in range(4)] == [1, 1, 0, 0]


def test_frames_reach_the_finder_one_at_a_time_from_one_thread() -> None:
    threads = set()
    finder = FakeFinder()
    finder.answer = lambda _: threads.add(threading.current_thread()) or []
    gate = gate_of(finder)
    for _ in range(3):
        gate.clear(noisy_frame())
    assert len(threads) == 1
    gate.close()
    assert finder.closed == 1
    with pytest.raises(Withheld):
        gate.clear(noisy_frame())


def test_a_frame_is_still_a_frame() -> None:
    assert isinstance(gate_of(FakeFinder()).clear(noisy_frame()).frame, Frame)
