"""The first half of a split network, on the device: frames in, features out."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from ..errors import ModelError
from ..types import Features, Frame
from .bundle import Bundle, BundlePart
from .contract import agree_head, split_of
from .engines.engine import Engine
from .feeder import Feeder
from .opening import open_engine

PART = "head"


class Head:
    """Not for two threads at once. `infer_ms` is the time that the latest run took, in ms."""

    def __init__(self, bundle: Bundle, part: BundlePart, engine: Engine) -> None:
        self._bundle, self._split, self.engine = bundle, split_of(bundle), engine
        feed = agree_head(bundle, part, engine)
        self._batch = feed.batch or 1
        self._feeder = Feeder(bundle.input, feed)
        self.infer_ms = 0.0

    @classmethod
    def open(
        cls,
        bundle: Bundle,
        *,
        threads: int = 1,
        delegate: str = "xnnpack",
        providers: Sequence[str] = ("CPUExecutionProvider",),
    ) -> Head:
        """Load the part `head`.

        Raises:
            ModelError: the bundle is not split, the file cannot be run or is not what it says.
            DependencyError: the part's runtime is not installed.
        """
        split_of(bundle)
        part = bundle.part(PART)
        opened = open_engine(part, threads=threads, delegate=delegate, providers=providers)
        try:
            return cls(bundle, part, opened)
        except ModelError:
            opened.close()
            raise

    def run(self, frame: Frame) -> Features:
        """The features of a frame. Raises ModelError when the runtime fails."""
        split = self._split
        tensor, _ = self._feeder.batch([frame], self._batch)
        started = time.perf_counter()
        values = self.engine.run(tensor)[0][0]
        self.infer_ms = (time.perf_counter() - started) * 1e3
        return Features(
            key=frame.key,
            cut=split.cut,
            tensor=np.asarray(values, np.int8),
            scale=split.scale,
            zero_point=split.zero_point,
            width_px=frame.width_px,
            height_px=frame.height_px,
            model=self._bundle.name,
            pair=split.pair,
        )

    def warm_up(self, runs: int) -> None:
        """Run on an empty picture, so that the first frame does not pay for first-time work."""
        for _ in range(runs):
            self.run(self._feeder.empty_frame())

    def close(self) -> None:
        """Free the model."""
        self.engine.close()
