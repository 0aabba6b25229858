"""Which codec is taken: by bytes at equal likeness, within the time, and not for a trifle."""

from __future__ import annotations

import numpy as np
import pytest

from mastra_ros.compression import chooser as chooser_module
from mastra_ros.compression import first
from mastra_ros.compression.chooser import Chooser, at_once
from mastra_ros.compression.codecs import CODECS, FORMATS
from mastra_ros.compression.pace import FRAMES, LENIENCE, Pace
from mastra_ros.compression.trials import (
    BETTER,
    BETTER_FIRST,
    BETTER_KIND,
    PEAK,
    ROOM,
    Trial,
    candidates,
    choose,
)

BUDGET_MS = 3.0


def trial(codec: str, size: float, *, psnr_db: float = 38.0, ms: float = 1.0, slowest=0.0) -> Trial:
    return Trial(codec, 0, size, psnr_db, ms, slowest)


@pytest.mark.parametrize(
    ("other", "size", "chosen"),
    [
        ("x264-veryfast", 1000 * BETTER - 1, True),
        ("x264-veryfast", 1000 * BETTER + 1, False),
        ("vp9-8", 1000 * BETTER - 1, False),  # likeness tells less of another kind
        ("vp9-8", 1000 * BETTER_KIND - 1, True),
    ],
)
def test_another_codec_has_to_be_clearly_better(other: str, size: float, chosen: bool) -> None:
    trials = [trial("x264-superfast", 1000), trial(other, size)]
    assert choose(trials, "x264-superfast", BUDGET_MS) == (other if chosen else "x264-superfast")


def test_what_a_scene_began_with_by_guess_gives_way_to_what_is_a_little_better() -> None:
    trials = [trial("x264-superfast", 1000), trial("x264-veryfast", 1000 * BETTER_FIRST - 1)]
    assert choose(trials, "x264-superfast", BUDGET_MS, settled=False) == "x264-veryfast"
    assert choose(trials, "x264-superfast", BUDGET_MS) == "x264-superfast"
    for faster in ("x264-ultrafast", "vp9-8"):
        other = [trial("x264-superfast", 1000), trial(faster, 1000 * BETTER_FIRST - 1)]
        assert choose(other, "x264-superfast", BUDGET_MS, settled=False) == "x264-superfast"


def test_the_first_trial_of_a_scene_decides_more_freely_than_those_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = {"x264-superfast": 1000.0, "x264-veryfast": 900.0}
    monkeypatch.setattr(
        chooser_module, "try_codec", lambda spec, *_, **__: trial(spec.name, sizes[spec.name])
    )
    made = Chooser(tuple(sizes), first="x264-superfast", budget_ms=BUDGET_MS, run=at_once)
    image = np.zeros((480, 640), np.uint8)

    def after_a_trial() -> str:
        ran = len(told)
        while len(told) == ran:
            made.saw(image, "mono8", 1000, lambda _: 60)
        return made.saw(image, "mono8", 1000, lambda _: 60)

    told: list[bool] = []
    choose_as_it_is = chooser_module.choose

    def choose_and_tell(*args, settled: bool, **named) -> str:
        told.append(settled)
        return choose_as_it_is(*args, settled=settled, **named)

    monkeypatch.setattr(chooser_module, "choose", choose_and_tell)
    assert after_a_trial() == "x264-veryfast"
    sizes |= {"x264-superfast": 900.0, "x264-veryfast": 1000.0}
    assert after_a_trial() == "x264-veryfast"  # a change for so little costs more than it saves
    assert told == [False, True]
    made.close()


def test_where_qualities_were_measured_to_be_equal_the_bytes_alone_decide() -> None:
    trials = [trial("x264-superfast", 1000, psnr_db=36.0), trial("vp9-8", 840, psnr_db=30.0)]
    assert choose(trials, "x264-superfast", BUDGET_MS, equal=True) == "vp9-8"
    assert choose(trials, "x264-superfast", BUDGET_MS) == "x264-superfast"


@pytest.mark.parametrize(
    "fault", [{"ms": ROOM * BUDGET_MS + 0.1}, {"slowest": PEAK * BUDGET_MS + 1}]
)
def test_what_takes_too_long_in_the_middle_or_at_its_longest_is_not_taken(fault) -> None:
    trials = [trial("x264-superfast", 1000), trial("x264-veryfast", 100, **fault)]
    assert choose(trials, "x264-superfast", BUDGET_MS) == "x264-superfast"
    # The present one too gives way, to its own kind where there is one.
    trials = [*trials, trial("vp9-8", 500)]
    assert choose(trials, "x264-veryfast", BUDGET_MS) == "x264-superfast"


