"""Memory of pictures stays with the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

PICTURE = 1920 * 1080 * 3
PROGRAM = f"""
import resource, sys
import numpy as np
from mastra_ros.nodes.memory import keep_memory
if sys.argv[1] == "kept" and not keep_memory():
    sys.exit(3)
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    kept = [np.ones({PICTURE}, np.uint8).tobytes() for _ in range(4)]
    del kept
before = faults()
for _ in range(10):
    kept = [np.ones({PICTURE}, np.uint8).tobytes() for _ in range(4)]
    del kept
print(faults() - before)
"""


def faults(way: str) -> int:
    command = [sys.executable, "-c", PROGRAM, way]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 3:
        pytest.skip("the C library is not glibc")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_pictures_one_after_another_take_no_fresh_memory() -> None:
    pages = 40 * PICTURE // 4096
    assert faults("kept") < pages / 100
    assert faults("given back") > pages / 10, "the C library has become wiser: is this needed?"
