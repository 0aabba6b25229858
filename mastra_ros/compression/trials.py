"""Trying video encoders on the pictures of the scene itself, to know which costs the fewest bytes.

Which codec is best depends on the scene: on traffic a VP9 wins that costs several times the bytes
of x264 where a whole picture moves. So each encoder is given the same few pictures in a row, and
is judged by what it makes of them: bytes, likeness (PSNR), and time of a processor.

Likeness is taken where something has changed, for there is what a detector looks for. Over whole
pictures a background that stands still decides: by that SVT-AV1 had half the bytes of x264 on
traffic, and at equal bytes lost six points of F more, as it was 4 dB worse where cars move.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import cv2
import numpy as np

from ..errors import CodecError
from .changes import changed_tiles
from .codecs import CODECS, CodecSpec, open_decoder, open_encoder
from .first import PROCESSOR, Clock
from .tiles import Image, cut

DB_AN_OCTAVE = 2.8
"""Twice the bytes buy about so much PSNR, at the bytes that detectors ask for."""
KEY_EVERY = 600
"""A key frame is paid for by about so many frames."""
TILE_PX, CHANGED_GRAY, TILES_MIN = 16, 8.0, 4
"""What counts as a change, and how many tiles of it are enough to judge by."""
LAST_FAMILIES = ("av1",)
"""What `auto` takes only where there is nothing else: on traffic SVT-AV1 lost seven points of F
more than the others at the same bytes, though pictures in which little moves are most like. Of
gray pictures likeness decides, and there it is the best that keeps the time."""
BETTER = 0.85
"""Another codec has to cost less than this share of the present one's bytes: a change is a key."""
BETTER_FIRST = 0.97
"""As `BETTER`, in the first trial of a scene, of what usually costs fewer bytes than the present
one: that was left out by a guess of how long it would take, and turns out to have the time."""
BETTER_KIND = 0.4
"""One of another bitstream has to cost less than this: equal likeness is not equal detections
there. On bottles VP9 had half of x264's bytes by likeness, and as many by what was detected."""
ROOM = 0.93
"""Share of the budget that encoding may take: to find out what has changed takes time too."""
PEAK = 10.0 / 3.0
"""The slowest picture of a trial may take so many times the budget."""


@dataclass(frozen=True)
class Trial:
    """What one encoder made of the pictures that rest on another: means, the middle time, and the
    longest."""

    codec: str
    key_bytes: int
    frame_bytes: float
    psnr_db: float
    encode_ms: float
    slowest_ms: float = 0.0

    def within(self, budget_ms: float) -> bool:
        """Whether it keeps the time to encode a picture of this size."""
        return self.encode_ms <= ROOM * budget_ms and self.slowest_ms <= PEAK * budget_ms

    def bytes_at(self, psnr_db: float) -> float:
        """Bytes a frame, keys shared out, at another likeness."""
        octaves = (psnr_db - self.psnr_db) / DB_AN_OCTAVE
        return float((self.frame_bytes + self.key_bytes / KEY_EVERY) * 2.0**octaves)


def try_codec(
    spec: CodecSpec,
    images: Sequence[Image],
    encoding: str,
    quality: int,
    *,
    stopped: Callable[[], bool] = lambda: False,
    rest: float = 0.0,
    clock: Clock = PROCESSOR,
) -> Trial | None:
    """Encode and decode pictures in a row; None where it does not work, or was stopped.

    rest: how long nothing is done after each picture, in times of what it took.
    """
    sizes, times_ms, likeness = [], [], []
    height, width = images[0].shape[:2]
    try:
        encoder = open_encoder(spec.name)
        decoder = open_decoder(spec.format, encoding, width, height)
        for number, image in enumerate(images):
            if stopped():
                return None
            taken_s = time.perf_counter()
            began_s = clock.spent_s(spec.name)
            coded = encoder.encode(image, encoding, key=number == 0, quality=quality)
            ended_s = clock.spent_s(spec.name)
            times_ms.append((ended_s - began_s) * 1e3)
            sizes.append(len(coded.data))
            decoded = decoder.decode(coded.data)
            likeness.append(likeness_of(decoded, image, images[number - 1] if number else None))
            time.sleep(rest * (time.perf_counter() - taken_s))
    except CodecError:
        return None
    return Trial(
        spec.name,
        sizes[0],
        float(np.mean(sizes[1:])) if len(sizes) > 1 else float(sizes[0]),
        float(np.mean(likeness[1:] or likeness)),
        median(times_ms[1:] or times_ms),
        # The longest but one: whatever else a machine does disturbs one of so few.
        sorted(times_ms[1:] or times_ms)[-2:][0],
    )


def likeness_of(decoded: Image, image: Image, before: Image | None) -> float:
    """PSNR, dB, in the tiles that differ from the picture before; in all where hardly any does."""
    if before is not None:
        mask = changed_tiles(image, before, TILE_PX, CHANGED_GRAY)
        if mask.sum() >= TILES_MIN:
            return cv2.PSNR(cut(decoded, mask, TILE_PX), cut(image, mask, TILE_PX))
    return cv2.PSNR(decoded, image)


def choose(
    trials: Sequence[Trial],
    present: str,
    budget_ms: float,
    *,
    equal: bool = False,
    settled: bool = True,
) -> str:
    """The codec that costs the fewest bytes at equal likeness, of those within the time.

    Where none is, the fastest. The present one stays unless another is clearly better.
    equal: each was tried at the quality that was measured to give equal detections, so that the
    bytes alone decide. settled: the present one has been chosen by a trial of this scene.
    """
    if not trials:
        return present
    within = [trial for trial in trials if trial.within(budget_ms)]
    if not within:
        return min(trials, key=lambda trial: trial.encode_ms).codec
    now = next((trial for trial in within if trial.codec == present), None)
    psnr_db = now.psnr_db if now else median(trial.psnr_db for trial in within)

    def cost(trial: Trial) -> float:
        return trial.bytes_at(trial.psnr_db if equal else psnr_db)

    def wanted(trial: Trial) -> float:
        """The share of the present one's bytes below which this one takes its place."""
        same = equal or CODECS[trial.codec].format == CODECS[present].format
        if not same:
            return BETTER_KIND
        return BETTER if settled or not _finer(trial.codec, present) else BETTER_FIRST

    if present not in CODECS:
        return min(within, key=cost).codec
    # One that is too slow gives way to its own kind, if there is any within the time.
    if now is None:
        kind = [t for t in within if CODECS[t.codec].format == CODECS[present].format]
        return min(kind or within, key=cost).codec
    better = [trial for trial in within if cost(trial) < wanted(trial) * cost(now)]
    return min(better, key=cost).codec if better else present


def _finer(name: str, present: str) -> bool:
    """Whether this one stands before the present one of its family."""
    order = list(CODECS)
    same = CODECS[name].family == CODECS[present].family
    return same and order.index(name) < order.index(present)


def candidates(
    wanted: str, formats: frozenset[str], *, free_only: bool, gray: bool = False
) -> list[str]:
    """Names of the encoders that may be used if they work; `wanted` is a family or "auto"."""
    names = [
        spec.name
        for spec in CODECS.values()
        if spec.format in formats
        and (wanted == spec.family or (wanted == "auto" and (spec.free or not free_only)))
    ]
    if wanted == "auto":
        seldom = [name for name in names if CODECS[name].family in LAST_FAMILIES]
        seldom = [name for name in seldom if not (gray and CODECS[name].gray)]
        names = [name for name in names if name not in seldom] or names
    return [name for name in names if gray or not CODECS[name].gray]
