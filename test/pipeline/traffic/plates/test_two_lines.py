"""Plates of two lines are read by a reader of whole plates and by one of single lines."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from mastra_ros.errors import DependencyError
from mastra_ros.pipeline.traffic.device.cascade import PlateCascade
from mastra_ros.pipeline.traffic.plates.formats import formatted
from mastra_ros.pipeline.traffic.plates.own_reader import OwnReader
from mastra_ros.pipeline.traffic.plates.rapid_reader import RapidReader
from mastra_ros.pipeline.traffic.plates.reading import Image, Reader
from mastra_ros.privacy.finders.region import Region

BOX = (50.0, 50.0, 140.0, 120.0)
FACE = cv2.FONT_HERSHEY_DUPLEX


class Finder:
    """Is not asked."""

    def find(self, _: Image) -> list[Region]:
        return []

    def close(self) -> None:
        """Nothing is held."""


def plate(upper: str, lower: str) -> Image:
    """On a grey wall, 90 px wide and 70 high."""
    image = np.full((300, 400, 3), 90, np.uint8)
    cv2.rectangle(image, (100, 100), (280, 240), (235, 235, 235), -1)
    for text, y in ((upper, 160), (lower, 228)):
        (wide, _), _ = cv2.getTextSize(text, FACE, 1.7, 4)
        at = (190 - wide // 2, y)
        cv2.putText(image, text, at, FACE, 1.7, (20, 20, 20), 4, cv2.LINE_AA)
    return cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def rapid() -> Reader:
    try:
        return RapidReader.installed("rapidocr")
    except DependencyError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("reader", [OwnReader, rapid])
def test_both_lines_are_read_one_after_the_other(reader: Callable[[], Reader]) -> None:
    cascade = PlateCascade(Finder(), reader())
    lines = (("AB", "123CD"), ("M XY", "987"), ("GD", "5678K"))
    read = [cascade.read(plate(*both), BOX) for both in lines]
    cascade.close()
    assert [formatted(one, cascade.formats).text for one in read] == [
        "".join(both).replace(" ", "") for both in lines
    ]
