"""Images of 1080p between two processes, with the Fast DDS profile of env.sh."""

from __future__ import annotations

import array
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not installed")

ROOT = Path(__file__).parents[2]
FRAMES = 20
SUBSCRIBER = f"""
import time, rclpy
from rclpy.qos import qos_profile_sensor_data as qos
from sensor_msgs.msg import Image

qos.depth = {FRAMES}
rclpy.init()
node = rclpy.create_node("subscriber")
seen = []
node.create_subscription(Image, "image_raw", lambda image: seen.append(image.header.frame_id), qos)
end = time.monotonic() + 30
while time.monotonic() < end and "{FRAMES - 1}" not in seen:
    rclpy.spin_once(node, timeout_sec=0.5)
print(*seen)
"""


@pytest.mark.skipif(
    shutil.disk_usage("/dev/shm").free < 200 << 20,
    reason="/dev/shm has less than 200 MB for shared memory",
)
def test_every_image_arrives_once_the_two_know_each_other(
    monkeypatch: pytest.MonkeyPatch, fresh_ros_domain: int
) -> None:
    from sensor_msgs.msg import Image

    monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", str(ROOT / "config" / "fastdds.xml"))
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=fresh_ros_domain)
    node = rclpy.create_node("publisher", context=context)
    publisher = node.create_publisher(Image, "image_raw", FRAMES)
    image = Image(height=1080, width=1920, encoding="bgr8", step=3 * 1920)
    image.data = array.array("B", bytes(3 * 1920 * 1080))
    with subprocess.Popen(
        [sys.executable, "-c", SUBSCRIBER], stdout=subprocess.PIPE, text=True, env=os.environ
    ) as subscriber:
        try:
            end = time.monotonic() + 30
            while publisher.get_subscription_count() == 0 and time.monotonic() < end:
                time.sleep(0.05)
            for number in range(FRAMES):
                image.header.frame_id = str(number)
                publisher.publish(image)
                time.sleep(0.1)
            seen, _ = subscriber.communicate(timeout=40)
        finally:
            subscriber.kill()
            node.destroy_node()
            rclpy.shutdown(context=context)
    numbers = [int(number) for number in seen.split()]
    # The publisher may know the subscriber before that knows the publisher.
    assert numbers
    assert numbers[0] <= 3
    assert numbers == list(range(numbers[0], FRAMES))
