"""The mode regions on a recorded sequence of ultrasound with the hospital's name burned in."""

from __future__ import annotations

import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from bench.plate_reader import PlateReader
from mastra_ros.compression import Decoder, Encoder
from mastra_ros.config import CompressionConfig

from .conftest import frame_of, gate_of

FILE = "SegmentationTest_BKMedical_RandomStepperMotionData2_Trimmed.igs.mha"
SHAPE = (6, 480, 640)
SECTOR = "0.25,0.21 0.93,0.21 0.93,0.82 0.72,0.91 0.4,0.91 0.25,0.68"
"""Round what was scanned, clear of all that is written."""
NAME = np.s_[26:50, 48:312]
WRITTEN = (NAME, np.s_[26:66, 412:584], np.s_[60:112, 48:118], np.s_[366:436, 48:130])


@pytest.fixture(scope="module")
def sequence(data_folder: Path) -> NDArray[np.uint8]:
    """Frames of a BK scanner: public data of the Plus toolkit."""
    data = (data_folder / "ultrasound" / FILE).read_bytes()
    _, _, packed = data.partition(b"ElementDataFile = LOCAL\n")
    return np.frombuffer(zlib.decompress(packed), np.uint8).reshape(SHAPE)


@pytest.mark.parametrize("hide", ["mosaic", "solid"])
def test_what_is_written_in_a_sequence_of_ultrasound_is_gone_and_the_sector_is_as_it_was(
    sequence: NDArray[np.uint8], hide: str
) -> None:
    gate = gate_of(mode="regions", polygons=[SECTOR], hide=hide)
    encoder, decoder = Encoder(CompressionConfig(codec="png")), Decoder()
    reader = PlateReader.installed()
    corners = [[float(v) for v in pair.split(",")] for pair in SECTOR.split()]
    inside = np.zeros(SHAPE[1:], np.uint8)
    cv2.fillPoly(inside, [np.round(np.array(corners) * (640, 480)).astype(np.int32)], 1)
    for number, image in enumerate(sequence):
        packet = encoder.encode(gate.clear(frame_of(image.copy(), number + 1)))
        seen = decoder.decode(packet).image
        assert (seen[inside > 0] == image[inside > 0]).all()
        for place in WRITTEN:
            before, after = image[place].astype(float), seen[place].astype(float)
            assert before.std() > 20
            spread = after.std()
            assert spread < 1 or abs(np.corrcoef(before.ravel(), after.ravel())[0, 1]) < 0.6
        if reader is not None and number == 0:
            for shown, told in ((image, True), (seen, False)):
                text = reader.read(
                    cv2.cvtColor(np.ascontiguousarray(shown[NAME]), cv2.COLOR_GRAY2BGR)
                )
                assert ("HOSPITAL" in text) is told
