"""Whatever happens between encoder and gateway: no picture is shown that was not sent."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mastra_ros.compression import Decoder, StreamEncoder
from mastra_ros.compression.chain import SCALED
from mastra_ros.compression.chooser import at_once
from mastra_ros.compression.codecs import FORMATS
from mastra_ros.compression.rate import ladder
from mastra_ros.config import CompressionConfig, build
from mastra_ros.config.compression import VIDEO_QUALITY
from mastra_ros.errors import CodecError
from mastra_ros.privacy import hiding_nothing
from mastra_ros.types import Frame, FrameKey, Packet

CELL_PX = 32
CODECS = ("x264", "vp9", "jpeg")
GATE = hiding_nothing("pictures made for this test")


def picture(number: int) -> np.ndarray:
    """Sixteen cells that are the digits of a number: no two are alike."""
    bits = np.array([number >> digit & 1 for digit in range(16)], np.uint8).reshape(4, 4)
    return np.kron(bits * 180 + 40, np.ones((CELL_PX, CELL_PX), np.uint8))


def number_in(image: np.ndarray) -> int:
    """The number that a picture shows."""
    cells = image.reshape(4, CELL_PX, 4, CELL_PX).mean(axis=(1, 3)).ravel() > 130
    return sum(1 << digit for digit in range(16) if cells[digit])


@dataclass
class Path:
    """An encoder, a link that loses and reorders, a gateway, and a decoder that hears it all."""

    encoder: StreamEncoder = field(
        default_factory=lambda: StreamEncoder(
            build(CompressionConfig, {"codec": "x264"}), run=at_once
        )
    )
    gateway: Decoder = field(default_factory=Decoder)
    own: Decoder = field(default_factory=Decoder)
    sent: dict[FrameKey, tuple[int, np.ndarray]] = field(default_factory=dict)
    held: list[Packet] = field(default_factory=list)
    old: list[Packet] = field(default_factory=list)
    shown: int = 0
    refused: int = 0
    count: int = 0

    def __post_init__(self) -> None:
        self.encoder.peer((*FORMATS, SCALED))

    def encode(self, stamp_ns: int, *, still: bool, late: bool) -> Packet:
        self.count += not still
        number = self.count * 0x9E5 & 0xFFFF
        key = FrameKey("main", stamp_ns, f"f{len(self.sent)}")
        packet = self.encoder.encode(GATE.clear(Frame(key, picture(number), "mono8")), late=late)
        self.sent[key] = number, self.own.decode(packet).image
        self.old.append(packet)
        return packet

    def deliver(self, packet: Packet) -> None:
        try:
            frame = self.gateway.decode(packet)
        except CodecError:
            self.refused += 1
            self.encoder.require_key()
            return
        number, image = self.sent[frame.key]
        assert number_in(frame.image) == number
        assert np.array_equal(frame.image, image)
        self.shown += 1
        self.encoder.acknowledge(frame.key.stamp_ns, frame.key.id)


def act(path: Path, action: str, choice: int) -> None:
    """One thing that may happen."""
    stamp_ns = 1 + choice % 3 if choice % 5 == 0 else 1000 + len(path.sent)
    if action in ("send", "lose", "hold", "still"):
        packet = path.encode(stamp_ns, still=action == "still", late=choice % 11 == 10)
        if action == "hold":
            path.held.append(packet)
        elif action != "lose":
            path.deliver(packet)
    elif action == "refuse":  # before it was decoded, and the device hears of it
        path.encode(stamp_ns, still=False, late=False)
        path.encoder.require_key()
    elif action == "release" and path.held:
        path.deliver(path.held.pop(choice % len(path.held)))
    elif action == "again" and path.old:
        path.deliver(path.old[choice % len(path.old)])
    elif action == "reconnect":
        path.held.clear()
        path.encoder.forget()
    elif action == "restart":
        path.gateway = Decoder()
    elif action == "memory":
        path.gateway.forget_oldest()
    elif action == "codec":
        values = {"codec": CODECS[choice % 3], "quality": (0, 80)[choice // 3 % 2]}
        path.encoder.configure(build(CompressionConfig, values))
    elif action == "peer":
        path.encoder.peer((*FORMATS[: choice % 4], SCALED))
    elif action == "narrow":  # the link: another quality, another size
        path.encoder.rate.steps = choice % len(ladder(VIDEO_QUALITY, scaled=True))


ACTIONS = (
    *("send", "send", "send", "still", "lose", "hold", "release", "again"),
    *("refuse", "reconnect", "restart", "memory", "codec", "peer", "narrow"),
)


@settings(max_examples=80)
@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 999)), max_size=40))
def test_the_gateway_never_shows_a_picture_that_was_not_sent(steps) -> None:
    path = Path()
    for action, choice in steps:
        act(path, action, choice)
    # And it comes back: a key frame is all that it takes.
    before = path.shown
    for stamp_ns in (5001, 5002):
        path.deliver(path.encode(stamp_ns, still=False, late=False))
    assert path.shown > before


def test_a_long_random_walk_shows_most_of_what_arrives() -> None:
    rng = np.random.default_rng(16)
    path = Path()
    for _ in range(600):
        act(path, str(rng.choice(ACTIONS[:9])), int(rng.integers(1000)))
    assert path.shown > 100
    assert path.refused > 20


def test_pictures_of_every_size_are_shown_on_a_link_that_narrows_and_widens() -> None:
    path, sides = Path(), set()
    for number in range(60):
        path.encoder.rate.steps = number // 6 % len(ladder(VIDEO_QUALITY, scaled=True))
        sides.add(path.encoder.rate.setting(VIDEO_QUALITY).scale)
        path.deliver(path.encode(1000 + number, still=False, late=False))
    assert sides == {1.0, 0.75, 0.5}
    assert path.shown == 60
