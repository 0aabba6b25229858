"""The second half of a split network, in the gateway: features in, detections out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..errors import ModelError
from ..types import Detections, Features, FrameKey
from .bundle import Bundle, BundlePart
from .contract import agree_tail, split_of
from .engines.engine import Engine
from .opening import open_engine
from .preprocess import transform_for
from .reader import Reader

PART = "tail"


class Tail:
    """Not for two threads at once; `score_threshold` may be set from any thread."""

    def __init__(
        self, bundle: Bundle, part: BundlePart, engine: Engine, *, score_threshold: float = 0.0
    ) -> None:
        self._bundle, self._part, self.engine = bundle, part, engine
        contract = agree_tail(bundle, part, engine)
        self._split, self._batch = contract.split, contract.batch
        self._reader = Reader(bundle, part, engine.outputs, contract.grid)
        self._reader.score_threshold = score_threshold

    @classmethod
    def open(
        cls,
        bundle: Bundle,
        *,
        threads: int = 1,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        score_threshold: float = 0.0,
    ) -> Tail:
        """Load the part `tail`. A `score_threshold` of 0 takes the bundle's.

        Raises ModelError and DependencyError as `Head.open` does.
        """
        split_of(bundle)
        part = bundle.part(PART)
        opened = open_engine(part, threads=threads, providers=providers)
        try:
            return cls(bundle, part, opened, score_threshold=score_threshold)
        except ModelError:
            opened.close()
            raise

    @property
    def labels(self) -> tuple[str, ...]:
        return self._bundle.labels

    @property
    def chosen(self) -> str:
        """The engine in use, in words."""
        return f"{self.engine.name} on {self._part.name}"

    @property
    def model(self) -> str:
        return self._part.model

    @property
    def version(self) -> str:
        return self._part.version

    @property
    def values(self) -> int:
        """Values of the tensor at the cut."""
        return math.prod(self._split.shape)

    @property
    def pair(self) -> str:
        """Names the head whose features it takes."""
        return self._split.pair

    def check(self, features: Features) -> None:
        """Raise ModelError unless this tail's own head has made the features."""
        split = self._split
        if features.pair != split.pair:
            raise ModelError(
                f"features: expected those of head {split.pair} of {self._bundle.name}, got those "
                f"of {features.pair or 'another'}: device and gateway need the same bundle"
            )
        said = (features.cut, features.tensor.shape, features.scale, features.zero_point)
        if said != (split.cut, split.shape, split.scale, split.zero_point):
            raise ModelError(f"features: {said} is not the cut of {self._bundle.name}")

    def detect_batch(self, items: Sequence[Features]) -> list[Detections]:
        """What each frame shows, in px of the frame; in one run where the model takes any number.

        Raises ModelError when the runtime fails, or features are not those of this tail's head.
        """
        found: list[Detections] = []
        size = self._batch or max(len(items), 1)
        for start in range(0, len(items), size):
            some = items[start : start + size]
            tensor = np.full((size, *self._split.shape), self._split.zero_point, np.int8)
            for place, features in zip(tensor, some, strict=False):
                self.check(features)
                place[...] = features.tensor
            outputs = self.engine.run(tensor)
            for index, one in enumerate(some):
                transform = transform_for(self._bundle.input, one.width_px, one.height_px)
                found.append(self._reader.read(outputs, index, transform))
        return found

    def warm_up(self, runs: int) -> None:
        """Run on an empty tensor, so that the first frame does not pay for first-time work."""
        split, size = self._split, self._bundle.input
        empty = Features(
            FrameKey("warm-up", 0),
            split.cut,
            np.full(split.shape, split.zero_point, np.int8),
            split.scale,
            split.zero_point,
            size.width_px,
            size.height_px,
            self._bundle.name,
            split.pair,
        )
        for _ in range(runs):
            self.detect_batch([empty])

    def close(self) -> None:
        """Free the model."""
        self.engine.close()
