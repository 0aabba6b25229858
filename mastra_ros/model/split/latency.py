"""Where to cut: the least predicted time from a frame to its answer.

After Kang et al., "Neurosurgeon: Collaborative Intelligence Between the Cloud and Mobile Edge"
(ASPLOS 2017), with coded instead of raw tensors: the device computes the blocks before the cut,
`device_slowdown` times slower than this machine, and encodes the tensor; it crosses the uplink;
the gateway computes the rest at this machine's speed; one round trip comes on top. The two ends
of the scale are the whole network on the device, and the frame as a JPEG to the gateway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .cuts import Cut, Profile

LOCAL, CLOUD = "local", "cloud"


@dataclass(frozen=True)
class Link:
    """An uplink, and a device at its end."""

    uplink_bps: float
    rtt_ms: float
    device_slowdown: float = 1.0

    def transfer_ms(self, size_bytes: float) -> float:
        """Time that so many bytes need."""
        return size_bytes * 8e3 / self.uplink_bps


@dataclass(frozen=True)
class Picture:
    """What it costs to send frames as pictures: means over the frames, times of this machine."""

    raw_bytes: float  # as the camera gives them
    input_bytes: float  # in the network's own size and colour, a byte a value
    jpeg_bytes: float
    jpeg_quality: int
    encode_ms: float
    decode_ms: float


@dataclass(frozen=True)
class Option:
    """One way to answer a frame, and how long it takes, in ms."""

    name: str  # of the cut, or local or cloud
    device_ms: float
    transfer_ms: float
    gateway_ms: float
    bytes_up: float

    @property
    def total_ms(self) -> float:
        return self.device_ms + self.transfer_ms + self.gateway_ms


def options(profile: Profile, picture: Picture, link: Link) -> list[Option]:
    """All ways: cloud, each cut from the first to the last, local."""
    slow = link.device_slowdown
    cloud = Option(
        CLOUD,
        picture.encode_ms * slow,
        link.transfer_ms(picture.jpeg_bytes) + link.rtt_ms,
        picture.decode_ms + profile.whole_ms,
        picture.jpeg_bytes,
    )
    local = Option(LOCAL, profile.whole_ms * slow, 0.0, 0.0, 0.0)
    return [cloud, *(_of(cut, link) for cut in profile.cuts), local]


def _of(cut: Cut, link: Link) -> Option:
    return Option(
        cut.name,
        (cut.head_ms + cut.encode_ms) * link.device_slowdown,
        link.transfer_ms(cut.coded_bytes) + link.rtt_ms,
        cut.decode_ms + cut.tail_ms,
        cut.coded_bytes,
    )


def fastest(ways: Sequence[Option]) -> Option:
    """The way with the least time; of equals the one that sends least."""
    return min(ways, key=lambda way: (way.total_ms, way.bytes_up))


def best_cut(ways: Sequence[Option]) -> Option:
    """The fastest of the cuts alone."""
    return fastest([way for way in ways if way.name not in (LOCAL, CLOUD)])
