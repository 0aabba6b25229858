"""Frames of 16 bits travel as 8, by the scale that the device's own model uses."""

from __future__ import annotations

import numpy as np
import pytest

from mastra_ros.compression import Decoder, Encoder
from mastra_ros.pictures import eight_bits
from mastra_ros.types import PacketKind


@pytest.mark.parametrize("encoding", ["mono16", "bgr16", "rgb16"])
def test_a_frame_of_16_bits_arrives_as_the_devices_own_model_sees_it(
    config_of, scene, frame_of, encoding: str
) -> None:
    encoder, decoder = Encoder(config_of(codec="png")), Decoder()
    for stamp_ns, add in ((1, 0), (2, 3000)):
        image = scene(96, 64, encoding).astype(np.uint16) * 250
        image[:32, :32] += add
        cleared = frame_of(image, stamp_ns, encoding)
        frame = cleared.frame
        packet = encoder.encode(cleared)
        arrived = decoder.decode(packet)
        seen = eight_bits(frame)
        assert packet.encoding == arrived.encoding == seen.encoding  # as every gateway knows it
        if packet.kind is PacketKind.KEY:
            assert np.array_equal(arrived.image, seen.image)
        assert np.abs(arrived.image.astype(int) - seen.image).max() <= 9  # change_threshold
        encoder.acknowledge(stamp_ns)
    assert packet.kind is PacketKind.DELTA
