"""The task's own detector as a finder: its objects, with their labels as kinds."""

from __future__ import annotations

from ..config import PrivacyConfig
from ..inference import Detector, load_bundle
from ..types import Frame, FrameKey
from .region import Image, Region

PART = "local"
_KEY = FrameKey("privacy", 0)


class TaskFinder:
    """See `Finder`. The part `local` of a bundle: what the device has room for."""

    def __init__(self, detector: Detector, digest: str) -> None:
        self.name = "task"
        self.digest = digest
        self._detector = detector

    @classmethod
    def open(cls, config: PrivacyConfig) -> TaskFinder:
        """Load `privacy.bundle`. Raises ModelError, also where a file is not what it should be."""
        bundle = load_bundle(config.bundle)
        detector = Detector.open(
            bundle, PART, threads=config.threads, score_threshold=config.score_min
        )
        detector.warm_up(1)
        return cls(detector, bundle.part(PART).sha256)

    def find(self, image: Image) -> list[Region]:
        """All objects in it."""
        encoding = "mono8" if image.ndim == 2 else "bgr8"
        found = self._detector.detect(Frame(_KEY, image, encoding))
        regions = []
        for (x1, y1, x2, y2), score, kind in zip(
            found.boxes.tolist(), found.scores.tolist(), found.classes.tolist(), strict=True
        ):
            if x1 < x2 and y1 < y2:  # a box without an area hides and shows nothing
                regions.append(Region(x1, y1, x2 - x1, y2 - y1, found.labels[kind], score))
        return regions

    def close(self) -> None:
        """Free the model."""
        self._detector.close()
