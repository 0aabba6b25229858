"""Prints a requirements file with numpy and OpenCV left as the system has them.

Usage: python scripts/system_requirements.py FILE, with the Python of the virtual environment.
Where ROS 2 comes from the system, its cv_bridge fits the system's numpy and OpenCV only.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path


def keep_system(lines: Iterable[str], numpy: str | None, has_opencv: bool) -> list[str]:
    """The lines, with numpy pinned to the version given and OpenCV left out where it is there."""
    kept = []
    for line in lines:
        if numpy and line.startswith("numpy"):
            kept.append(f"numpy=={numpy}")
        elif not (has_opencv and line.startswith("opencv-python")):
            kept.append(line)
    return kept


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    requirements = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    print("\n".join(keep_system(requirements, _installed("numpy"), find_spec("cv2") is not None)))
