"""How long a video is by its header, and how much of it has come.

A file that was cut short ends like any other. Its header, where there is one, tells what should
have come: frames, or a duration.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FRAMES_SHORT = 3
"""So few frames less than promised are the rounding of headers, or frames that no one shows."""

SHARED_SHORT_S = 0.25
"""Sound comes in pieces; so much of a duration of picture and sound may be a piece's rounding."""

BOXES_MAX = 1000
"""At the top of a file; a fragmented one has two a fragment, and its index first."""

_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")


@dataclass
class Extent:
    """What a header promises, 0 where it does not, and what has come so far."""

    frames: int = 0
    duration_s: float = 0.0
    start_s: float = 0.0
    shared: bool = False  # the duration is that of all streams, which have to be read for it
    counted: bool = False  # believe the count: FFmpeg makes the duration from what there is
    tick_s: float = 0.0
    came: int = 0
    first_s: float | None = None
    end_s: float = 0.0
    others_end_s: float = 0.0

    @classmethod
    def of(cls, container: Any, stream: Any) -> Extent:
        """What the header of an open container says of one of its streams (PyAV)."""
        tick_s = float(stream.time_base) if stream.time_base else 0.0
        start_s, shared = 0.0, False
        if "mp4" in container.format.name:  # of others FFmpeg gives a stream what all have
            duration_s = (stream.duration or 0) * tick_s
            start_s = (stream.start_time or 0) * tick_s
        else:
            duration_s = _seconds(stream.metadata.get("DURATION", ""))  # from 0 to its end
        if not duration_s and container.duration:
            duration_s = container.duration / 1e6
            start_s = max(0, container.start_time or 0) / 1e6
            start_s = 0.0 if "matroska" in container.format.name else start_s
            shared = len(container.streams) > 1
        return cls(
            frames=int(stream.frames or 0),
            duration_s=duration_s,
            start_s=start_s,
            shared=shared,
            counted=container.format.name == "avi",
            tick_s=tick_s,
        )

    @property
    def rate_hz(self) -> float | None:
        """Mean frames a second where the header counts them; a mere rate is often wrong."""
        if not self.frames or self.duration_s <= 0 or self.shared:
            return None
        return self.frames / self.duration_s

    def add(self, packet: Any) -> None:
        """A packet has been read; the one that flushes the decoder at the end counts nothing."""
        if not packet.size:
            return
        self.came += 1
        if packet.pts is not None:
            start_s = packet.pts * self.tick_s
            self.first_s = start_s if self.first_s is None else min(self.first_s, start_s)
            self.end_s = max(self.end_s, start_s + (packet.duration or 0) * self.tick_s)

    def add_other(self, packet: Any) -> None:
        """A packet of another stream has been read, such as sound."""
        if packet.size and packet.pts is not None and packet.time_base:
            end_s = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            self.others_end_s = max(self.others_end_s, end_s)

    def missing(self) -> str:
        """What did not come, in a line for people; empty where all came or nobody knows."""
        if not self.came:
            short = bool(self.frames or self.duration_s)
        elif self.counted or self.first_s is None:
            short = self.frames - self.came > FRAMES_SHORT
        else:
            short = self._short_of_time()
        if not short:
            return ""
        got_s = self.end_s - (self.first_s or 0.0)
        if self.frames:
            expected = f"{self.frames} frames"
            if self.duration_s and not self.counted:
                expected += f" in {self.duration_s:.2f} s"
            return f"expected {expected}, got {self.came} in {got_s:.2f} s"
        return f"expected {self.duration_s:.2f} s, got {got_s:.2f} s ({self.came} frames)"

    def _short_of_time(self) -> bool:
        if not self.duration_s:
            return False
        short_s = self.start_s + self.duration_s - max(self.end_s, self.others_end_s)
        step_s = (self.end_s - (self.first_s or 0.0)) / self.came
        return short_s > max((FRAMES_SHORT - 0.5) * step_s, SHARED_SHORT_S * self.shared)


def _seconds(text: str) -> float:
    """`00:01:02.5`, as Matroska's tags have it, in s; 0 for anything else."""
    found = _CLOCK.match(text)
    if not found:
        return 0.0
    hours, minutes, seconds = found.groups()
    return 3600.0 * int(hours) + 60.0 * int(minutes) + float(seconds)


def without_index(path: Path) -> str:
    """`; it is cut short …` for an MP4 or MOV file whose index, at its end, is missing; else empty.

    Walks the boxes of ISO/IEC 14496-12: size, name, content.
    """
    try:
        with path.open("rb") as file:
            left = path.stat().st_size
            names: list[bytes] = []
            while left >= 8 and len(names) < BOXES_MAX:
                size, name = struct.unpack(">I4s", file.read(8))
                wide = struct.unpack(">Q", file.read(8))[0] if size == 1 else 0
                length = wide or size or left  # 0: to the end
                names.append(name)
                if length < 8:
                    break
                left -= length
                file.seek(length - (16 if wide else 8), 1)
    except (OSError, struct.error):
        return ""
    if names[:1] != [b"ftyp"] or b"moov" in names:
        return ""
    short = f", {-left} bytes and more are missing" if left < 0 else ""
    return f"; it is cut short: its index, which stands at the end, did not come{short}"
