"""Whether the shared memory that our Fast DDS profile wants is there, looked at before DDS starts.

Fast DDS reserves the whole segment of a process in /dev/shm when it starts. Where that fails, as in
a container with its usual 64 MB, it goes on without, and large images are lost.
"""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path

from ..leftovers import SHARED_MEMORY, clear_shared_memory

log = logging.getLogger(__name__)

VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE"
OURS = ("fastdds.xml", "fastdds_network.xml")
"""Profiles that have a sibling for a small /dev/shm."""
PROCESSES = 9
"""So many must fit: six nodes, a driver of a camera, and two tools."""
SPARE_BYTES = 1_048_576
"""For the queues of Fast DDS beside its segments."""
WAY_OUT = (
    "a larger one: docker run --shm-size=512m, an emptyDir with medium Memory, "
    "or mount -o remount,size=512m /dev/shm"
)


@dataclass(frozen=True)
class Room:
    """Of the file system of shared memory, in bytes; zeros where there is none."""

    total: int
    free: int

    @classmethod
    def of(cls, folder: Path = SHARED_MEMORY) -> Room:
        """Now."""
        try:
            found = os.statvfs(folder)
        except OSError:
            return cls(0, 0)
        return cls(found.f_frsize * found.f_blocks, found.f_frsize * found.f_bavail)

    def holds(self, segment_bytes: int) -> bool:
        """Whether a segment fits now, and those of other processes beside it."""
        return self.admits(segment_bytes) and PROCESSES * segment_bytes <= self.total

    def admits(self, segment_bytes: int) -> bool:
        """Whether a segment fits now."""
        return segment_bytes + SPARE_BYTES <= self.free

    def __str__(self) -> str:
        return f"{SHARED_MEMORY} has {_mb(self.free)} free of {_mb(self.total)}"


def fit_profile(folder: Path = SHARED_MEMORY) -> str:
    """Choose the profile for what is there, by changing the environment; a warning, or nothing.

    Only for Fast DDS, and of profiles only ours is changed; what another wants is checked.
    """
    chosen = _full(os.environ.get(VARIABLE, ""))
    middleware = os.environ.get("RMW_IMPLEMENTATION", "") or "rmw_fastrtps_cpp"
    wanted = segment_bytes(Path(chosen)) if chosen and "fastrtps" in middleware else 0
    if not wanted:
        return ""
    room = Room.of(folder)
    if not room.holds(wanted) and clear_shared_memory(folder):
        room = Room.of(folder)
    if room.holds(wanted):
        os.environ[VARIABLE] = chosen
        return ""
    small = _small(Path(chosen))
    granted = wanted if small is None else segment_bytes(small)
    if small is not None:
        os.environ[VARIABLE] = str(small)
    if not room.admits(granted):
        return (
            f"{room}, less than the {_mb(granted)} that a process needs: images go over UDP, where "
            f"large ones are lost; {WAY_OUT}"
        )
    if granted < wanted:
        return (
            f"{room}: {_mb(granted)} a process instead of {_mb(wanted)}, which hold an image of "
            f"1080p; larger ones may be lost between processes; {WAY_OUT}"
        )
    return ""  # it fits, and of others nothing is known


def segment_bytes(profile: Path) -> int:
    """The largest segment of shared memory that a profile asks for; 0 where it asks for none."""
    try:
        text = profile.read_text("utf-8", "replace")
    except OSError as error:
        log.warning("%s names %s: %s", VARIABLE, profile, error.strerror)
        return 0
    return max((int(n) for n in re.findall(r"<segment_size>\s*([0-9]+)\s*<", text)), default=0)


def _full(profile: str) -> str:
    """The profile that env.sh would name where there is room; another's stays as it is."""
    path = Path(profile)
    full = path.with_name(path.name.replace("_small.xml", ".xml"))
    return str(full) if full.name in OURS and full.is_file() else profile


def _small(profile: Path) -> Path | None:
    """Our profile for a small /dev/shm, where this one is ours and has such a sibling."""
    sibling = profile.with_name(f"{profile.stem}_small.xml")
    return sibling if profile.name in OURS and sibling.is_file() else None


def _mb(count: int) -> str:
    return f"{count / 1_048_576:.0f} MB"
