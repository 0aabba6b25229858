"""Heads of persons and lower bands of vehicles that the task's own detector finds: what they add.

YOLOX-nano on COCO stands for the task's detector. Bands are applied where nothing was found inside,
as the gate does; their area is told apart from that of the detectors' masks.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from bench.privacy_pictures import Image, covered, interval, plate_of_width, plates, street
from mastra_ros.config import PrivacyConfig
from mastra_ros.config.known_models import known_model
from mastra_ros.model.fetch import get_model
from mastra_ros.privacy import Finder, Region, mask_of
from mastra_ros.privacy.bands import LABELS, bands
from mastra_ros.privacy.hide import hide_inside
from mastra_ros.privacy.objects import TaskFinder

PLATE_PX = (32, 48)
PLATE_SHARE = 0.9
Result = dict[str, Any]


def of_bands(finders: Sequence[Finder], data: Path, config: PrivacyConfig, frames: int) -> Result:
    """Recall of plates, and the share of street frames that is masked, without and with them."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = get_model(known_model("yolox_nano"), Path(folder), data / "models")
        task = TaskFinder.open(replace(config, bundle=str(bundle)))
        try:
            looking = Looking(finders, task, config)
            told: Result = {"task": "yolox_nano", "plates": [], "street": {}}
            for width in PLATE_PX:
                told["plates"].append(_plates(looking, data, width))
            told["street"] = _street(looking, street(data, frames)[::10])
        finally:
            task.close()
    return told


class Looking:
    """The masks of a picture: those of the finders, and the bands beside them."""

    def __init__(self, finders: Sequence[Finder], task: Finder, config: PrivacyConfig) -> None:
        self._finders, self._task, self._config = finders, task, config

    def at(self, image: Image) -> tuple[list[Region], list[Region]]:
        """Both, the masks widened as the gate does."""
        found = [region for finder in self._finders for region in finder.find(image)]
        objects = [replace(o, kind=LABELS.get(o.kind, o.kind)) for o in self._task.find(image)]
        masks = [mask_of(r, self._config.widen) for r in found]
        return masks, bands(objects, found)


def _plates(looking: Looking, data: Path, width: int) -> Result:
    without = both = count = 0
    areas = []
    for photograph, there in plates(data):
        if (made := plate_of_width(photograph, there, width)) is None:
            continue
        image, truth = made
        masks, added = looking.at(image)
        count += 1
        without += covered(truth, masks, by_width=True) >= PLATE_SHARE
        both += covered(truth, [*masks, *added], by_width=True) >= PLATE_SHARE
        areas.append(share_of(image, added))
    return {
        "width_px": width,
        "count": count,
        "without": round(without / count, 4),
        "with": round(both / count, 4),
        "interval_with": interval(both, count),
        "bands_picture_share_median": round(median(areas), 4),
    }


def _street(looking: Looking, images: Sequence[Image]) -> Result:
    seen = [(image, *looking.at(image)) for image in images]
    return {
        "frames": len(seen),
        "bands_a_frame": round(sum(len(added) for _, _, added in seen) / len(seen), 2),
        "share_without_median": _median(seen, lambda masks, _: masks),
        "share_of_bands_median": _median(seen, lambda _, added: added),
        "share_with_median": _median(seen, lambda masks, added: [*masks, *added]),
    }


def _median(seen: Any, chosen: Any) -> float:
    return round(median(share_of(image, chosen(m, a)) for image, m, a in seen), 4)


def share_of(image: Image, regions: list[Region]) -> float:
    """The share of a picture under the masks."""
    under = hide_inside(np.full(image.shape[:2], 255, np.uint8), regions, "solid", 8)
    return float(np.count_nonzero(under == 0)) / under.size
