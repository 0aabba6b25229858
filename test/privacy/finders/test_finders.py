"""The finders find faces and plates on photographs, and refuse models that are not theirs."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mastra_ros.config import PrivacyConfig, build
from mastra_ros.errors import ConfigError, DependencyError, ModelError
from mastra_ros.privacy import Finder, Region, mask_of
from mastra_ros.privacy.finders import DEFAULT, FINDERS, files, network
from mastra_ros.privacy.finders.boxes import (
    SAME_IOU,
    best,
    checked,
    hull,
    joined,
    padded,
    resized,
    tensor,
)
from mastra_ros.privacy.finders.planes import Planes
from mastra_ros.privacy.opening import open_finders


def opened(name: str, models: Path | None = None) -> Finder:
    """A finder, or a skip with the reason where its model is not here."""
    config = build(PrivacyConfig, {"models_dir": str(models or "")})
    try:
        return FINDERS[name](config)
    except ModelError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def models(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models as `mastra model get` leaves it, with YuNet in it."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "yunet").mkdir()
    shutil.copy(data_folder / "models" / "face_detection_yunet.onnx", folder / "yunet")
    return folder


def covers(regions: list[Region], x: float, y: float) -> bool:
    return any(r.x <= x <= r.x + r.width and r.y <= y <= r.y + r.height for r in regions)


FACES = ((318, 97), (199, 226), (338, 248), (178, 129))
"""Middles of some faces of 2007_007763.jpg, px."""


@pytest.mark.parametrize("name", ["centerface", "plates_and_heads", "yunet"])
def test_faces_on_a_photograph_are_found(name: str, data_folder: Path, models: Path) -> None:
    finder = opened(name, models)
    image = cv2.imread(str(data_folder / "faces" / "2007_007763.jpg"))
    assert image is not None
    regions = finder.find(image)
    assert [at for at in FACES if not covers(regions, *at)] == []
    finder.close()


def test_a_plate_of_50_px_is_found_by_the_own_network_in_colour_and_gray(data_folder: Path) -> None:
    finder = opened("plates_and_heads")
    path = data_folder / "plates" / "eu" / "eu1.jpg"
    _, x, y, w, h, *_ = path.with_suffix(".txt").read_text().split("\t")
    image = cv2.imread(str(path))
    assert image is not None
    by = 50 / int(w)
    image = cv2.resize(image, None, fx=by, fy=by, interpolation=cv2.INTER_AREA)
    middle = ((int(x) + int(w) / 2) * by, (int(y) + int(h) / 2) * by)
    for seen in (image, cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)):
        plates = [r for r in finder.find(np.asarray(seen, np.uint8)) if r.kind == "plate"]
        assert covers(plates, *middle)


@pytest.mark.parametrize("name", DEFAULT)
@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 500, 3), (33, 17), (2, 2)])
def test_a_picture_of_any_shape_is_searched(name: str, shape: tuple[int, ...]) -> None:
    finder = opened(name)
    assert isinstance(finder.find(np.full(shape, 90, np.uint8)), list)


def test_a_model_with_another_digest_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "yunet"
    place.mkdir()
    (place / "face_detection_yunet.onnx").write_bytes(b"not the model")
    with pytest.raises(ModelError, match="expected SHA-256"):
        FINDERS["yunet"](build(PrivacyConfig, {"models_dir": str(tmp_path)}))
    monkeypatch.setattr(files, "OWN_SHA256", "0" * 64)
    with pytest.raises(ModelError, match="expected SHA-256"):
        FINDERS["plates_and_heads"](PrivacyConfig())


def test_a_model_that_is_not_here_names_the_command_that_brings_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="`mastra model get yunet` brings it"):
        FINDERS["yunet"](build(PrivacyConfig, {"models_dir": str(tmp_path)}))


def test_an_unknown_finder_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match="unknown 'nobody', known are centerface"):
        open_finders(build(PrivacyConfig, {"finders": ("nobody",)}))


def test_outputs_that_are_no_numbers_are_an_error_and_not_an_empty_picture() -> None:
    with pytest.raises(ModelError, match="no finite number"):
        checked("centerface", [np.zeros(3), np.array([1.0, np.nan])])


def test_what_two_finders_see_is_hidden_as_a_whole() -> None:
    one, two = Region(0, 0, 10, 10, "face", 0.5), Region(2, 1, 10, 10, "face", 0.9)
    plate = Region(0, 0, 10, 10, "plate", 0.4)
    (face, other) = joined([one, two, plate])
    assert (face.x, face.y, face.width, face.height, face.score) == (0, 0, 12, 11, 0.9)
    assert other == plate


def test_many_regions_are_joined_as_one_after_another_would_be() -> None:
    rng = np.random.default_rng(3)
    for count in (0, 1, 2, 40, 40, 40, 200):
        regions = [
            Region(*rng.uniform(0, 100, 2), *rng.uniform(10, 60, 2), kind, score)
            for kind, score in zip(
                rng.choice(["face", "plate"], count), rng.uniform(0, 1, count), strict=True
            )
        ]
        made: list[Region] = []
        for region in sorted(regions, key=lambda r: -r.score):
            same = [n for n, m in enumerate(made) if m.kind == region.kind]
            first = next((n for n in same if made[n].iou(region) > SAME_IOU), None)
            if first is None:
                made.append(region)
            else:
                made[first] = hull(made[first], region)
        assert joined(regions) == made
        assert count < 40 or 1 < len(made) < count


def test_boxes_without_an_area_are_left_out_and_each_thing_counts_once() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [5, 5, 5, 9]], np.float32)
    regions = best(boxes, np.array([0.5, 0.8, 0.9], np.float32), "face")
    assert [(r.x, round(r.score, 2)) for r in regions] == [(1, 0.8)]


def test_padding_goes_to_the_right_and_below_alone() -> None:
    image = np.full((30, 50, 3), 7, np.uint8)
    made = padded(image, 16)
    assert made.shape == (32, 64, 3)
    assert np.array_equal(made[:30, :50], image)
    assert padded(made, 16) is made


def test_both_runtimes_find_the_same_and_openvino_is_taken_only_where_it_is_faster(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    image = cv2.imread(str(data_folder / "faces" / "2007_007763.jpg"))
    assert image is not None
    found = {}
    for engine in ("onnxruntime", "openvino"):
        finder = FINDERS["plates_and_heads"](build(PrivacyConfig, {"engine": engine}))
        found[engine] = [r for r in finder.find(np.asarray(image, np.uint8)) if r.score > 0.5]
        finder.close()
    for region in found["onnxruntime"]:
        assert max(region.iou(other) for other in found["openvino"]) > 0.7
    model, _ = files.own_model()
    for faster, name in ((True, "openvino"), (False, "onnxruntime")):
        monkeypatch.setattr(network, "_is_faster", lambda faster=faster: faster)
        engine = network.open_network(model)
        assert engine.name == name
        engine.close()


def test_without_openvino_the_finders_run_and_asking_for_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network._is_faster.cache_clear()
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr(network, "is_installed", lambda _: False)
    model, _ = files.own_model()
    engine = network.open_network(model)
    assert engine.name == "onnxruntime"
    engine.close()
    with pytest.raises(DependencyError, match="pip install openvino"):
        network.open_network(model, engine="openvino")
    network._is_faster.cache_clear()


def test_a_plate_between_one_line_and_two_is_made_as_high_as_one_of_its_width() -> None:
    cut = Region(10, 30, 64, 24, "plate", 0.8)  # without the line of words above the letters
    whole = mask_of(cut, 0.0)
    assert (whole.x, whole.width, whole.height, whole.y + whole.height / 2) == (10, 64, 32, 42)
    for ratio in (4.7, 3.4, 2.0, 1.4):
        as_found = Region(0, 0, 24 * ratio, 24, "plate")
        assert mask_of(as_found, 0.0) == as_found
    face = Region(0, 0, 64, 24, "face")
    assert mask_of(face, 0.25) == face.widened(0.25)


def test_the_words_above_the_letters_of_a_plate_are_hidden_with_them() -> None:
    finder = opened("plates_and_heads")
    image = np.full((120, 200, 3), 60, np.uint8)
    plate = np.full((40, 80, 3), 235, np.uint8)
    plate[:11] = (110, 60, 40)
    for text, at, size, ink in (
        ("LAKELAND", (14, 9), 0.32, (240, 240, 240)),
        ("7KXM318", (4, 32), 0.62, (60, 20, 20)),
    ):
        cv2.putText(plate, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, ink, 1, cv2.LINE_AA)
    image[40:80, 60:140] = plate
    masks = [mask_of(r, 0.15) for r in finder.find(image) if r.kind == "plate"]
    assert covers(masks, 100, 42)
    assert covers(masks, 100, 78)


def test_a_picture_made_much_smaller_is_of_means_and_not_of_single_px() -> None:
    fine = np.zeros((101, 203, 3), np.uint8)
    fine[::2, ::2] = fine[1::2, 1::2] = 200
    smaller = resized(fine, 0.4)
    assert smaller.shape == (40, 81, 3)
    inner = smaller[2:-2, 2:-2].astype(int)
    assert abs(inner.mean() - 100) < 5
    assert inner.std() < 25
    assert resized(fine, 1.0) is fine
    assert resized(fine, 0.001).shape == (1, 1, 3)
    assert resized(fine, 1.25).shape == (126, 254, 3)


def test_memory_that_is_used_again_holds_nothing_of_the_picture_before() -> None:
    rng = np.random.default_rng(5)
    for turned in (False, True):
        planes = Planes(16, red_first=turned)
        for high, wide in ((40, 50), (33, 17), (16, 32), (64, 70), (40, 50)):
            image = rng.integers(1, 255, (high, wide, 3)).astype(np.uint8)
            expected = tensor(padded(image, 16), red_first=turned)
            assert np.array_equal(planes.of(image), expected)


def test_colours_go_to_a_network_as_they_are_or_turned_round() -> None:
    image = np.zeros((2, 3, 3), np.uint8)
    image[..., 0], image[..., 2] = 10, 30
    assert tensor(image)[0, :, 1, 1].tolist() == [10, 0, 30]
    assert tensor(image, red_first=True)[0, :, 1, 1].tolist() == [30, 0, 10]