def test_where_none_keeps_the_time_the_fastest_is_taken() -> None:
    trials = [trial("x264-veryfast", 100, ms=9.0), trial("x264-ultrafast", 900, ms=5.0)]
    assert choose(trials, "x264-veryfast", BUDGET_MS) == "x264-ultrafast"


def test_a_machine_begins_with_what_it_has_time_for(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["x264-veryfast", "x264-superfast", "x264-ultrafast", "vp9-8"]
    spent = {"x264-veryfast": 4.0, "x264-superfast": 2.0, "x264-ultrafast": 1.0, "vp9-8": 6.0}
    monkeypatch.setattr(first, "opens", lambda name: name in spent)
    for slower, expected in ((0.5, 0), (1.0, 1), (1.7, 2), (20.0, 2)):
        monkeypatch.setattr(first, "spends_ms", lambda name, by=slower: by * spent[name])
        assert first.first_of(names, 3.0) == names[expected]
    assert first.first_of(["vp9-8"], 3.0) == "vp9-8"
    assert first.first_of(["h264_rkmpp"], 3.0) == ""


def test_pace_looks_at_the_middle_of_the_latest_frames() -> None:
    pace = Pace()
    for number in range(FRAMES):
        assert not pace.too_slow(BUDGET_MS)
        pace.took(4.0 if number % 2 else 2.0)
    assert not pace.too_slow(BUDGET_MS)
    for _ in range(FRAMES):
        pace.took(4.0)
    assert pace.too_slow(BUDGET_MS)
    pace.begin_anew()
    assert not pace.too_slow(BUDGET_MS)


def test_a_codec_that_takes_longer_than_it_may_gives_way_to_a_faster_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ("x264-veryfast", "x264-superfast", "x264-ultrafast")
    monkeypatch.setattr(chooser_module, "PICTURES", 10_000)  # no trial
    made = Chooser(names, first=names[0], budget_ms=BUDGET_MS, run=at_once)
    image = np.zeros((480, 640), np.uint8)

    def after(spent_ms: dict[str, float]) -> str:
        for _ in range(3 * FRAMES):
            spent = spent_ms.get(made.present, float("nan"))
            made.saw(image, "mono8", 1000, lambda _: 60, spent_ms=spent)
        return made.present

    assert after({names[0]: LENIENCE * BUDGET_MS - 0.1}) == names[0]
    assert after({names[0]: LENIENCE * BUDGET_MS + 0.1, names[1]: 2.0}) == names[1]
    assert after({}) == names[1]  # nothing has changed in the pictures
    assert after({names[1]: 9.0, names[2]: 4.0}) == names[2]
    assert after({names[2]: 9.0}) == names[2]  # there is none faster
    made.close()


def test_a_larger_picture_has_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chooser_module, "PICTURES", 10_000)
    names = ("x264-veryfast", "x264-superfast")
    made = Chooser(names, first=names[0], budget_ms=BUDGET_MS, run=at_once)
    image = np.zeros((960, 1280), np.uint8)
    for _ in range(FRAMES + 1):
        made.saw(image, "mono8", 1000, lambda _: 60, spent_ms=11.9)
    assert made.present == names[0]
    made.close()


def test_what_is_for_gray_pictures_is_taken_for_no_others_and_first_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    formats = frozenset(FORMATS)
    colour = candidates("auto", formats, free_only=False)
    gray = candidates("auto", formats, free_only=False, gray=True)
    only = {name for name, spec in CODECS.items() if spec.gray}
    assert only
    assert not only & set(colour)
    assert set(gray) == set(colour) | only
    assert not only & set(candidates("av1", formats, free_only=False))
    monkeypatch.setattr(first, "opens", lambda name: True)
    monkeypatch.setattr(first, "spends_ms", lambda name: 1.0)
    assert first.first_of(gray, 3.0) in only
    assert first.first_of(colour, 3.0) not in only
    monkeypatch.setattr(first, "spends_ms", lambda name: 9.0 if name in only else 1.0)
    assert first.first_of(gray, 3.0) not in only  # a machine that has no time for it
