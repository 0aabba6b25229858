"""The synthetic line: the same picture every time, and the truth about it."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from mastra_ros.camera import LABELS, Line, LineOptions
from mastra_ros.camera.drawn import boards
from mastra_ros.camera.drawn.line import BELT_GRAY


@pytest.fixture
def make_line():
    made = []

    def make(**options) -> Line:
        options = {"width_px": 160, "height_px": 120, **options}
        made.append(Line(LineOptions(**options)))
        return made[-1]

    yield make
    for line in made:
        line.close()


def test_frame_n_of_a_seed_is_always_the_same_picture(make_line) -> None:
    one, other = make_line(seed=4), make_line(seed=4)
    in_order = [one.image(n) for n in range(0, 90, 9)]
    backwards = [other.image(n) for n in reversed(range(0, 90, 9))]
    assert all(np.array_equal(a, b) for a, b in zip(in_order, reversed(backwards), strict=True))
    assert not np.array_equal(make_line(seed=5).image(25), one.image(25))


def test_a_board_stays_the_same_after_it_was_forgotten(make_line) -> None:
    line = make_line(seed=1, defect_rate=1.0, boards_per_minute=900, rate_hz=15)
    first = line.board_truth(1)
    for number in range(2, 20):
        line.board_truth(number)
    assert line.board_truth(1) == first
    assert first


@pytest.mark.parametrize("encoding", ["mono8", "bgr8"])
@pytest.mark.parametrize("size", [(64, 64), (160, 120), (1280, 64)])
def test_pictures_have_the_size_and_encoding_asked_for(make_line, encoding: str, size) -> None:
    line = make_line(width_px=size[0], height_px=size[1], encoding=encoding)
    channels = () if encoding == "mono8" else (3,)
    assert line.image(3).shape == (size[1], size[0], *channels)
    assert line.image(3).dtype == np.uint8


def test_the_belt_moves_a_board_in_lets_it_stand_and_moves_it_out(make_line) -> None:
    line = make_line(seed=2, boards_per_minute=30, rate_hz=15, noise=0)  # 30 frames a board
    truths = [line.truth(n) for n in range(75)]
    assert truths[0].boards == ()
    standing = [t.index for t in truths if t.standing]
    assert standing == [*range(12, 31), *range(42, 61), *range(72, 75)]
    for n in (20, 50):
        (board,) = truths[n].boards
        assert (board.number, board.x_px) == (1 + n // 30, 0)
        assert set(np.unique(line.image(n))) <= {0, 255}  # nothing of the belt
    edges = [b.x_px for t in truths for b in t.boards if b.number == 1]
    assert edges == sorted(edges, reverse=True)
    assert min(edges) < -80


def test_moving_pictures_show_belt_where_no_board_is(make_line) -> None:
    line = make_line(seed=2, gap_px=40, noise=0, encoding="mono8")
    for n in range(60):
        covered = np.zeros(160, bool)
        for board in line.truth(n).boards:
            covered[max(board.x_px, 0) : max(board.x_px + 160, 0)] = True
        image = line.image(n)
        assert (image[:, ~covered] == BELT_GRAY).all()
        assert not (image[:, covered] == BELT_GRAY).any()


def test_on_a_continuous_belt_no_two_frames_show_the_same_place(make_line) -> None:
    line = make_line(motion="continuous", boards_per_minute=60, rate_hz=15)
    places = [line.belt_px(n) for n in range(60)]
    assert len(set(places)) == 60
    assert places[30] - places[15] == line.options.pitch_px
    assert not any(line.truth(n).standing for n in range(60))


def test_truth_boxes_hold_exactly_what_differs_from_the_board_without_defects(make_line) -> None:
    """The boxes move with the board and are cut at the border of the picture."""
    line = make_line(seed=7, defect_rate=1.0, noise=0, width_px=320, height_px=320)
    boards = line.board_truth(1)
    assert boards
    assert {defect.label for defect in boards} <= set(LABELS)
    for n in range(4, 40):
        truth = line.truth(n)
        board = next(b for b in truth.boards if b.number == 1) if truth.boards else None
        if board is None or board.number != 1:
            continue
        inside = [d for d in boards if d.x1 + board.x_px < 320 and d.x2 + board.x_px > 0]
        assert [d.label for d in board.defects] == [d.label for d in inside]
        for cut, whole in zip(board.defects, inside, strict=True):
            assert cut.x1 == max(whole.x1 + board.x_px, 0)
            assert cut.x2 == min(whole.x2 + board.x_px, 320)
            assert (cut.y1, cut.y2) == (whole.y1, whole.y2)


def test_large_boards_are_drawn_small_and_their_boxes_grow_with_them(make_line) -> None:
    line = make_line(seed=3, width_px=1920, height_px=1080, defect_rate=1.0, noise=0)
    for defect in line.board_truth(1):
        assert 0 <= defect.x1 < defect.x2 <= 1920
        assert 0 <= defect.y1 < defect.y2 <= 1080
        assert max(defect.x2 - defect.x1, defect.y2 - defect.y1) <= 130 * 3
    assert set(np.unique(line.image(20))) == {0, 255}


def test_the_share_of_defective_boards_is_as_asked(make_line) -> None:
    def defective(rate: float, boards: int) -> int:
        line = make_line(seed=9, defect_rate=rate)
        return sum(bool(line.board_truth(n)) for n in range(1, boards + 1))

    assert defective(0.0, 8) == 0
    assert 4 <= defective(0.5, 20) <= 16
    assert defective(1.0, 8) == 8


@pytest.mark.parametrize("sigma", [1.0, 1.5, 6.0])
def test_the_noise_is_as_strong_as_asked_and_new_in_every_frame(make_line, sigma: float) -> None:
    line = make_line(noise=sigma, width_px=320, height_px=320, encoding="mono8")
    belt = [line.image(0).astype(float), line.image(1).astype(float)[:, :60]]
    assert belt[0].std() == pytest.approx(sigma, rel=0.15)
    assert belt[0].mean() == pytest.approx(BELT_GRAY, abs=0.2)
    assert (belt[0][:, :60] - belt[1]).std() > sigma


def test_board_numbers_below_one_are_refused(make_line) -> None:
    with pytest.raises(ValueError, match="1 or more, got 0"):
        make_line().board_truth(0)


def test_boards_are_drawn_with_pauses_until_somebody_waits_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paused = threading.Event()
    monkeypatch.setattr(boards, "PAUSE_S", 3600.0)
    store = boards.BoardStore(1, 160, 120, 1.0)
    wait = store._hurry.wait

    def observed(timeout: float) -> bool:
        if not store._hurry.is_set():
            paused.set()
        return wait(timeout)

    monkeypatch.setattr(store._hurry, "wait", observed)
    try:
        store.board(1)  # would take hours
        assert paused.wait(20.0), "the next board is drawn in one go"
        assert not store._boards[2].done()
        assert store.board(2).image.shape == (120, 160)
    finally:
        store.close()
