"""The lag of pictures against poses, and what is doubtful about stamps and calibrations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mastra_ros.errors import DataError
from mastra_ros.pipeline.ultrasound.checks import (
    calibration_problems,
    counts_problem,
    look_at_stamps,
)
from mastra_ros.pipeline.ultrasound.lag import bottom_px, find_lag, lag_of_files
from mastra_ros.pipeline.ultrasound.metafile import read_metafile


def test_the_lag_of_the_water_tank_is_that_of_plus(data_folder: Path) -> None:
    folder = data_folder / "ultrasound"
    pictures = read_metafile(folder / "WaterTankBottomTranslationVideoBuffer.igs.mha")
    poses = read_metafile(folder / "WaterTankBottomTranslationTrackerBuffer-trimmed.igs.mha")
    lag = lag_of_files(pictures, poses)
    assert lag.plus_ms == pytest.approx(-64.8, abs=10.0)
    assert lag.pictures > 190


def swing(stamps: np.ndarray) -> np.ndarray:
    moved: np.ndarray = 12 * np.sin(1.7 * stamps) + 5 * np.sin(4.1 * stamps + 1)
    return moved


@pytest.mark.parametrize("lag_ms", [-130.0, 0.0, 33.3, 200.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_known_lag_is_found_whichever_way_the_picture_moves(lag_ms: float, sign: float) -> None:
    pictures, poses = np.arange(60, 240) / 20.0, np.arange(0, 1500) / 100.0
    rows = 300 + sign * 8 * swing(pictures - lag_ms / 1000)
    rows[5] = np.nan  # nothing to be seen there
    found = find_lag(pictures, rows, poses, swing(poses))
    assert found.lag_ms == pytest.approx(lag_ms, abs=1.0)
    assert found.agreement > 0.99
    assert found.pictures == 179


def test_where_the_lag_cannot_be_told_the_numbers_say_why() -> None:
    pictures, poses = np.arange(60, 240) / 20.0, np.arange(0, 1500) / 100.0
    rows = 300 + 8 * swing(pictures)
    noise = np.random.default_rng(0).standard_normal(len(pictures))
    with pytest.raises(DataError, match="expected pictures and poses to agree"):
        find_lag(pictures, noise, poses, swing(poses))
    with pytest.raises(DataError, match="motion of 5 mm or more, got 0"):
        find_lag(pictures, rows, poses, 0 * poses)
    with pytest.raises(DataError, match="got 9 and 1500"):
        find_lag(pictures[:9], rows[:9], poses, swing(poses))
    with pytest.raises(DataError, match="500 ms before and after, got 0"):
        find_lag(pictures + 100, rows, poses, swing(poses))
    with pytest.raises(DataError, match="1 of poses do not"):
        find_lag(pictures, rows, np.r_[poses[:9], poses[8:]], np.r_[swing(poses), 0.0])


def test_the_bottom_is_found_where_it_lies_and_stray_echoes_do_not_matter() -> None:
    picture = np.zeros((200, 301), np.uint8)
    columns = np.arange(20, 280)
    picture[(80 + 0.1 * (columns - 150.5)).round().astype(int), columns] = 200
    picture[10, 30:60] = 250
    assert bottom_px(picture) == pytest.approx(80, abs=0.7)
    assert np.isnan(bottom_px(np.zeros((200, 301), np.uint8)))


def test_missing_stamps_a_clock_set_back_and_gaps_are_told_with_numbers() -> None:
    good = look_at_stamps([0.1 * n for n in range(20)])
    assert good.words == []
    bad = look_at_stamps([0.0, 0.1, None, 0.2, 0.3, 0.25, 0.35, 0.45, 2.0, 2.1])
    words = "; ".join(bad.words)
    assert "1 of 10 have no time stamp" in words
    assert "1 of 10 are stamped no later" in words
    assert "1 gaps of more than 5 usual ones (100.0 ms), the longest 1550 ms" in words
    assert look_at_stamps([None, None]).words == ["2 of 2 have no time stamp"]


def test_unequal_counts_are_told_with_numbers() -> None:
    assert counts_problem(21, 21) == ""
    assert counts_problem(201, 801).startswith("201 pictures and 801 poses: 600 pictures")


def matrix(x: float = 0.2, y: float = 0.2, z: float = 1.0) -> np.ndarray:
    return np.diag([x, y, z, 1.0])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (matrix(20.0, 20.0), "scale: expected 0.01 to 2 mm a pixel in x, got 20"),
        (matrix(0.2, 0.3), "square within 15%"),
        (matrix(z=-1.0), "left-handed one"),
        (matrix(z=0.0), "three axes"),
        (
            matrix() + np.outer([1, 0, 0, 0], [0, 0.05, 0, 0]),
            "within 6 degrees of one, got 14",
        ),
        (matrix() * np.nan, "16 finite numbers"),
        (np.eye(3), "16 finite numbers"),
        (matrix()[::-1], "last row"),
    ],
)
def test_a_calibration_that_cannot_be_right_is_told_in_words(wrong: np.ndarray, words: str) -> None:
    assert words in "; ".join(calibration_problems(wrong))


def test_a_good_calibration_has_no_problems() -> None:
    assert calibration_problems(matrix()) == []
