"""The log of verdicts, the overlay and the folder of pictures."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mastra_ros.config import FactoryConfig
from mastra_ros.errors import ConfigError
from mastra_ros.pipeline import draw
from mastra_ros.pipeline.factory import FactoryInspection, PictureFolder, Verdict, VerdictLog
from mastra_ros.privacy import ClearedFrame, hiding_nothing
from mastra_ros.types import Detections, Frame, FrameKey, Result, Route

LABELS = ("open", "short")
GATE = hiding_nothing("pictures made for this test")


def some(score: float = 0.9) -> Detections:
    box = np.array([[10, 20, 60, 70]], np.float32)
    return Detections(box, np.array([score], np.float32), np.ones(1, np.int32), LABELS)


def verdict(board: int = 1, outcome: Any = "reject", picture: Frame | None = None) -> Verdict:
    key = FrameKey("main", board)
    empty = Detections.empty(LABELS)
    return Verdict(board, outcome, "1 short", key, 1, 5, some(), empty, picture, 100)


def picture(encoding: str = "bgr8") -> Frame:
    shape = (120, 320) if encoding == "mono8" else (120, 320, 3)
    return Frame(FrameKey("main", 1), np.full(shape, 200, np.uint8), encoding)


def cleared(image: np.ndarray) -> ClearedFrame:
    return GATE.clear(Frame(FrameKey("main", 1), image, "mono8" if image.ndim == 2 else "bgr8"))


def test_each_verdict_is_a_json_object_on_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "new" / "verdicts.jsonl"
    log = VerdictLog(path)
    log.write(verdict(1))
    log.write(verdict(2, "pass"))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["board"], line["verdict"]) for line in lines] == [(1, "reject"), (2, "pass")]
    assert lines[0]["defects"] == [
        {"label": "short", "score": pytest.approx(0.9), "box": [10, 20, 60, 70]}
    ]
    assert lines[0]["frames"] == 5
    log.close()
    again = VerdictLog(path)
    again.write(verdict(3))
    again.close()
    assert len(path.read_text().splitlines()) == 3


@pytest.mark.parametrize("make", [VerdictLog, lambda path: PictureFolder(path, 5)])
def test_a_place_that_cannot_be_written_is_one_clear_error(make: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"log_path|pictures_dir"):
        make(tmp_path / "file" / "below")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_logged_once_and_the_inspection_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = VerdictLog("/dev/full")
    with caplog.at_level(logging.ERROR):
        for board in range(3):
            log.write(verdict(board))
        log.close()
    assert log.lost == 3
    assert sum("cannot be written" in r.message for r in caplog.records) == 1


@pytest.mark.parametrize("shape", [(480, 640), (480, 640, 3), (1080, 1920, 3), (64, 64, 3)])
def test_the_overlay_is_a_copy_with_boxes_and_words(shape: tuple[int, ...]) -> None:
    image = np.zeros(shape, np.uint8)
    result = Result(FrameKey("main", 1), Route.CLOUD, some(), age_ms=42.0)
    drawn = draw(cleared(image), result, "pass")
    bar = drawn.shape[0] - shape[0]
    assert drawn.shape[1:] == (shape[1], 3)
    assert bar > 8
    assert image.max() == 0
    assert drawn[bar + 45, 10].max() > 0
    assert drawn[2].max() > 0


def test_words_hide_nothing_of_the_picture() -> None:
    image = np.full((480, 640), 255, np.uint8)
    result = Result(FrameKey("main", 1), Route.CLOUD, Detections.empty(LABELS), age_ms=42.0)
    assert (draw(cleared(image), result)[-480:] == 255).all()


def test_an_error_and_letters_beyond_ascii_can_be_drawn() -> None:
    result = Result(FrameKey("main", 1), Route.LOCAL, Detections.empty(), error="模型 missing")
    assert draw(cleared(np.zeros((200, 300), np.uint8)), result, "检查").max() > 0


@pytest.mark.parametrize("encoding", ["mono8", "bgr8", "rgb8"])
def test_a_picture_is_saved_with_its_defects_where_they_are(tmp_path: Path, encoding: str) -> None:
    folder = PictureFolder(tmp_path / "boards", 5)
    path = folder.save(verdict(7), GATE.clear(picture(encoding)))
    assert path is not None
    assert path.name == "board_000007_reject.jpg"
    saved = cv2.imread(str(path))
    assert saved is not None
    assert saved.shape[1:] == (320, 3)
    shown = saved[-120:]  # below the caption
    edge = shown[45, 110].astype(int)  # the box begins 100 px to the right
    assert edge[2] != pytest.approx(200, abs=20) or edge[0] != pytest.approx(200, abs=20)


def test_the_folder_keeps_the_newest_pictures_of_earlier_runs_too(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("kept")
    for run in range(2):
        folder = PictureFolder(tmp_path, 3)
        for board in range(1, 6):
            folder.save(verdict(10 * run + board), GATE.clear(picture()))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "board_000013_reject.jpg",
        "board_000014_reject.jpg",
        "board_000015_reject.jpg",
        "notes.txt",
    ]


def test_without_room_nothing_is_saved(tmp_path: Path) -> None:
    assert PictureFolder(tmp_path, 0).save(verdict(), GATE.clear(picture())) is None
    assert list(tmp_path.iterdir()) == []


def test_a_verdict_carries_the_picture_that_shows_most_of_the_board(tmp_path: Path) -> None:
    inspection = FactoryInspection(FactoryConfig(pictures_dir=str(tmp_path)))
    for n, x in enumerate((400, 200, 100, 100, 0, -100)):
        image = np.full((100, 500), 32, np.uint8)
        image[:, max(x, 0) : max(x + 300, 0)] = 255
        inspection.on_frame(Frame(FrameKey("main", n + 1), image, "mono8"))
    (found,) = inspection.finish()
    assert found.picture is not None
    assert found.picture.key.stamp_ns == 2
    assert found.picture_left_px == 200
    assert PictureFolder(tmp_path, 5).save(found, GATE.clear(found.picture)) is not None


def test_with_the_trigger_frame_the_frame_itself_is_the_picture(tmp_path: Path) -> None:
    inspection = FactoryInspection(FactoryConfig(trigger="frame", pictures_dir=str(tmp_path)))
    frame = picture()
    inspection.on_frame(frame)
    (found,) = inspection.on_result(Result(frame.key, Route.LOCAL, some()))
    assert found.picture is frame
