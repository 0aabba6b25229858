"""Of all texts that follow a format that is taken which the places of all views are most for."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mastra_ros.pipeline.traffic.plates.ctc import (
    BLANK,
    beginnings,
    codes_of,
    likeliest,
    log_chances,
    softened,
)
from mastra_ros.pipeline.traffic.plates.formats import agreeing, formats_of, formatted
from mastra_ros.pipeline.traffic.plates.reading import LETTERS, Floats, Reading, of_places


def places(*said: dict[str, float]) -> Floats:
    """Each with the chances of letters; what is left is for nothing."""
    made = np.zeros((len(said), 37), np.float32)
    for row, one in zip(made, said, strict=True):
        for letter, chance in one.items():
            row[LETTERS.index(letter)] = chance
        row[BLANK] = 1 - sum(one.values())
    return made


def test_the_chance_of_a_text_is_that_of_all_ways_to_spread_it() -> None:
    rng = np.random.default_rng(3)
    chances = rng.dirichlet(np.ones(37), 4)
    used = [LETTERS.index("A"), LETTERS.index("B"), BLANK]
    by_hand: dict[str, float] = {}
    for path in itertools.product(used, repeat=4):
        text = "".join(LETTERS[k] for k, _ in itertools.groupby(path) if k != BLANK)
        chance = float(np.prod([chances[place, k] for place, k in enumerate(path)]))
        by_hand[text] = by_hand.get(text, 0.0) + chance
    texts = ["A", "AB", "BA", "AA", "ABA", "ABBA"]
    assert np.exp(log_chances(chances, texts)) == pytest.approx(
        [by_hand.get(text, 0.0) for text in texts], abs=1e-12
    )


def test_two_alike_need_nothing_between_them() -> None:
    one, two = {"A": 0.9}, {"A": 0.9}
    assert of_places(places(one, two)).text == "A"
    assert likeliest(places(one, {}, two).astype(float), None, 4)[0] == "AA"


def test_only_what_a_format_may_begin_with_is_followed() -> None:
    begun, whole = beginnings(("A9#",))
    assert begun == {"", "A", "A9", "A99", "A9A"}
    assert whole == {"A99", "A9A"}
    seen = places({"8": 0.6, "B": 0.3}, {"1": 0.9}, {"7": 0.5, "T": 0.4}).astype(float)
    texts = likeliest(seen, begun, 10)
    assert texts[0] == "B17"
    assert all(codes_of(text) in begun for text in texts)


def test_places_that_say_nothing_one_after_the_other_are_made_one() -> None:
    none = np.zeros((36, 36), np.float32)
    assert len(softened(places({}, {}, {"A": 0.9}, {}, {}, {}), none)) == 3


def test_a_weak_letter_that_the_best_path_passes_over_is_found_by_the_format() -> None:
    seen = places(
        {"A": 0.9}, {}, {"B": 0.9}, {}, {"1": 0.9}, {"2": 0.45}, {"3": 0.9}, {"C": 0.9}, {"D": 0.9}
    )
    reading = of_places(seen)
    assert reading.text == "AB13CD"
    assert formatted(reading, ("AA999AA",)).text == "AB123CD"


def test_what_stands_beside_the_letters_is_left_out_by_the_format() -> None:
    seen = places({"I": 0.5}, {}, *({letter: 0.9} for letter in "AB123CD"))
    assert formatted(of_places(seen), ("AA999AA",)).text == "AB123CD"


def test_views_together_tell_what_none_of_them_does() -> None:
    weak = [dict.fromkeys("1", 0.9)] * 3
    left = places({"A": 0.9}, {"B": 0.8}, *weak[:1], {}, {"2": 0.9}, {"3": 0.5, "8": 0.45})
    right = places({"A": 0.9}, {"R": 0.5, "B": 0.45}, *weak[:1], {"2": 0.9}, {"8": 0.9})
    joint = Reading(np.zeros((0, 36), np.float32), (left, right))
    assert formatted(Reading(np.zeros((0, 36), np.float32), (left,)), ("AA999",)).text == "AB123"
    assert formatted(Reading(np.zeros((0, 36), np.float32), (right,)), ("AA999",)).text == "AR128"
    assert formatted(joint, ("AA999",)).text == "AB128"


def test_a_view_that_is_cut_wrongly_does_not_decide() -> None:
    good = places(*({letter: 0.9} for letter in "AB123CD"))
    bad = places({"X": 0.99}, {"Y": 0.99})
    joint = Reading(np.zeros((0, 36), np.float32), (good, good, bad))
    assert formatted(joint, formats_of(["all"])).text == "AB123CD"


def test_readings_are_asked_about_texts_and_nothing_else_is_made_up() -> None:
    reading = of_places(places(*({letter: 0.9} for letter in "AB123CD")))
    assert agreeing([reading], ["AB128CD", "XY999ZZ"], ("AA999AA",)).text == "AB128CD"
    assert agreeing([], ["AB128CD"], ("AA999AA",)).text == ""
    assert agreeing([reading], [], ("AA999AA",)).text == ""


def test_where_nothing_was_read_there_is_no_text() -> None:
    assert formatted(Reading(np.zeros((0, 36), np.float32)), formats_of(["all"])).text == ""
    assert formatted(of_places(places({}, {}, {})), formats_of(["all"])).confidence < 0.1
