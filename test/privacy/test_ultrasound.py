"""A real ultrasound picture with burned-in hospital, date and time: nothing of them leaves."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mastra_ros.compression import Decoder, Encoder
from mastra_ros.config import CompressionConfig
from mastra_ros.errors import Withheld

from .conftest import frame_of, gate_of

NAME = "SegmentationTest_BKMedical_RandomStepperMotionData2_Trimmed.igs.mha"
FAN = "0.254,0.36 0.42,0.22 0.59,0.205 0.77,0.23 0.925,0.36 0.925,0.84 0.68,0.9 0.5,0.9 0.254,0.8"
WRITTEN = np.s_[26:64, 48:584]
"""Rows and columns with the hospital, the date and the time."""


@pytest.fixture(scope="module")
def pictures(data_folder: Path) -> NDArray[np.uint8]:
    path = data_folder / "ultrasound" / NAME
    if not path.is_file():
        pytest.skip(f"{NAME} is not installed")
    data = path.read_bytes()
    start = data.index(b"\n", data.index(b"ElementDataFile")) + 1
    return np.frombuffer(zlib.decompress(data[start:]), np.uint8).reshape(6, 480, 640)


@pytest.mark.parametrize("hide", ["mosaic", "solid"])
def test_what_is_burned_in_beside_the_fan_is_gone_from_every_packet(
    pictures: NDArray[np.uint8], hide: str
) -> None:
    assert pictures[0][WRITTEN].max() > 120, "the picture has writing on it"
    gate = gate_of(mode="regions", polygons=[FAN], hide=hide)
    encoder, decoder = Encoder(CompressionConfig(codec="png", change_threshold=1.0)), Decoder()
    kinds = set()
    for number, picture in enumerate(pictures, 1):
        packet = encoder.encode(gate.clear(frame_of(picture, number)))
        encoder.acknowledge(number, packet.key.id)
        kinds.add(packet.kind.value)
        shown = decoder.decode(packet).image
        assert shown[WRITTEN].max() < 60  # of white letters their share of a large block is left
        assert np.unique(shown[WRITTEN], axis=1).shape[1] <= 9
        fan = np.s_[200:380, 200:560]
        assert np.abs(shown[fan].astype(float) - picture[fan]).mean() < 1.0
    assert "delta" in kinds


def test_without_a_polygon_no_such_picture_leaves(pictures: NDArray[np.uint8]) -> None:
    with pytest.raises(Withheld, match="no polygon"):
        gate_of(mode="regions").clear(frame_of(pictures[0]))
