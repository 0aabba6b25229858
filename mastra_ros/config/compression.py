"""The parameters of the compression."""

from __future__ import annotations

from dataclasses import dataclass

from .parameter import parameter
from .pictures import HeardPictureConfig

STILL_CODECS = ("jpeg", "webp", "png", "jpegls")
"""Codecs of tiles and stills."""

VIDEO_CODECS = (
    *("x264", "vp9", "av1"),
    *("h264_nvenc", "h264_qsv", "h264_amf", "h264_v4l2m2m", "h264_rkmpp", "h264_nvmpi"),
    "h264_vaapi",
)
"""Video encoders in software, and those in hardware."""

CODEC_CHOICES = ("auto", *STILL_CODECS, *VIDEO_CODECS)

STILL_QUALITY = 85
VIDEO_QUALITY = 60
"""What a quality of 0 means. Of video, the least at which boards of the line are found as on the
raw frames (docs/compression.md)."""


@dataclass(frozen=True)
class CompressionConfig(HeardPictureConfig):
    """Parameters of the compression before upload."""

    codec: str = parameter(
        "auto",
        "auto: the video codec that costs the fewest bytes on this scene and machine; one of them "
        "by name; or changed tiles coded as jpeg, webp, png or jpegls",
        choices=CODEC_CHOICES,
    )
    quality: int = parameter(
        0,
        "quality of lossy codecs, 1 to 100, alike between them; 0: the one measured for the "
        "codec in `bundle`, else chosen for the codec",
        minimum=0,
        maximum=100,
        live=True,
    )
    bundle: str = parameter(
        "",
        "bundle whose measured qualities a quality of 0 takes (mastra model evaluate --codec); "
        "empty: none, and with `mastra run` inference.bundle",
    )
    royalty_free: bool = parameter(
        False, "auto takes VP9 and AV1 only, whose patents are free of royalties"
    )
    encode_budget_ms: float = parameter(
        3.0,
        "auto takes a codec that encodes 640x480 px in this time, others in proportion; if none "
        "does, the fastest",
        unit="ms",
        minimum=0.1,
        maximum=1000.0,
    )
    error_max: int = parameter(
        0,
        "jpegls: no pixel is off by more than this (16 bits: in steps of their depth); 0: lossless",
        unit="gray levels",
        minimum=0,
        maximum=255,
        live=True,
    )
    tile_px: int = parameter(
        32, "side of a tile, rounded up to a multiple of 8", unit="px", minimum=8, maximum=512
    )
    change_threshold: float = parameter(
        8.0,
        "a tile has changed where 4x4 px of it differ by more than this in the mean; "
        "0, and always with jpegls: where any pixel differs; a frame of video is sent as a repeat "
        "where less than half of this has changed",
        unit="gray levels",
        minimum=0.0,
        maximum=255.0,
        live=True,
    )
    key_interval_frames: int = parameter(
        60,
        "tiles: at most so many delta frames between two key frames; video needs none",
        minimum=0,
        maximum=100000,
    )
    key_share: float = parameter(
        0.6, "more changed area than this makes a key frame", minimum=0.0, maximum=1.0
    )
    ring_frames: int = parameter(
        24, "recent frames kept for late requests", minimum=2, maximum=1000
    )

    @property
    def still_codec(self) -> str:
        """The codec of tiles and stills, also where video is the rule."""
        return self.codec if self.codec in STILL_CODECS else STILL_CODECS[0]

    @property
    def still_quality(self) -> int:
        """The quality of tiles and stills."""
        return self.quality or STILL_QUALITY

    @property
    def video_quality(self) -> int:
        """The quality of video, where none was measured for the codec."""
        return self.quality or VIDEO_QUALITY
