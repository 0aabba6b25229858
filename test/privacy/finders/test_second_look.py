"""What was taken for a plate is looked at again, and what both networks doubt is let go."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mastra_ros.config import PrivacyConfig
from mastra_ros.errors import ModelError
from mastra_ros.privacy import Region
from mastra_ros.privacy.finders import FINDERS, files
from mastra_ros.privacy.finders.second_look import KEPT_FROM, VIEWS_MAX, SecondLook, both
from mastra_ros.privacy.finders.views import VIEW_PX, View

Image = NDArray[np.uint8]
PLATE = Region(60, 50, 80, 20, "plate", 0.5)


def street(*, letters: str = "", bright: int = 235) -> Image:
    """A dull picture with a board of 80x20 px at 60, 50, with letters on it or without."""
    image = np.full((120, 200, 3), 60, np.uint8)
    if bright:
        image[50:70, 60:140] = bright
    if letters:
        ink = (30, 25, 25)
        cv2.putText(image, letters, (64, 66), cv2.FONT_HERSHEY_SIMPLEX, 0.52, ink, 2, cv2.LINE_AA)
    return image


@pytest.fixture(scope="module")
def look() -> SecondLook:
    model, _ = files.second_model()
    return SecondLook(model)


@pytest.fixture
def told(look: SecondLook, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets the network say this chance of every view."""

    def tell(chance: float) -> None:
        def run(views: NDArray[np.float32]) -> list[NDArray[np.float32]]:
            count = len(views)
            return [np.full(count, chance, np.float32), np.zeros((count, 4, 2), np.float32)]

        monkeypatch.setattr(look._engine, "run", run)

    return tell


@pytest.mark.parametrize(("score", "chance"), [(0.3, 0.75), (0.9, 0.2), (0.5, 0.51), (0.31, 0.7)])
def test_odds_that_make_a_plate_likelier_than_none_keep_it(score: float, chance: float) -> None:
    assert both(score, chance) >= KEPT_FROM
    assert both(score, chance) == both(chance, score)


@pytest.mark.parametrize(("score", "chance"), [(0.3, 0.6), (0.5, 0.49), (0.9, 0.05), (0.3, 0.0)])
def test_odds_against_a_plate_let_it_go(score: float, chance: float) -> None:
    assert both(score, chance) < KEPT_FROM
    assert 0.0 <= both(score, chance) <= both(score, 1.0) <= 1.0


def test_letters_on_a_board_are_a_plate_and_a_bare_road_is_none(look: SecondLook) -> None:
    (plate,) = look.look(street(letters="RK 485 AB"), [PLATE])
    (road,) = look.look(street(bright=0), [PLATE])
    assert plate.chance > 0.8
    assert road.chance < 0.3


def test_the_corners_of_a_plate_lie_near_it(look: SecondLook) -> None:
    (seen,) = look.look(street(letters="RK 485 AB"), [PLATE])
    true = np.array([(60, 50), (140, 50), (140, 70), (60, 70)], np.float32)
    assert np.abs(seen.corners - true).max() < 12


def test_what_stays_has_the_chance_of_both_and_is_else_as_it_was(
    look: SecondLook, told: Any
) -> None:
    told(0.8)
    (kept,) = look.sifted(street(), [PLATE])
    assert kept.score == pytest.approx(both(0.5, 0.8))
    assert (kept.x, kept.y, kept.width, kept.height) == (60, 50, 80, 20)
    told(0.2)
    assert look.sifted(street(), [PLATE]) == []


def test_those_beyond_what_is_looked_at_stay_as_they_were_found(
    look: SecondLook, told: Any
) -> None:
    told(0.0)
    many = [Region(k % 100, 10, 40, 12, "plate", 0.9 - k / 1000) for k in range(VIEWS_MAX + 5)]
    assert look.sifted(street(), many[::-1]) == many[VIEWS_MAX:]
    assert look.sifted(street(), []) == []


def test_a_second_look_that_gives_no_number_is_an_error_and_lets_nothing_go(
    look: SecondLook, told: Any
) -> None:
    told(float("nan"))
    with pytest.raises(ModelError, match="no finite number"):
        look.sifted(street(), [PLATE])


def test_another_network_for_the_second_look_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "SECOND_SHA256", "0" * 64)
    with pytest.raises(ModelError, match="expected SHA-256"):
        FINDERS["plates_and_heads"](PrivacyConfig())


def test_the_clearance_of_a_finder_changes_with_its_second_look() -> None:
    finder = FINDERS["plates_and_heads"](PrivacyConfig())
    assert len(finder.digest) == 64
    assert finder.digest not in (files.OWN_SHA256, files.SECOND_SHA256)
    finder.close()


@pytest.mark.parametrize(
    "region", [PLATE, Region(-30, -8, 60, 20, "plate"), Region(150, 100, 300, 90, "plate")]
)
def test_a_view_has_its_size_wherever_the_region_lies_and_leads_back_to_it(region: Region) -> None:
    view = View.of(region)
    assert view.cut(street()).shape == (VIEW_PX[1], VIEW_PX[0], 3)
    middle = view.placed(np.zeros((1, 2), np.float32))[0]
    assert middle.tolist() == [region.x + region.width / 2, region.y + region.height / 2]
    half = view.placed(np.ones((1, 2), np.float32))[0] - middle
    assert half[0] >= region.width / 2
    assert half[1] >= region.height / 2


def test_a_view_shows_the_plate_in_its_middle_made_larger_and_made_smaller() -> None:
    image = street()
    for by in (0.5, 1.0, 4.0):
        seen = np.asarray(cv2.resize(image, None, fx=by, fy=by), np.uint8)
        region = Region(60 * by, 50 * by, 80 * by, 20 * by, "plate")
        cut = View.of(region).cut(seen)[..., 0]
        rows, columns = np.nonzero(cut > 150)
        assert abs(columns.mean() - 47.5) < 1
        assert abs(rows.mean() - 23.5) < 1
        assert abs(int(np.ptp(columns)) + 1 - VIEW_PX[0] / 1.8) <= 2
