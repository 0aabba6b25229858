"""Whether anything that had to be hidden leaves the device while something goes wrong.

    python -m bench.leaks                 # 10,000 faulty frames, 20 of them of 16384 x 16384 px
    python -m bench.leaks --frames 500 --huge 1

Every frame bears a watermark of noise in a region that moves, and every frame meets a fault: the
finder raises, hangs, finds nonsense or finds nothing once, its model cannot be opened or has
another digest, there is no memory, the picture is too large, its encoding unknown. Key frames,
deltas, records of the spool, saved and annotated pictures are decoded as a gateway would, and the
region is correlated with the watermark: above `SEEN` it counts as a leak. The same search with
the mode off has to see it in at least 99 % of all that leaves, or the search itself is no good.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mastra_ros.bridge import SqliteSpool
from mastra_ros.compression import Decoder, Encoder
from mastra_ros.config import CompressionConfig, PrivacyConfig
from mastra_ros.errors import CodecError, ModelError, Withheld
from mastra_ros.nodes.clear_anew import ClearAnew
from mastra_ros.pipeline import draw
from mastra_ros.pipeline.factory import PictureFolder, Verdict
from mastra_ros.privacy import ClearedFrame, Finder, Gate, Opened, Region
from mastra_ros.types import Detections, Frame, FrameKey, Packet, Result, Route

HIGH, WIDE, SIDE = 96, 128, 32
HUGE_PX = 16_384
SEEN = 0.5
"""Correlation from which on the watermark is seen: a mosaic of 8 blocks leaves about 0.25 of 32 px
of noise, JPEG of quality 85 more than 0.9."""
TIMEOUT_MS = 40.0


class FaultyFinder:
    """Finds the watermark where it is, unless told to do something else."""

    name, digest = "faulty", "0" * 64

    def __init__(self) -> None:
        self.fault: Callable[[FaultyFinder], Any] | None = None
        self.at = (0, 0)
        self.freed = threading.Event()

    def truth(self) -> list[Region]:
        x, y = self.at
        return [Region(x, y, SIDE, SIDE, "face", 0.9)]

    def find(self, _: NDArray[np.uint8]) -> Any:
        return self.truth() if self.fault is None else self.fault(self)

    def close(self) -> None:
        """Nothing to free."""


def _raise(error: BaseException) -> Callable[[FaultyFinder], Any]:
    def fault(_: FaultyFinder) -> Any:
        raise error

    return fault


def _hang(finder: FaultyFinder) -> list[Region]:
    finder.freed.wait(5.0)
    return []


def _late(finder: FaultyFinder) -> list[Region]:
    time.sleep(1.5 * TIMEOUT_MS / 1e3)
    return finder.truth()


NAN = float("nan")
FAULTS: dict[str, Callable[[FaultyFinder], Any]] = {
    "raises": _raise(RuntimeError("a fault")),
    "the runtime fails": _raise(ModelError("cannot run")),
    "no memory": _raise(MemoryError()),
    "ends its thread": _raise(SystemExit(1)),
    "hangs": _hang,
    "answers late": _late,
    "a region of NaN": lambda _: [Region(NAN, NAN, NAN, NAN, "face")],
    "a score of NaN": lambda _: [Region(1, 1, 9, 9, "face", NAN)],
    "NaN after a good one": lambda f: [*f.truth(), Region(0, 0, NAN, 1, "face")],
    "an array": lambda _: np.full((1, 5), NAN),
    "nothing at all": lambda _: None,
    "misses it once": lambda _: [],
    "the model is cut short": _raise(ModelError("expected 640 bytes, got 12")),
    "the digest is wrong": _raise(ModelError("expected SHA-256 a1, got b2")),
    "the encoding is unknown": lambda f: f.truth(),
    "the picture is huge": lambda f: f.truth(),
}
"""What goes wrong, one a frame in turn. Those of the model and the picture are made in `_clear`."""
_AT_OPENING = ("the model is cut short", "the digest is wrong")


class Trial:
    """Frames with faults through gate, encoder, spool and pictures, and the search in all."""

    def __init__(self, folder: Path, *, hide: bool, seed: int = 0) -> None:
        self.frames = self.faulty = self.withheld = 0
        self.leaks: list[tuple[str, str]] = []  # way and fault
        self.looked_at: Counter[str] = Counter()
        self.by_fault: Counter[str] = Counter()
        self._hide = hide
        self._rng = np.random.default_rng(seed)
        self._finder = FaultyFinder()
        self._config = PrivacyConfig(timeout_ms=TIMEOUT_MS, pixels_max=2**24, hold_frames=5)
        if not hide:
            self._config = PrivacyConfig(mode="off", reason="the search has to find something")
        self._gate = self._open(self._finder)
        self._encoder = Encoder(CompressionConfig(key_interval_frames=8))
        self._decoder = Decoder()
        self._spool = SqliteSpool(folder / "spool.sqlite")
        self._anew = ClearAnew(PrivacyConfig(), lambda _: self._open(self._finder, PrivacyConfig()))
        self._pictures = PictureFolder(folder / "pictures", 10)
        self._ground = self._smooth()
        self._marks: dict[int, tuple[tuple[int, int], NDArray[np.uint8]]] = {}

    def _open(self, finder: Finder, config: PrivacyConfig | None = None) -> Gate:
        return Gate(config or self._config, lambda _: Opened([finder]))

    def run(self, frames: int, huge: int) -> None:
        """So many frames; `huge`: of these of 16384 x 16384 px."""
        kinds = itertools.cycle(name for name in FAULTS if name != "the picture is huge")
        for number in range(frames):
            fault = "the picture is huge" if number < huge else next(kinds)
            self._one(number + 1, fault if self._hide else "none")
        self._spool.close()

    def _one(self, number: int, fault: str) -> None:
        self.frames += 1
        self.faulty += fault != "none"
        self.by_fault[fault] += 1
        frame = self._frame(number, huge=fault == "the picture is huge")
        if fault in ("misses it once", "none"):  # held along the track that is there by now
            self._warm_up(number)
        for way, packet_or_picture in self._leaving(frame, fault):
            self._look(way, fault, number, packet_or_picture)

    def _leaving(self, frame: Frame, fault: str) -> Iterator[tuple[str, NDArray[Any]]]:
        """Every picture that leaves, decoded, and by which way."""
        try:
            cleared = self._clear(frame, fault)
        except Withheld:
            self.withheld += 1
        else:
            yield from self._sent(cleared)
            yield from self._pictured(cleared)
        if fault not in ("the picture is huge", "the encoding is unknown"):
            yield from self._spooled(frame, fault)

    def _clear(self, frame: Frame, fault: str) -> ClearedFrame:
        if not self._hide:
            return self._gate.clear(frame)
        if fault in _AT_OPENING:
            error = FAULTS[fault]
            return Gate(self._config, lambda _: error(self._finder)).clear(frame)
        if fault == "the encoding is unknown":
            object.__setattr__(frame, "encoding", "yuv422_yuy2")
        self._finder.fault = FAULTS[fault]
        try:
            return self._gate.clear(frame)
        finally:
            self._free()

    def _free(self) -> None:
        """End what hangs, so that the next frame meets its own fault."""
        self._finder.fault = None
        self._finder.freed.set()
        until_s = time.monotonic() + 10.0
        while "hangs" in self._gate.shut and time.monotonic() < until_s:
            time.sleep(0.001)
        self._finder.freed.clear()

    def _warm_up(self, number: int) -> None:
        """Frames before this one, in which all is well: they are sent, and deltas rest on them."""
        x, y = self._finder.at
        for step in (2, 1):
            before = self._frame(1_000_000 + 2 * number + step, at=(x - step, y))
            for way, picture in self._sent(self._gate.clear(before)):
                self._look(way, "none", before.key.stamp_ns, picture)
        self._finder.at = (x, y)

    def _sent(self, cleared: ClearedFrame) -> Iterator[tuple[str, NDArray[Any]]]:
        packet = self._encoder.encode(cleared)
        yield packet.kind.value, self._decoder.decode(packet).image
        self._encoder.acknowledge(packet.key.stamp_ns, packet.key.id)
        if packet.clearance != self._gate.clearance:
            self.leaks.append(("clearance", packet.clearance))

    def _pictured(self, cleared: ClearedFrame) -> Iterator[tuple[str, NDArray[Any]]]:
        nothing = Detections.empty()
        result = Result(cleared.key, Route.LOCAL, nothing)
        yield "drawn", draw(cleared, result)[-cleared.frame.height_px :]
        verdict = Verdict(1, "pass", "", cleared.key, 1, 1, nothing, nothing)
        path = self._pictures.save(verdict, cleared)
        saved = cv2.imread(str(path))
        if saved is not None:
            yield "saved", saved[-cleared.frame.height_px :]

    def _spooled(self, frame: Frame, fault: str) -> Iterator[tuple[str, NDArray[Any]]]:
        """A record made before there was a gate, as the bridge sends it after an outage."""
        open_config = PrivacyConfig(mode="off", reason="as before there was a gate")
        bare = Encoder(CompressionConfig()).encode(Gate(open_config).clear(frame), late=True)
        self._spool.put([dataclasses.replace(bare, clearance="")])
        for packet in self._spool.next_batch(1):
            sent = self._cleared_anew(packet, fault) if self._hide else packet
            if sent is not None:
                yield "spool", Decoder().decode(sent).image
            self._spool.acknowledge([packet.key])

    def _cleared_anew(self, packet: Packet, fault: str) -> Packet | None:
        if fault in ("hangs", "answers late", "misses it once"):  # by time, tried with live frames
            fault = "none"
        self._finder.fault = FAULTS.get(fault)
        try:
            return self._anew.anew(packet)
        except (Withheld, CodecError):
            return None
        finally:
            self._finder.fault = None

    def _look(self, way: str, fault: str, number: int, picture: NDArray[Any]) -> None:
        (x, y), mark = self._marks[number]
        part = picture[y : y + SIDE, x : x + SIDE]
        if part.ndim == 3:
            part = part.mean(axis=2)
        self.looked_at[way] += 1
        if part.std() and np.corrcoef(part.ravel(), mark.ravel())[0, 1] > SEEN:
            self.leaks.append((way, fault))

    def _frame(
        self, number: int, *, huge: bool = False, at: tuple[int, int] | None = None
    ) -> Frame:
        x, y = at or (int(self._rng.integers(8, WIDE - SIDE)), int(self._rng.integers(HIGH - SIDE)))
        coarse = self._rng.integers(0, 256, (SIDE // 4, SIDE // 4), np.uint8)
        mark = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
        fine = self._rng.integers(0, 256, (SIDE, SIDE), np.uint8)
        mark = (mark // 4 + 3 * (fine // 4)).astype(np.uint8)
        image = np.zeros((HUGE_PX, HUGE_PX), np.uint8) if huge else self._ground.copy()
        image[y : y + SIDE, x : x + SIDE] = mark
        self._finder.at = (x, y)
        self._marks[number] = ((x, y), mark)
        if len(self._marks) > 8:
            del self._marks[next(iter(self._marks))]
        return Frame(FrameKey("main", number, f"t-{number}"), image, "mono8")

    def _smooth(self) -> NDArray[np.uint8]:
        coarse = self._rng.integers(60, 190, (4, 4), np.uint8)
        smooth = cv2.resize(coarse, (WIDE, HIGH), interpolation=cv2.INTER_LINEAR)
        return np.asarray(smooth, np.uint8)


def main() -> int:
    """Run both and say what came of it; 1 where anything has leaked or the search is blind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--huge", type=int, default=20)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        hidden = Trial(Path(folder) / "hidden", hide=True)
        hidden.run(args.frames, args.huge)
        bare = Trial(Path(folder) / "bare", hide=False)
        bare.run(max(100, args.frames // 50), 0)
    seen = Counter(way for way, _ in bare.leaks)
    share = {way: seen[way] / count for way, count in bare.looked_at.items()}
    print(
        f"{hidden.frames} faulty frames, {hidden.withheld} withheld, looked at "
        f"{dict(hidden.looked_at)}: {len(hidden.leaks)} leaks {Counter(hidden.leaks)}"
    )
    print(f"with the mode off the search sees {share}")
    return int(bool(hidden.leaks) or min(share.values()) < 0.99)


if __name__ == "__main__":
    sys.exit(main())
