"""Prints a requirements file with numpy and OpenCV left as the system has them.

Usage: python scripts/system_requirements.py FILE, with the Python of the virtual environment.
Where ROS 2 comes from the system, its cv_bridge fits the system's numpy and OpenCV only.
What the system's packages lack in version is said on stderr.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

KEPT = ("numpy", "opencv-python-headless")
"""Left as the system has them, whatever their version."""

DEBIAN = {
    "opencv-python-headless": "python3-opencv",
    "PyYAML": "python3-yaml",
    "PyJWT": "python3-jwt",
}
"""Packages of Debian and Ubuntu that are not named python3-NAME."""


def keep_system(lines: Iterable[str], numpy: str | None, has_opencv: bool) -> list[str]:
    """The lines, with numpy pinned to the version given and OpenCV left out where it is there."""
    kept = []
    for line in lines:
        if numpy and line.startswith("numpy"):
            kept.append(f"numpy=={numpy}")
        elif not (has_opencv and line.startswith("opencv-python")):
            kept.append(line)
    return kept


def lacking(lines: Iterable[str], installed: Callable[[str], str | None]) -> list[str]:
    """A line for each package that is there in a version other than the one that is needed.

    installed: the version of a package by its name on PyPI; None where it is not there.
    """
    requirement_class = _packaging("requirements").Requirement
    told = []
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        requirement = requirement_class(line)
        found = installed(requirement.name)
        if found is None or requirement.specifier.contains(found, prereleases=True):
            continue
        debian = DEBIAN.get(requirement.name, f"python3-{requirement.name.lower()}")
        # Without this environment, as rosdep alone leaves it, there is only the system's.
        what = (
            "kept, since cv_bridge fits this one: Mastra was not tried with it"
            if requirement.name in KEPT
            else "this environment gets its own"
        )
        needed = ",".join(sorted(str(requirement.specifier).split(","), reverse=True))
        told.append(f"{debian} of this system is {found}, needed is {needed}: {what}")
    return told


def _packaging(name: str) -> Any:
    """A module of `packaging`, which a fresh environment has only inside pip."""
    try:
        return import_module(f"packaging.{name}")
    except ImportError:
        return import_module(f"pip._vendor.packaging.{name}")


def _installed(package: str) -> str | None:
    if package.startswith("opencv-python"):  # Debian's has no metadata
        try:
            return str(import_module("cv2").__version__)
        except ImportError:
            return None
    try:
        return version(package)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    requirements = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    for told in lacking(requirements, _installed):
        print(f"setup: {told}", file=sys.stderr)
    opencv = _installed("opencv-python") is not None
    print("\n".join(keep_system(requirements, _installed("numpy"), opencv)))
