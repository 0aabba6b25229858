"""A plate is what several readings agree on, by the formats of countries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mastra_ros.errors import ConfigError
from mastra_ros.pipeline.traffic.plates.formats import formats_of, formatted
from mastra_ros.pipeline.traffic.plates.hashing import DAY_NS, PlateHasher
from mastra_ros.pipeline.traffic.plates.reading import LETTERS, Reading, of_places
from mastra_ros.pipeline.traffic.plates.vote import Votes

ALL = formats_of(["all"])


def read(text: str, chance: float = 0.95) -> Reading:
    letters = np.full((len(text), 36), (1 - chance) / 35, np.float32)
    for k, letter in enumerate(text):
        letters[k, LETTERS.index(letter)] = chance
    return Reading(letters)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("RKO99AN", "RK099AN"),
        ("RK0994N", "RK099AN"),
        ("AB1284CD", "AB1284CD"),
        ("1B2S790", "1B25790"),
    ],
)
def test_what_looks_alike_is_told_apart_by_the_format(said: str, meant: str) -> None:
    formats = formats_of(["AA999AA", "9A99999", "AA9999AA"])
    assert formatted(read(said, 0.7), formats).text == meant


def test_a_sure_plate_of_no_known_format_stays_what_it_is() -> None:
    assert formatted(read("GWAGEN", 0.99), ALL).text == "GWAGEN"


def test_one_reading_is_not_enough() -> None:
    votes = Votes(ALL)
    votes.add(read("RK099AN"), 1.0)
    assert votes.winner(0.5) is None
    votes.add(read("RK099AN"), 1.0)
    won = votes.winner(0.5)
    assert won is not None
    assert won.text == "RK099AN"


def test_readings_that_differ_are_said_to_be_unsure() -> None:
    votes = Votes(ALL)
    for text in ("RK099AN", "BA738DE", "TS260AK", "PP587AD"):
        votes.add(read(text), 1.0)
    assert votes.winner(0.3) is None


def test_a_badge_is_no_plate() -> None:
    votes = Votes(ALL)
    for _ in range(5):
        votes.add(read("VW"), 1.0)
        votes.add(Reading(np.zeros((0, 36), np.float32)), 1.0)
    assert votes.winner(0.1) is None


def test_weak_readings_are_not_guessed_from() -> None:
    votes = Votes(ALL)
    for _ in range(4):
        votes.add(read("RK099AN", 0.3), 0.3)
    assert votes.winner(0.5) is None


def test_of_places_that_say_the_same_one_letter_is_made() -> None:
    places = np.full((6, 37), 0.01, np.float32)
    for k, letter in enumerate((10, 10, 36, 10, 11, 36)):
        places[k, letter] = 0.9
    assert of_places(places).text == "AAB"


def test_a_format_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="plate_formats"):
        formats_of(["atlantis"])


def test_a_hash_is_the_same_today_and_another_one_tomorrow(tmp_path: Path) -> None:
    key = tmp_path / "key.json"
    first = PlateHasher(key).hash("RK099AN", DAY_NS * 100)
    assert PlateHasher(key).hash("RK099AN", DAY_NS * 100 + 5) == first
    hasher = PlateHasher(key)
    assert hasher.hash("RK099AN", DAY_NS * 101) != first
    assert "RK099AN" not in key.read_text()
    assert key.stat().st_mode & 0o077 == 0


def test_a_key_that_stays_gives_the_same_hash_on_any_day(tmp_path: Path) -> None:
    hasher = PlateHasher(tmp_path / "key.json", rotate_days=0)
    assert hasher.hash("A", 1) == hasher.hash("A", DAY_NS * 400)
    assert len(hasher.hash("A", 1)) == 32


def test_a_key_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="plate_key_path"):
        PlateHasher(tmp_path / "file" / "key.json").hash("A", 1)
