"""The tutorial on applications runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from mastra_ros.pipeline.application import CloseSet, SeenFrame

PAGE = Path(__file__).resolve().parents[2] / "docs/applications.md"


def test_the_application_of_the_tutorial_passes_its_own_test() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    application, frames, _, its_test = blocks
    names: dict[str, Any] = {}
    exec(application, names)
    exec(its_test, names)
    names["test_the_rate_goes_on_after_a_restart"]()
    made = names["PartsAnHour"]()
    (answer,) = made.on_record(names["seen"](1))
    assert answer.data == b'{"parts_an_hour": 1}'
    exec(frames, names)
    _sees_frames(names["Sharpness"]())


def _sees_frames(made: Any) -> None:
    seen = SeenFrame(1, "cam", "main", "sweep", 1, 5, 0.0, {})
    flat, sharp = np.zeros((8, 8), np.uint8), np.eye(8, dtype=np.uint8)
    for sequence, image in ((1, flat), (2, sharp), (3, flat)):
        frame = SeenFrame(1, "cam", "main", "sweep", sequence, 5, 0.0, {}, "mono8", image)
        assert list(made.on_frame(frame)) == []
    told, closed = made.on_frame(SeenFrame(**{**vars(seen), "ends": True}))
    assert (told.data, closed) == (b"2", CloseSet("sweep"))
