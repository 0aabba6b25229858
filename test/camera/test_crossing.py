"""The drawn crossing: the same for a seed, with its truth."""

from __future__ import annotations

import numpy as np
import pytest

from mastra_ros.camera import open_source
from mastra_ros.camera.crossing import CrossingSource
from mastra_ros.camera.drawn.crossing import Crossing, CrossingOptions
from mastra_ros.camera.drawn.plate_drawn import draw_plate
from mastra_ros.config import CameraConfig, build
from mastra_ros.errors import ConfigError


def test_a_frame_of_a_seed_is_always_the_same() -> None:
    first, second = (Crossing(CrossingOptions(seed=3)) for _ in range(2))
    for index in (0, 5):
        image, truth = first.frame(index)
        again, same = second.frame(index)
        assert np.array_equal(image, again)
        assert truth == same
    back, _ = first.frame(0)
    assert np.array_equal(back, Crossing(CrossingOptions(seed=3)).frame(0)[0])


def test_the_truth_names_types_plates_and_speeds_and_some_stop_at_the_red_light() -> None:
    crossing = Crossing(CrossingOptions(seed=1, rate_hz=2.0))
    truths = [crossing.frame(n)[1] for n in range(140)]
    seen = {o.type for truth in truths for o in truth.objects}
    assert {"car", "van", "truck", "person"} <= seen
    waiting = [
        o
        for truth in truths
        if truth.main_signal == "red"
        for o in truth.objects
        if o.lane.startswith("in") and o.y_m > 33
    ]
    assert any(o.speed_kmh < 2 for o in waiting)
    assert all(len(o.plate) >= 5 for t in truths for o in t.objects if o.type == "car")
    assert any(o.plate_px for t in truths for o in t.objects)
    assert truths[-1].passed == len(crossing.passages) > 0
    assert {p.direction for p in crossing.passages} <= {"in", "out"}


def test_it_is_opened_by_its_name() -> None:
    config = build(CameraConfig, {"source": "synthetic:crossing?seed=2&width=320&height=180"})
    source = open_source(config)
    assert isinstance(source, CrossingSource)
    frame = source.read(1.0)
    assert (frame.width_px, frame.height_px) == (320, 180)
    assert source.crossing_truth(frame.key) is not None
    source.close()


@pytest.mark.parametrize(
    "options", ["colour=red", "width=3", "light=dusk", "seed=-1", "motion=index"]
)
def test_options_that_make_no_sense_are_refused(options: str) -> None:
    with pytest.raises(ConfigError):
        open_source(build(CameraConfig, {"source": f"synthetic:crossing?{options}"}))


def test_a_plate_has_its_letters_drawn() -> None:
    assert not np.array_equal(draw_plate("AB123CD"), draw_plate("AB123CE"))
