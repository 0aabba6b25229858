"""The ultrasound's half at the gateway: tracked frames into volumes, measurements and reports.

A sweep is finished when its end is told and all its frames are there. Where some never come it is
finished once its set has ended, or a frame of the next sweep is there: a device sends frames in
their order. Records have an order of their own: the begin of the next sweep says that no end will
be told any more, but the frames may still be on their way. Artefacts go to the device that swept.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import msgpack
import numpy as np

from mastra_ros.artefacts import Artefact
from mastra_ros.config import VolumeConfig, read_own_file
from mastra_ros.errors import MastraError, RecordError
from mastra_ros.pipeline.application import (
    Answer,
    Application,
    CloseSet,
    SeenFrame,
    SeenRecord,
)
from mastra_ros.pipeline.report.store import Archive, store
from mastra_ros.pipeline.ultrasound.banner import BANNER
from mastra_ros.pipeline.ultrasound.cloud.products import KEPT_S, REPORT, products, warm_up
from mastra_ros.pipeline.ultrasound.cloud.sweep_volume import SweepVolume
from mastra_ros.pipeline.ultrasound.sweep import (
    SWEEP,
    SweepBegin,
    SweepEnd,
    TrackedFrame,
    sweep_event,
)

logger = logging.getLogger(__name__)

SETTINGS = "MASTRA_VOLUME"
"""Names a file of `VolumeConfig`'s parameters."""
META = "ultrasound"
OPEN_MAX = 8
"""Volumes that are not finished, of all devices; the oldest is finished as it is."""
TOLD_MAX = 1000
"""Sweeps of which there may be only a record yet."""
DONE_MAX = 1000
SNAPSHOT_BYTES_MAX = 60 * 2**20
Name = tuple[str, str, str]  # device, stream, sweep


class UltrasoundVolumes(Application):
    """One of these for all devices."""

    kinds = (SWEEP,)
    sees = ("frames",)

    def __init__(self, config: VolumeConfig | None = None) -> None:
        self._config = config or configured()
        self._archive = Archive.parse(self._config.archive) if self._config.archive else None
        self._open: dict[Name, _Sweep] = {}
        self._done: dict[Name, None] = {}
        try:
            warm_up()  # now: a process may take longer to begin than to answer
        except MastraError as error:  # every report will say so
            logger.error("%s", error)

    def on_record(self, record: SeenRecord) -> Iterable[Answer]:
        """The begin or the end of a sweep."""
        event = sweep_event(record.stamp_ns, record.body)
        name = (record.device, record.stream, event.sweep)
        if name in self._done:
            return
        if isinstance(event, SweepBegin):
            self._sweep(name)
            for other in self._others(name):
                self._open[other].end_lost = True
                yield from self._finish_if_complete(other, record.committed_s)
            return
        self._sweep(name).end = event
        yield from self._finish_if_complete(name, record.committed_s)

    def on_frame(self, frame: SeenFrame) -> Iterable[Answer]:
        """A frame of a set that is a sweep, or its end; others are none of ours."""
        name = (frame.device, frame.stream, frame.set)
        if name in self._done:
            yield CloseSet(frame.set)  # told again after a restart
            return
        if frame.ends:
            if name in self._open:
                self._open[name].ended = True
                yield from self._finish_if_complete(name, frame.committed_s)
            return
        if META not in frame.meta:
            return
        tracked = TrackedFrame.from_map(frame.meta[META])
        if tracked.sweep != frame.set or tracked.sequence != frame.sequence:
            raise RecordError(
                f"frame: expected {frame.set} {frame.sequence}, got {tracked.sweep} "
                f"{tracked.sequence}"
            )
        sweep = self._sweep(name)
        if not sweep.shown:
            yield from self._first_frame(name, frame.committed_s)
        image = frame.image
        if image is None or image.dtype != np.uint8:
            sweep.unreadable.add(frame.sequence)
            got = frame.error or (None if image is None else image.dtype)
            problem: MastraError | None = RecordError(f"frame: expected gray levels, got {got}")
        else:
            problem = None
            gray = image if image.ndim == 2 else image[..., 0]
            try:
                told = sweep.volume.add(tracked, np.ascontiguousarray(gray, np.uint8))
            except MastraError as error:
                problem, told = error, None
            if told is not None:
                yield told.artefact()
        yield from self._finish_if_complete(name, frame.committed_s)
        if problem is not None:
            logger.warning("sweep %s: %s", frame.set, problem)

    def snapshot(self) -> bytes:
        """Everything; RecordError where it is too much: then frames are shown again instead."""
        told = {
            "done": [list(name) for name in self._done],
            "open": [[list(name), sweep.state()] for name, sweep in self._open.items()],
        }
        packed: bytes = msgpack.packb(told)
        if len(packed) > SNAPSHOT_BYTES_MAX:
            raise RecordError(
                f"volumes of {len(packed)} bytes: frames since the snapshot before are shown again"
            )
        return packed

    def restore(self, snapshot: bytes) -> None:
        """Take over a snapshot."""
        if not snapshot:
            return
        told = msgpack.unpackb(snapshot)
        self._done = {_name(one): None for one in told["done"]}
        self._open = {}
        for name, state in told["open"]:
            sweep = _Sweep(_name(name), self._config)
            sweep.take_over(state)
            self._open[_name(name)] = sweep

    def _sweep(self, name: Name) -> _Sweep:
        """The sweep of this name, begun if need be."""
        if name not in self._open:
            if len(self._open) >= TOLD_MAX:
                empty = (one for one, sweep in self._open.items() if not sweep.shown)
                del self._open[next(empty)]
            self._open[name] = _Sweep(name, self._config)
        return self._open[name]

    def _first_frame(self, name: Name, committed_s: float) -> Iterator[Answer]:
        """What was before it has no more frames to come."""
        self._open[name].shown = True
        for other in self._others(name):
            if self._open[other].shown:
                self._open[other].ended = True
                yield from self._finish_if_complete(other, committed_s)
        shown = [one for one, sweep in self._open.items() if sweep.shown and one != name]
        for oldest in shown[: max(0, len(shown) + 1 - OPEN_MAX)]:
            yield from self._finish(oldest, committed_s)

    def _others(self, name: Name) -> list[Name]:
        """Further sweeps of the same device and stream."""
        return [one for one in self._open if one[:2] == name[:2] and one != name]

    def _finish_if_complete(self, name: Name, committed_s: float) -> Iterator[Answer]:
        if self._open[name].complete:
            yield from self._finish(name, committed_s)

    def _finish(self, name: Name, committed_s: float) -> Iterator[Answer]:
        sweep = self._open.pop(name)
        self._done[name] = None
        while len(self._done) > DONE_MAX:
            del self._done[next(iter(self._done))]
        device, stream, set_name = name
        try:
            done = sweep.volume.finish(sweep.told_end(committed_s), round(committed_s * 1e9))
            made = products(done, self._config.faces_max)
        except MastraError as error:
            text = f"{BANNER}\nsweep {set_name}: {error}\n".encode()
            failed = Artefact(
                REPORT,
                f"{set_name}.error.txt",
                text,
                media_type="text/plain",
                expires_s=KEPT_S,
            )
            yield _for(failed, name)
        else:
            yield _for(sweep.volume.feedback().artefact(), name)
            for artefact in made.artefacts:
                yield _for(artefact, name)
            if self._archive is not None:
                _send(made.objects, self._archive)
        yield CloseSet(set_name, device, stream)


