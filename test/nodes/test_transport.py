"""Pictures of other drivers: plain or compressed, and what the diagnostics say of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from mastra_ros.nodes.camera import CameraNode
from mastra_ros.nodes.convert import bytes_to_ros
from mastra_ros.nodes.frames import listen_to_frames
from mastra_ros.nodes.intake import Intake
from mastra_ros.nodes.lifecycle import StageNode
from mastra_ros.nodes.transport import TransportedFrames
from mastra_ros.types import Frame

SENT = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
LEVELS = {DiagnosticStatus.OK: "ok", DiagnosticStatus.WARN: "warn", DiagnosticStatus.ERROR: "error"}


class Taker(StageNode):
    """A node that takes pictures as inference, compression and pipeline do."""

    stage = "inference"

    def __init__(self, **options: Any) -> None:
        self.frames: list[Frame] = []
        super().__init__(**options)

    def start(self) -> None:
        listen_to_frames(self, "image_raw", self.frames.append)


class Bench:
    """The node, a driver's node, and the node's last diagnostics."""

    def __init__(
        self, ros: Any, wait_until: Callable[..., None], *remaps: str, **parameters: Any
    ) -> None:
        self._wait = wait_until
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        arguments = ["--ros-args", *(part for remap in remaps for part in ("-r", remap))]
        options = {**ros.options, "cli_args": arguments if remaps else None}
        self.taker = ros.add(Taker(parameter_overrides=overrides, **options))
        assert self.taker.autostart()
        self.driver = ros.node("driver")
        self.status: DiagnosticStatus | None = None
        self.driver.create_subscription(DiagnosticArray, "/diagnostics", self._diagnose, 10)
        self._stamp = 0

    def _diagnose(self, message: DiagnosticArray) -> None:
        self.status = message.status[0]

    def publisher(self, message: type, topic: str) -> Any:
        return self.driver.create_publisher(message, topic, SENT)

    def header(self) -> Header:
        self._stamp += 1
        return Header(stamp=Time(sec=self._stamp), frame_id="lens")

    def plain(self, encoding: str = "mono8", values: np.ndarray | None = None) -> Image:
        values = np.full((8, 8), 70, np.uint8) if values is None else values
        return Image(
            header=self.header(),
            height=8,
            width=8,
            encoding=encoding,
            step=values.strides[0],
            data=bytes_to_ros(values.view(np.uint8)),
        )

    def compressed(self, text: str = "rgb8; jpeg compressed bgr8") -> CompressedImage:
        data = cv2.imencode(".jpg", np.full((8, 8, 3), (40, 80, 200), np.uint8))[1].tobytes()
        return CompressedImage(header=self.header(), format=text, data=data)

    def send_until(
        self, publisher: Any, make: Callable[[], Any], done: Callable[[], bool], what: str
    ) -> None:
        """Publish again and again, as a camera does, until it has come to that."""

        def again() -> bool:
            publisher.publish(make())
            return done()

        self._wait(again, what)

    def shown(self, level: str, text: str = "") -> bool:
        status = self.status
        return status is not None and LEVELS.get(status.level) == level and text in status.message

    def value(self, key: str) -> str:
        assert self.status is not None
        return {v.key: v.value for v in self.status.values}.get(key, "")


@pytest.fixture
def bench(ros: Any, wait_until: Callable[..., None]) -> Callable[..., Bench]:
    return lambda *remaps, **parameters: Bench(ros, wait_until, *remaps, **parameters)


@pytest.mark.parametrize("transport", ["auto", "compressed"])
def test_a_driver_that_sends_only_compressed_pictures_is_heard(bench: Any, transport: str) -> None:
    made = bench(image_transport=transport)
    publisher = made.publisher(CompressedImage, "image_raw/compressed")
    made.send_until(publisher, made.compressed, lambda: len(made.taker.frames) >= 3, "frames")
    frame = made.taker.frames[-1]
    assert (frame.encoding, frame.frame_id) == ("bgr8", "lens")
    assert np.abs(frame.image.astype(int) - (40, 80, 200)).max() <= 4
    made.send_until(publisher, made.compressed, lambda: made.shown("ok"), "good health")


def test_of_a_driver_that_sends_both_each_picture_is_taken_once(
    bench: Any, wait_until: Any
) -> None:
    made = bench()
    plain = made.publisher(Image, "image_raw")
    compressed = made.publisher(CompressedImage, "image_raw/compressed")
    made.send_until(plain, made.plain, lambda: len(made.taker.frames) >= 1, "a plain picture")
    wait_until(lambda: compressed.get_subscription_count() == 0, "nobody hears the compressed")
    for _ in range(20):
        compressed.publish(made.compressed())
    made.send_until(plain, made.plain, lambda: len(made.taker.frames) >= 5, "plain pictures")
    assert {frame.encoding for frame in made.taker.frames} == {"mono8"}


def test_a_driver_that_advertises_plain_pictures_and_never_sends_them_is_heard(
    bench: Any,
) -> None:
    made = bench()
    made.publisher(Image, "image_raw")
    compressed = made.publisher(CompressedImage, "image_raw/compressed")
    made.send_until(
        compressed, made.compressed, lambda: len(made.taker.frames) >= 3, "compressed pictures"
    )
    made.send_until(compressed, made.compressed, lambda: made.shown("ok"), "good health")


def test_a_picture_that_came_compressed_does_not_come_again_plain(bench: Any) -> None:
    made = bench()
    plain = made.publisher(Image, "image_raw")
    compressed = made.publisher(CompressedImage, "image_raw/compressed")
    made.send_until(
        compressed, made.compressed, lambda: bool(made.taker.frames), "a compressed picture"
    )
    last = made.compressed()
    stamps = [frame.key.stamp_ns for frame in made.taker.frames]
    assert len(stamps) == len(set(stamps))

    def both() -> bool:
        compressed.publish(last)
        return made.taker.frames[-1].key.stamp_ns == last.header.stamp.sec * 10**9

    made._wait(both, "the picture, compressed")
    for _ in range(2):
        same = made.plain()
        same.header = last.header if _ == 0 else made.header()
        plain.publish(same)
    made.send_until(
        plain, made.plain, lambda: made.taker.frames[-1].encoding == "mono8", "plain pictures"
    )
    of_that_stamp = [
        frame.encoding
        for frame in made.taker.frames
        if frame.key.stamp_ns == last.header.stamp.sec * 10**9
    ]
    assert set(of_that_stamp) == {"bgr8"}


def test_when_a_plain_publisher_comes_or_goes_the_node_changes_over(
    bench: Any, wait_until: Any
) -> None:
    made = bench()
    compressed = made.publisher(CompressedImage, "image_raw/compressed")
    made.send_until(
        compressed, made.compressed, lambda: bool(made.taker.frames), "a compressed picture"
    )
    plain = made.publisher(Image, "image_raw")
    made.send_until(
        plain, made.plain, lambda: made.taker.frames[-1].encoding == "mono8", "a plain one"
    )
    wait_until(lambda: compressed.get_subscription_count() == 0, "the other to be left")
    made.driver.destroy_publisher(plain)
    made.send_until(
        compressed,
        made.compressed,
        lambda: made.taker.frames[-1].encoding == "bgr8",
        "a compressed one again",
    )


def test_once_stopped_nothing_is_heard_any_more(bench: Any, wait_until: Any) -> None:
    made = bench()
    frames = TransportedFrames(made.taker, "image_raw", "main", made.taker.frames.append)
    plain = made.publisher(Image, "image_raw")
    compressed = made.publisher(CompressedImage, "image_raw/compressed")
    wait_until(lambda: plain.get_subscription_count() == 2, "both subscriptions")
    wait_until(lambda: compressed.get_subscription_count() == 2, "both of the compressed")
    frames.stop()
    wait_until(lambda: plain.get_subscription_count() == 1, "the other alone")
    wait_until(lambda: compressed.get_subscription_count() == 1, "the other alone")
    frames.stop()


def test_raw_never_takes_compressed_pictures(bench: Any, wait_until: Any) -> None:
    made = bench(image_transport="raw", silence_warning_s=0.5)
    compressed = made.publisher(CompressedImage, "image_raw/compressed")
    made.send_until(
        compressed, made.compressed, lambda: made.shown("warn", "image_raw: silent"), "a warning"
    )
    assert compressed.get_subscription_count() == 0
    assert not made.taker.frames


@pytest.mark.parametrize(
    ("remaps", "topic"),
    [
        (["image_raw:=/eye/image"], "/eye/image/compressed"),
        (["image_raw/compressed:=/eye/jpeg"], "/eye/jpeg"),
        (["image_raw:=/eye/image", "image_raw/compressed:=/other/jpeg"], "/other/jpeg"),
    ],
)
def test_the_compressed_topic_follows_the_remapping(
    bench: Any, remaps: list[str], topic: str
) -> None:
    made = bench(*remaps)
    publisher = made.publisher(CompressedImage, topic)
    made.send_until(publisher, made.compressed, lambda: bool(made.taker.frames), "a picture")


def test_the_camera_publishes_its_compressed_pictures_beside_the_remapped_plain_ones(
    ros: Any,
) -> None:
    node = ros.add(
        CameraNode(**ros.options, cli_args=["--ros-args", "-r", "image_raw:=/eye/image"])
    )
    assert node.trigger_configure()
    topics = {publisher.topic_name for publisher in node.publishers}
    assert {"/eye/image", "/eye/image/compressed"} <= topics
    node.close()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda made: made.plain("yuv444"), "encoding 'yuv444' is not supported"),
        (lambda made: made.plain("nv12"), "expected 96 bytes of data"),
    ],
)
def test_a_node_that_refuses_every_picture_shows_it_and_recovers(
    bench: Any, make: Any, reason: str
) -> None:
    made = bench()
    publisher = made.publisher(Image, "image_raw")
    made.send_until(
        publisher,
        lambda: make(made),
        lambda: made.shown("error", "image_raw: all messages are refused"),
        "an error",
    )
    assert reason in made.status.message
    assert int(made.value("image_raw refused")) > 0
    made.send_until(publisher, made.plain, lambda: made.shown("ok"), "good health again")
    assert made.taker.frames
    assert int(made.value("image_raw refused")) > 0, "the count stays"


def test_a_refused_depth_image_is_shown_too(bench: Any) -> None:
    made = bench(image_transport="compressed")
    publisher = made.publisher(CompressedImage, "image_raw/compressed")
    made.send_until(
        publisher,
        lambda: made.compressed("16UC1; compressedDepth png"),
        lambda: made.shown("error", "is a depth image"),
        "an error",
    )


def test_upper_bits_that_stay_0_are_a_warning_until_the_depth_fits(bench: Any) -> None:
    made = bench()
    publisher = made.publisher(Image, "image_raw")

    def picture(value: int) -> Image:
        return made.plain("mono16", np.full((8, 8), value, np.uint16))

    made.send_until(
        publisher, lambda: picture(900), lambda: made.shown("warn", "set bit_depth"), "a warning"
    )
    made.send_until(publisher, lambda: picture(60000), lambda: made.shown("ok"), "good health")


def test_the_depth_given_is_used(bench: Any) -> None:
    made = bench(bit_depth=10)
    publisher = made.publisher(Image, "image_raw")
    made.send_until(
        publisher,
        lambda: made.plain("mono16", np.full((8, 8), 1023, np.uint16)),
        lambda: bool(made.taker.frames),
        "a picture",
    )
    assert (made.taker.frames[-1].image == 65535).all()


def test_some_refused_messages_are_a_warning_and_a_pause_changes_nothing() -> None:
    intake = Intake()
    assert intake.judge() == ("ok", "")
    intake.took()
    intake.refuse("odd")
    assert intake.judge() == ("warn", "some messages are refused, 1 so far: odd")
    intake.refuse("x" * 500)
    level, text = intake.judge()
    assert (level, len(text) < 250) == ("error", True)
    assert intake.judge() == (level, text)
    intake.took()
    assert intake.judge() == ("ok", "")
