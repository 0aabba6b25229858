"""The later parts of the cascade: the plate within a vehicle, and what stands on it.

Each part can be another: the finder is one of the stage privacy, the reader anything that reads.
Both work on one vehicle at a time, on the best few views of a track, at a rate of their own.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mastra_ros.config import PrivacyConfig, TrafficConfig
from mastra_ros.pipeline.traffic.plates.formats import formats_of, formatted
from mastra_ros.pipeline.traffic.plates.own_reader import OwnReader
from mastra_ros.pipeline.traffic.plates.rapid_reader import RapidReader
from mastra_ros.pipeline.traffic.plates.reading import (
    Reader,
    Reading,
    one_after_the_other,
    together,
)
from mastra_ros.pipeline.traffic.plates.rectify import (
    lines_of,
    pulled_out,
    two_lines,
    whole_plates,
)
from mastra_ros.privacy.finders import FINDERS
from mastra_ros.privacy.finders.region import PLATE, Finder

Box = tuple[float, float, float, float]

SCORE_LEAST = 0.3
VEHICLE_PX = 260
"""A vehicle less wide than this is enlarged (at most three times) to look for its plate."""
PLATE_LEAST_PX = 24.0
HIGHEST_SHARE = 0.25
"""No plate is in the uppermost part of a vehicle; lettering and taxi signs are."""
RATIO = (0.9, 7.5)
WIDEST_SHARE = 0.75
SURE = 0.75
"""Of a reading that is surer than this and follows a format no more views are read."""
LETTERS_LEAST = 3
TRIED, PLATE_FROM = 2, 0.4
"""Of what looks like a plate so many are read at most; one that is read so surely is it."""


@dataclass(frozen=True)
class Looked:
    """What was found on a vehicle: the plate's box in px of the frame and its reading, or neither.

    finding_ms, reading_ms: how long each part took.
    """

    box: Box | None
    reading: Reading | None
    finding_ms: float
    reading_ms: float


class PlateCascade:
    """For one thread. Raises ModelError or DependencyError where a part is missing."""

    def __init__(
        self, finder: Finder, reader: Reader, formats: Sequence[str] = formats_of(["all"])
    ) -> None:
        self.finder = finder
        self.reader = reader
        self.formats = tuple(formats)

    @classmethod
    def open(cls, config: TrafficConfig, threads: int = 1) -> PlateCascade:
        """With the parts that the configuration names."""
        formats = formats_of(config.plate_formats)
        privacy = replace(
            PrivacyConfig(), score_min=SCORE_LEAST, threads=threads, models_dir=config.models_dir
        )
        finder = FINDERS[config.plate_finder](privacy)
        if config.plate_reader == "own":
            return cls(finder, OwnReader(threads=threads), formats)
        try:
            reader = RapidReader.installed(config.plate_reader, threads=threads)
        except BaseException:
            finder.close()
            raise
        return cls(finder, reader, formats)

    def look(self, image: NDArray[Any], vehicle: Box) -> Looked:
        """The plate of the vehicle in this box of the frame.

        What is likeliest one by its looks and cannot be read is a badge: then the next is tried.
        """
        began = time.perf_counter()
        boxes = self.plates_in(image, vehicle)[:TRIED]
        found = time.perf_counter()
        if not boxes:
            return Looked(None, None, (found - began) * 1e3, 0.0)
        read: list[tuple[float, Box, Reading]] = []
        for box in boxes:
            reading, surely = self._read(image, box)
            read.append((surely, box, reading))
            if read[-1][0] >= PLATE_FROM:
                break
        _, box, reading = max(read, key=lambda one: one[0])  # of equals the first
        spent = time.perf_counter() - found
        return Looked(box, reading, (found - began) * 1e3, spent * 1e3)

    def read(self, image: NDArray[Any], box: Box) -> Reading:
        """What stands on the plate in this box: read whole and straight, or by its lines."""
        return self._read(image, box)[0]

    def _read(self, image: NDArray[Any], box: Box) -> tuple[Reading, float]:
        """What stands there, and how surely it is a plate that follows a format.

        Further views are read while it is not sure, unless hardly anything stands there.
        """
        whole = self.reader.whole
        views = whole_plates(image, box) if whole else lines_of(image, box)
        reading = together(self.reader.read(views[:1]))
        surely = self._surely(reading)
        if len(views) > 1 and surely < SURE:
            reading = together([reading, *self.reader.read(views[1:])])
            surely = self._surely(reading)
        if whole or surely >= SURE:
            return reading, surely
        if len(reading.letters) >= LETTERS_LEAST:
            reading = together([reading, *self.reader.read(pulled_out(views))])
            surely = self._surely(reading)
        if surely < SURE and (halves := two_lines(image, box)):
            both = one_after_the_other(self.reader.read(halves))
            if (more := self._surely(both)) > max(PLATE_FROM, surely):
                return both, more
        return reading, surely

    def _surely(self, reading: Reading) -> float:
        """How surely it is a plate that follows a format."""
        said = formatted(reading, self.formats)
        return said.confidence if said.format else 0.0

    def plate_in(self, image: NDArray[Any], vehicle: Box) -> Box | None:
        """The likeliest plate of this vehicle, in px of the frame; not that of one beside it."""
        boxes = self.plates_in(image, vehicle)
        return boxes[0] if boxes else None

    def plates_in(self, image: NDArray[Any], vehicle: Box) -> list[Box]:
        """What may be the plate of this vehicle, in px of the frame, the likeliest first."""
        high, wide = image.shape[:2]
        x1, y1 = max(0, int(vehicle[0])), max(0, int(vehicle[1]))
        x2, y2 = min(wide, int(np.ceil(vehicle[2]))), min(high, int(np.ceil(vehicle[3])))
        if x2 - x1 < 24 or y2 - y1 < 16:
            return []
        part = image[y1:y2, x1:x2]
        scale = float(np.clip(VEHICLE_PX / (x2 - x1), 1.0, 3.0))
        if scale > 1.05:
            part = cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        else:
            scale = 1.0
        found: list[tuple[float, Box]] = []
        for region in self.finder.find(np.ascontiguousarray(part, dtype=np.uint8)):
            if region.kind != PLATE or region.score < SCORE_LEAST:
                continue
            a, b = region.x / scale, region.y / scale
            w, h = region.width / scale, region.height / scale
            fits = RATIO[0] <= w / h <= RATIO[1] and w >= PLATE_LEAST_PX
            fits = fits and w <= WIDEST_SHARE * (x2 - x1)
            fits = fits and b + h / 2 >= HIGHEST_SHARE * (y2 - y1)
            # The middle of a plate is near that of its vehicle; one at its border is of another.
            aside = abs(a + w / 2 - (x2 - x1) / 2) / (x2 - x1)
            if not fits or aside > 0.46:
                continue
            worth = region.score * (1.2 - 0.6 * aside)
            found.append((worth, (x1 + a, y1 + b, x1 + a + w, y1 + b + h)))
        return [box for _, box in sorted(found, key=lambda one: -one[0])]

    def close(self) -> None:
        """Free both networks."""
        self.finder.close()
        self.reader.close()
