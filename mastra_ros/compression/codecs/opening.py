"""Which codecs work on this machine, found out by using them once."""

from __future__ import annotations

import functools
import math
import time
from statistics import median

import numpy as np

from ...errors import CodecError
from .decoding import PyavDecoder
from .encoding import PyavEncoder
from .interface import VideoDecoder, VideoEncoder
from .registry import CODECS, FORMATS

_SIDES_PX = (320, 192)
_QUALITY = 50
_TIMED = 5


def open_encoder(name: str) -> VideoEncoder:
    """A new encoder; CodecError where there is none of this name, or it does not work here."""
    if name not in CODECS:
        raise CodecError(f"codec: expected one of {', '.join(CODECS)}, got {name!r}")
    fault = fault_of(name)
    if fault:
        raise CodecError(fault)
    return PyavEncoder(CODECS[name])


def open_decoder(video_format: str, encoding: str, width_px: int, height_px: int) -> VideoDecoder:
    """A new decoder for pictures of this size; CodecError where PyAV has none."""
    return PyavDecoder(video_format, encoding, width_px, height_px)


def opens(name: str) -> bool:
    """Whether this encoder works on this machine."""
    return not fault_of(name)


@functools.cache
def fault_of(name: str) -> str:
    """Why this encoder does not work on this machine; empty where it does.

    It has: made a key frame and one that rests on it, which a software decoder takes.
    """
    spec = CODECS[name]
    width, height = _SIDES_PX
    picture = np.full((height, width, 3), 90, np.uint8)
    picture[48:96, 64:192] = (20, 120, 220)
    try:
        encoder = PyavEncoder(spec)
        decoder = PyavDecoder(spec.format, "bgr8", width, height)
        for number in range(3):
            moved = np.ascontiguousarray(np.roll(picture, 4 * number, axis=1))
            coded = encoder.encode(moved, "bgr8", key=number == 0, quality=_QUALITY)
            error = np.abs(decoder.decode(coded.data).astype(int) - moved).mean()
            if error > 8.0:
                return f"{name}: what it encodes differs by {error:.1f} gray levels in the mean"
    except ImportError as error:
        return f"{name}: PyAV is not installed ({error})"
    except CodecError as error:
        text = str(error)
        return text if text.startswith(name) else f"{name}: {text}"
    return ""


@functools.cache
def spends_ms(name: str) -> float:
    """What this machine takes for a picture of 640x480 px in which all moves; infinite where the
    encoder does not work. Of the calling thread alone, unless the encoder has its own."""
    spec = CODECS[name]
    rng = np.random.default_rng(0)
    coarse = rng.integers(40, 216, (60, 80, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    clock = time.perf_counter if spec.own_threads or spec.hardware else time.thread_time
    times_ms = []
    try:
        encoder = PyavEncoder(spec)
        for number in range(_TIMED):
            picture = np.roll(coarse, (2 * number, 5 * number), (0, 1))
            picture = picture + rng.integers(0, 6, picture.shape, np.uint8)
            began = clock()
            encoder.encode(picture, "bgr8", key=number == 0, quality=_QUALITY)
            times_ms.append((clock() - began) * 1e3)
    except (ImportError, CodecError):
        return math.inf
    return median(times_ms[1:])


@functools.cache
def writable_formats() -> tuple[str, ...]:
    """The bitstreams of the encoders in this PyAV; whether one works is found out when used."""
    try:
        import av
    except ImportError:
        return ()
    there = {spec.format for spec in CODECS.values() if spec.encoder in av.codecs_available}
    return tuple(name for name in FORMATS if name in there)


@functools.cache
def readable_formats() -> tuple[str, ...]:
    """The bitstreams that can be decoded on this machine."""
    formats = []
    for video_format in FORMATS:
        try:
            PyavDecoder(video_format, "bgr8", *_SIDES_PX)
        except (CodecError, ImportError):
            continue
        formats.append(video_format)
    return tuple(formats)