class _Sweep:
    """A sweep that is not finished."""

    def __init__(self, name: Name, config: VolumeConfig) -> None:
        self.volume = SweepVolume(name, config)
        self.shown = False  # a frame of it has been
        self.ended = False  # no more frames will come
        self.end: SweepEnd | None = None
        self.end_lost = False  # it will not be told any more
        self.unreadable: set[int] = set()

    @property
    def complete(self) -> bool:
        """All is there that will come."""
        if self.end is None:
            return self.ended and self.end_lost
        there = self.volume.frames + self.volume.misplaced + len(self.unreadable)
        return self.ended or there >= self.end.frames

    def told_end(self, committed_s: float) -> SweepEnd:
        """Its end, or one made up for it where it was never told."""
        if self.end is not None:
            return self.end
        sweep = self.volume.identity[-1]
        return SweepEnd(sweep, round(committed_s * 1e9), self.volume.frames, "end not told")

    def state(self) -> dict[str, Any]:
        end = self.end
        return {
            "volume": self.volume.state(),
            "shown": self.shown,
            "ended": self.ended,
            "end_lost": self.end_lost,
            "unreadable": sorted(self.unreadable),
            "end": None if end is None else [end.stamp_ns, dict(end.record().body)],
        }

    def take_over(self, state: dict[str, Any]) -> None:
        self.volume.take_over(state["volume"])
        self.shown, self.ended = state["shown"], state["ended"]
        self.end_lost = state["end_lost"]
        self.unreadable = set(state["unreadable"])
        if state["end"] is not None:
            event = sweep_event(*state["end"])
            assert isinstance(event, SweepEnd)
            self.end = event


def configured() -> VolumeConfig:
    """What the file says that MASTRA_VOLUME names; the usual values without one."""
    path = os.environ.get(SETTINGS, "")
    if not path:
        return VolumeConfig()
    return read_own_file(VolumeConfig, path)


def _send(objects: tuple[Any, ...], archive: Archive) -> None:
    """Store them without keeping anybody waiting; the outcome is in the log."""

    def send() -> None:
        try:
            store(objects, archive)
            logger.info("archive %s: %d objects stored", archive.title, len(objects))
        except MastraError as error:
            logger.error("%s", error)

    threading.Thread(target=send, name="archive", daemon=True).start()


def _for(artefact: Artefact, name: Name) -> Artefact:
    return dataclasses.replace(artefact, device=name[0], stream=name[1])


def _name(told: Any) -> Name:
    device, stream, sweep = told
    return device, stream, sweep
