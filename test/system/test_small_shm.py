"""In the shared memory of a container a driver's images reach the nodes, and a line says how."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
IMAGES = 20
DRIVER = f"""
import array, subprocess, sys, time
import rclpy
from builtin_interfaces.msg import Time
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from mastra_ros.msg import InferenceResult

nodes = [
    subprocess.Popen([sys.executable, "-c", f"from mastra_ros.nodes.{{n}} import main; main()"])
    for n in ("inference", "scheduling")
]
rclpy.init()
node = rclpy.create_node("driver")
publisher = node.create_publisher(Image, "image_raw", QoSProfile(depth=10))
results = []
node.create_subscription(InferenceResult, "result", lambda m: results.append(m), 50)

def spin(seconds, enough):
    end = time.monotonic() + seconds
    while time.monotonic() < end and not enough():
        rclpy.spin_once(node, timeout_sec=0.05)

def hears(*topics):
    return all(node.count_subscribers(t) and node.count_publishers(t) for t in topics)

spin(60, lambda: hears("/image_raw", "/decision", "/local_result"))
image = Image(height=1080, width=1920, encoding="bgr8", step=5760)
image.data = array.array("B", bytes(5760 * 1080))
# The first ones may come before both ends know each other.
number = 0
while not results and number < 50:
    number += 1
    image.header.stamp = Time(sec=number)
    publisher.publish(image)
    spin(1.0, lambda: results)
spin(1.0, lambda: False)
results.clear()
for number in range(100, 100 + {IMAGES}):
    image.header.stamp = Time(sec=number)
    publisher.publish(image)
    spin(5.0, lambda: any(r.header.stamp.sec == number for r in results))
for process in nodes:
    process.terminate()
for process in nodes:
    process.wait(30)
print("results", len({{r.header.stamp.sec for r in results if r.final}}))
"""


@pytest.mark.parametrize(
    ("profile", "size_mb"), [("fastdds.xml", 64), ("fastdds_small.xml", 64), ("fastdds.xml", 128)]
)
def test_large_images_arrive_in_a_small_shared_memory(
    tmp_path: Path, fresh_ros_domain: int, profile: str, size_mb: int
) -> None:
    """The driver takes the profile as it is; the nodes choose theirs."""
    mount = f"mount -t tmpfs -o size={size_mb}m tmpfs /dev/shm"
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], check=False).returncode:
        pytest.skip("mount namespaces are not permitted here")
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f"{mount} && exec {sys.executable} {script}"],
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
        env={**os.environ, "FASTRTPS_DEFAULT_PROFILES_FILE": str(ROOT / "config" / profile)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == f"results {IMAGES}", done.stdout + done.stderr
    assert "--shm-size=512m" in done.stderr
    assert "Failed to create segment" not in done.stderr
