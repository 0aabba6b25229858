"""The live picture shows what it is told to, and always that it is no medical device."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mastra_ros.config.ultrasound import parse_caliper, parse_tgc
from mastra_ros.errors import ConfigError
from mastra_ros.pipeline.overlay import with_captions
from mastra_ros.pipeline.ultrasound.banner import BANNER
from mastra_ros.pipeline.ultrasound.live import (
    BANNER_BAR,
    LiveSettings,
    LiveView,
    distance_mm,
)
from mastra_ros.pipeline.ultrasound.region import Region

Image = NDArray[np.uint8]
PICTURE = np.full((480, 640), 100, np.uint8)
PLAIN = LiveSettings(marker="off")
BAR_PX = 22


def body(drawn: Image, bars: int = 2) -> Image:
    """What lies below the bars."""
    return drawn[bars * BAR_PX :]


@pytest.mark.parametrize("shape", [(480, 640), (616, 820), (256, 256), (40, 60)])
@pytest.mark.parametrize("freeze", [False, True])
def test_the_banner_is_on_every_picture(shape: tuple[int, int], freeze: bool) -> None:
    view = LiveView(replace(PLAIN, freeze=freeze))
    drawn = view.draw(np.zeros(shape, np.uint8), "no sweep", ["TOO FAST"])
    assert drawn.shape[1] >= 640, "large enough to be read"
    wanted = with_captions(drawn[:0], [(BANNER, BANNER_BAR)])
    np.testing.assert_array_equal(drawn[: len(wanted)], wanted)


def test_gain_is_added_in_db_and_stays_within_the_scale() -> None:
    for gain_db, wanted in ((0.0, 100), (6.0, 126), (-6.0, 74), (60.0, 255), (-60.0, 0)):
        drawn = body(LiveView(replace(PLAIN, gain_db=gain_db)).draw(PICTURE))
        assert abs(int(drawn[200, 200, 0]) - wanted) <= 1


def test_tgc_lifts_what_lies_deep() -> None:
    drawn = body(LiveView(replace(PLAIN, tgc_db=parse_tgc("0 12"))).draw(PICTURE))
    column = drawn[:, 300, 0].astype(int)
    assert (column[0], column[-1]) == (100, 151)
    assert (np.diff(column) >= 0).all()


def test_depth_shows_the_part_near_the_probe_larger() -> None:
    picture = PICTURE.copy()
    picture[240:] = 200
    shown = replace(PLAIN, depth_mm=24.0, spacing_mm=(0.1, 0.1))
    drawn = body(LiveView(shown).draw(picture))
    assert drawn.shape[:2] == (480, 640)
    assert (drawn == 100).all()


def test_a_frozen_picture_stays_and_the_words_go_on() -> None:
    view = LiveView(replace(PLAIN, freeze=True))
    first = view.draw(PICTURE, "a")
    second = view.draw(PICTURE + 50, "b")
    np.testing.assert_array_equal(body(first), body(second))
    assert (first[BAR_PX : 2 * BAR_PX] != second[BAR_PX : 2 * BAR_PX]).any()
    view.configure(PLAIN)
    assert (body(view.draw(PICTURE + 50)) == 150).all()


def test_calipers_measure_in_mm() -> None:
    first, second = parse_caliper("100,80 220,170")
    assert distance_mm(first, second, (0.2, 0.1)) == pytest.approx(np.hypot(24, 9))
    shown = replace(PLAIN, calipers=((first, second),), spacing_mm=(0.2, 0.1))
    drawn = body(LiveView(shown).draw(PICTURE))
    assert (drawn[80, 100] == (0, 255, 255)).all()
    assert (drawn != 100).any(axis=2).sum() > 200


@pytest.mark.parametrize(("side", "lit"), [("left", (True, False)), ("right", (False, True))])
def test_the_marker_is_on_the_marked_side(side: str, lit: tuple[bool, bool]) -> None:
    drawn = body(LiveView(LiveSettings(marker=side)).draw(np.zeros((480, 640), np.uint8)))
    halves = drawn[:, :320].any(), drawn[:, 320:].any()
    assert tuple(map(bool, halves)) == lit


def test_what_lies_outside_the_region_is_not_shown() -> None:
    shown = replace(PLAIN, region=Region((100, 50, 300, 200)), gain_db=20.0)
    drawn = body(LiveView(shown).draw(PICTURE))[..., 0]
    assert drawn[50:250, 100:400].all()
    drawn[50:250, 100:400] = 0
    assert not drawn.any()


def test_drawing_does_not_touch_the_picture() -> None:
    picture = PICTURE.copy()
    LiveView(replace(PLAIN, gain_db=9.0, calipers=(((1, 1), (90, 90)),))).draw(picture)
    np.testing.assert_array_equal(picture, PICTURE)


@pytest.mark.parametrize("text", ["a b", "1 nan", "99", " ".join("1" * 65)])
def test_gains_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="tgc_db"):
        parse_tgc(text)


@pytest.mark.parametrize("text", ["", "1,2", "1,2 3", "1,2 3,4 5,6", "1,2 3,nan", "1,2 3,1e9"])
def test_calipers_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="calipers"):
        parse_caliper(text)


def test_a_live_picture_is_drawn_much_faster_than_they_come() -> None:
    """Counted in work, not in time: no array of doubles as large as the picture is made anew."""
    view = LiveView(replace(PLAIN, gain_db=3.0, tgc_db=(0.0, 9.0)))
    view.draw(PICTURE)
    gain = view._gain
    view.draw(PICTURE)
    assert view._gain is gain
    assert cv2.getNumThreads() >= 1
