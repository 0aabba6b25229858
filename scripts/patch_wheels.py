"""Makes the CMake files in ROS 2 wheels name this Python's folders.

The wheels were built on another machine and name its Python, for example
`/opt/python/cp311-cp311/include/python3.11`. CMake stops when such a folder does not exist.
Run with the Python of the virtual environment; a second run changes nothing.
"""

from __future__ import annotations

import re
import sys
import sysconfig
from pathlib import Path

_INCLUDE = re.compile(r"/opt/python/cp3\d+-cp3\d+/include/python3\.\d+")
_SITE_PACKAGES = re.compile(r"/opt/python/cp3\d+-cp3\d+/lib/python3\.\d+/site-packages")


def patch_text(text: str, include: str, site_packages: str) -> str:
    """The text with the builder's folders replaced by these."""
    text = _INCLUDE.sub(lambda _: include, text)
    return _SITE_PACKAGES.sub(lambda _: site_packages, text)


def patch_prefix(prefix: Path, include: str, site_packages: str) -> int:
    """Patches `share/*/cmake/*.cmake` below the prefix; returns how many files changed."""
    changed = 0
    for path in sorted(prefix.glob("share/*/cmake/*.cmake")):
        text = path.read_text(encoding="utf-8")
        patched = patch_text(text, include, site_packages)
        if patched != text:
            path.write_text(patched, encoding="utf-8")
            changed += 1
    return changed


if __name__ == "__main__":
    patch_prefix(Path(sys.prefix), sysconfig.get_path("include"), sysconfig.get_path("platlib"))
