"""`mastra model split --measure-privacy`: what a decoder can rebuild of plates at each cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ...errors import MastraError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ...inference import Bundle
    from ...model.progress import Bar
    from ...model.split.cuts import Cut
    from ...model.split.rebuilding import Read
    from ...pipeline.traffic.plates.reading import Reader

PLATES_MIN = 100
"""Plates that a decoder learns from, at least."""
READERS = ("rapidocr", "rapidocr-onnxruntime")


def measure_privacy(
    bundle: Bundle, model: Any, cuts: Sequence[Cut], plates: int, threads: int, bar: Bar
) -> dict[str, dict[str, Any]]:
    """Measure each cut and say so, a line each."""
    from ...camera.drawn.plate_samples import PlateSamples
    from ...model.split.rebuilding import TRAIN, Counts, measure_rebuilding
    from ...model.split.split import WHOLE

    read, names = open_readers(threads)
    found = measure_rebuilding(
        bundle,
        WHOLE,
        model,
        cuts,
        PlateSamples(bundle.input.width_px, bundle.input.height_px),
        counts=Counts(train=plates or TRAIN),
        read=read,
        threads=threads,
        progress=bar,
    )
    print("\n".join(lines(found, names)))
    return found


def lines(found: Mapping[str, Mapping[str, Any]], readers: Sequence[str]) -> list[str]:
    """What was rebuilt, for people."""
    from ...privacy.rebuilt import KEY, why_not

    made = [f"plates rebuilt from the features, read by {', '.join(readers) or 'nobody'}:"]
    for name, told in found.items():
        refusal = why_not({KEY: {**told, "head_sha256": "-"}}, "-")
        numbers = "not measured"
        if told["samples"]:
            readable = f", {told['readable']} before" if "readable" in told else ""
            numbers = (
                f"correlation {told['correlation']:.3f} (up to {told['correlation_upper']:.3f}), "
                f"read {told['readings']} of {told['samples']}{readable}"
            )
        made.append(f"{name}: {numbers}; {'not private: ' + refusal if refusal else 'private'}")
    return made


def open_readers(threads: int) -> tuple[Read | None, list[str]]:
    """What the readers that are here read, and their names; None where there are none."""
    from ...pipeline.traffic.plates.own_reader import OwnReader
    from ...pipeline.traffic.plates.rapid_reader import RapidReader

    ways: list[Callable[[], Reader]] = [
        partial(OwnReader, threads=threads),
        *(partial(RapidReader.installed, name, threads=threads) for name in READERS),
    ]
    readers = [reader for way in ways for reader in _opened(way)]

    def read(plates: list[NDArray[np.uint8]]) -> list[set[str]]:
        seen = [[reading.text for reading in reader.read(list(plates))] for reader in readers]
        return [set(texts) for texts in zip(*seen, strict=True)]

    return (read if readers else None), [reader.name for reader in readers]


def _opened(way: Callable[[], Reader]) -> list[Reader]:
    """The reader; none where it is not installed."""
    try:
        return [way()]
    except MastraError:
        return []
