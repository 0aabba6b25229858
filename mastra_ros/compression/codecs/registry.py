"""The encoders that we know: FFmpeg's name, the bitstream, and the settings for low delay.

All write one packet a picture with nothing held back, in one thread, and no key frame unless it
is asked for. The settings are those that cost the fewest bytes at equal detections in the time
allowed: docs/compression.md has the measurements.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

FORMATS = ("h264", "vp9", "av1")
"""Bitstreams; the position is the number in a payload and never changes."""

FREE_FORMATS = frozenset({"vp9", "av1"})
"""Those whose makers grant everybody their patents without royalties."""


@dataclass(frozen=True)
class CodecSpec:
    """One encoder with one set of settings.

    family: its name as a value of `compression.codec`; one family may have several settings.
    rate: the option that holds the quality ("crf", "qp", ...), and `rates` its value at
    `QUALITIES`, between which it is interpolated. own_threads: it works in threads of its own, so
    that the time of the calling one says nothing. gray: `auto` takes it for gray pictures only.
    live_range: steps of `rate` in an offset of 1 by which one picture has another quality than the
    one before (`strain`); 0 where that takes a new encoder. live_keys: its keys too. fine_every: of
    such a one, one picture in so many is finer, as those behind rest on it.
    """

    name: str
    family: str
    format: str
    encoder: str
    rates: tuple[float, ...]
    options: Mapping[str, str] = field(default_factory=dict)
    rate: str = "crf"
    hardware: bool = False
    live_range: float = 0.0
    side_min_px: int = 16
    own_threads: bool = False
    gray: bool = False
    live_keys: bool = True
    fine_every: int = 12

    @property
    def free(self) -> bool:
        """Whether its bitstream is free of royalties."""
        return self.format in FREE_FORMATS

    def rate_of(self, quality: int) -> int:
        """The value of the option `rate` for a quality of 1 to 100."""
        return round(float(np.interp(quality, QUALITIES, self.rates)))


QUALITIES = (1, 50, 85, 100)

_X264 = {
    "tune": "zerolatency",
    # As good as none, which costs the fewest bytes; without any it takes no other quality later.
    "aq-mode": "1",
    "aq-strength": "0.01",
    # Keys come seldom, and what stands still is looked at long after: fine ones pay.
    "x264-params": "keyint=infinite:scenecut=0:force-cfr=1:threads=1:ipratio=3",
}
_VP9_NATURAL = {
    "deadline": "realtime",
    "lag-in-frames": "0",
    "auto-alt-ref": "0",
    "error-resilient": "0",
    "b": "0",
    # What libvpx does by default; FFmpeg passes on other qualities of a picture only if it is said.
    "aq-mode": "0",
}
# With the tools for screen content, which find what moves far: a sixth of the bytes on the line,
# and up to a third more where little does.
_VP9 = {**_VP9_NATURAL, "tune-content": "screen"}
_AV1_DELAY = "pred-struct=1:lp=1:rtc=1:lookahead=0:keyint=-1"
_AV1 = {"svtav1-params": f"{_AV1_DELAY}:scm=1"}
_AV1_EVEN = {
    "svtav1-params": f"{_AV1_DELAY}:use-fixed-qindex-offsets=1:key-frame-qindex-offset=-20"
    ":qindex-offsets=[0,0,0,0,0,0]"
}
# Each picture rests on the one before, as speckle that moves wants it: 7 % fewer bytes. Without
# the filter over blocks 3 % more, and a tenth less time. Older ones of SVT-AV1 do not take it.
_AV1_FLAT = {"svtav1-params": f"{_AV1_EVEN['svtav1-params']}:hierarchical-levels=0:enable-cdef=0"}

_X264_RATES = (48.0, 32.0, 20.0, 6.0)
_VP9_RATES = (62.0, 40.0, 14.0, 2.0)
_AV1_RATES = (62.0, 45.0, 22.0, 4.0)
_QP_RATES = (48.0, 32.0, 20.0, 6.0)

_KNOWN = (
    CodecSpec(
        "x264-veryfast",
        "x264",
        "h264",
        "libx264",
        _X264_RATES,
        {**_X264, "preset": "veryfast", "trellis": "1"},
        live_range=51.0,
    ),
    CodecSpec(
        "x264-superfast-fine",
        "x264",
        "h264",
        "libx264",
        _X264_RATES,
        {
            **_X264,
            "preset": "superfast",
            "trellis": "1",
            "x264-params": _X264["x264-params"] + ":subme=2",
        },
        live_range=51.0,
    ),
    CodecSpec(
        "x264-superfast",
        "x264",
        "h264",
        "libx264",
        _X264_RATES,
        {**_X264, "preset": "superfast"},
        live_range=51.0,
    ),
    CodecSpec(
        "x264-ultrafast",
        "x264",
        "h264",
        "libx264",
        _X264_RATES,
        {**_X264, "preset": "ultrafast"},
        live_range=51.0,
    ),
    *(
        CodecSpec(
            name,
            "vp9",
            "vp9",
            "libvpx-vp9",
            _VP9_RATES,
            {**options, "cpu-used": used},
            live_range=63.0,
            live_keys=False,
            fine_every=24,
        )
        for name, used, options in (
            ("vp9-7", "7", _VP9),
            ("vp9-7-natural", "7", _VP9_NATURAL),
            ("vp9-8", "8", _VP9),
            ("vp9-8-natural", "8", _VP9_NATURAL),
        )
    ),
    *(
        CodecSpec(
            name,
            "av1",
            "av1",
            "libsvtav1",
            _AV1_RATES,
            {**options, "preset": "12"},
            side_min_px=64,
            own_threads=True,
            gray=gray,
        )
        for name, options, gray in (
            ("av1-12", _AV1, False),
            ("av1-12-flat", _AV1_FLAT, True),
            ("av1-12-even", _AV1_EVEN, True),
        )
    ),
    *(
        CodecSpec(name, name, "h264", name, _QP_RATES, options, rate, True, 64)
        for name, rate, options in (
            (
                "h264_nvenc",
                "qp",
                {"preset": "p2", "tune": "ull", "zerolatency": "1", "rc": "constqp"},
            ),
            ("h264_qsv", "global_quality", {"preset": "veryfast", "async_depth": "1"}),
            ("h264_amf", "qp_p", {"usage": "ultralowlatency", "rc": "cqp"}),
            ("h264_v4l2m2m", "qmax", {}),
            ("h264_rkmpp", "qp_init", {"rc_mode": "CQP"}),
            ("h264_nvmpi", "qmax", {}),
            ("h264_vaapi", "qp", {"rc_mode": "CQP"}),
        )
    ),
)

CODECS: Mapping[str, CodecSpec] = {spec.name: spec for spec in _KNOWN}
"""By name; of one family, what gives the fewest bytes comes first."""
