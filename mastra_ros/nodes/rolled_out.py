"""Bundles that the gateway rolls out to this device: `artefact` -> another bundle in use.

A bundle is unpacked, opened, warmed up and asked about frames of this device in a thread of its
own, while the one before goes on answering; then it takes over between two frames.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from ..artefacts import BYTES_MAX
from ..errors import MastraError, ModelError
from ..inference import Bundle
from ..inference.shelf import Shelf
from ..msg import Artefact
from ..private_files import open_named
from ..protocol.checks import printable
from ..scheduling.arbiter.confidence import agreement
from ..share import home_path
from ..types import Detections, Frame, FrameKey, Result
from .lifecycle import LASTING

KIND, BACK, FITS = "bundle", "application/vnd.mastra.back", "labels=fit"
PROGRAMS = "torch"
"""The engine whose files are programs, which somebody has to put on the device by hand."""
BACK_BYTES_MAX = 128
"""Of the file that takes a bundle back: its digest."""
COMPARED = 16
"""Frames of this device that both bundles are asked about, at most."""
FAILURES_MAX = 5
"""A new bundle whose first answers all fail is left."""
CLOSED = "inference.bundles_dir is empty: no bundles are rolled out to this device"


class Host(Protocol):
    """What is needed of the inference node."""

    config: Any

    @property
    def bundle(self) -> Bundle: ...

    @property
    def detector(self) -> Any: ...

    def open_bundle(self, bundle: Bundle) -> Any: ...

    def take_bundle(self, bundle: Bundle, detector: Any) -> None: ...

    def frame(self, key: FrameKey) -> Frame | None: ...

    def listen(
        self, message: type, topic: str, callback: Callable[[Any], None], qos: Any
    ) -> Any: ...

    def get_logger(self) -> Any: ...

    def fault(self, where: str, error: Exception) -> None: ...


class RolledOut:
    """Of one inference node, from its configuration until it is cleaned up."""

    def __init__(self, node: Host) -> None:
        self._node = node
        self._shelf: Shelf | None = None
        self._closed = ("", "")  # roll-out and why, where there is no shelf
        self._answers: OrderedDict[FrameKey, Detections] = OrderedDict()
        self._failures = 0
        self._unproven = False
        self._work: ThreadPoolExecutor | None = None

    def open_first(self, base: Bundle) -> tuple[Bundle, Any]:
        """The bundle to start with and its detector; what cannot be opened is left for another."""
        folder = self._node.config.bundles_dir
        if not folder:
            return base, self._node.open_bundle(base)
        self._shelf = shelf = Shelf(home_path(folder), base)
        bundle = shelf.start()
        while True:
            try:
                detector = self._node.open_bundle(bundle)
            except MastraError as error:
                if bundle is base:
                    raise
                self._node.get_logger().error(f"bundle {bundle.digest:.12} is left: {error}")
                bundle = shelf.failed(str(error))
                continue
            self._unproven = bundle is not base
            return bundle, detector

    @property
    def values(self) -> dict[str, Any]:
        """For the diagnostics, from which the status is made."""
        if self._shelf is None:
            rollout, why = self._closed
            return {"bundle_rollout": rollout, "bundle_refused": why} if rollout else {}
        state = self._shelf.state
        told: dict[str, Any] = {}
        if state.rollout:
            told = {"bundle_rollout": state.rollout, "bundle_refused": state.refused}
            if state.agreement >= 0:
                told["bundle_agreement"] = f"{state.agreement:.4f}"
        return told

    def start(self) -> None:
        """Listen."""
        self._work = ThreadPoolExecutor(1, thread_name_prefix="bundles")
        self._node.listen(Artefact, "artefact", self._on_artefact, LASTING)

    def stop(self) -> None:
        """Wait for what is under way."""
        work, self._work = self._work, None
        if work is not None:
            work.shutdown(cancel_futures=True)

    def answered(self, result: Result) -> None:
        """The local model has answered, or failed; from its thread."""
        if self._shelf is None:
            return
        if not result.error:
            self._failures = 0
            self._answers[result.key] = result.detections
            while len(self._answers) > COMPARED:
                self._answers.popitem(last=False)
            if self._unproven:
                self._unproven = False
                self._do(self._shelf.answered)
        elif self._unproven and result.model:
            self._failures += 1
            if self._failures == FAILURES_MAX:
                self._do(lambda: self._go_back(f"its first answers failed: {result.error}"))

    def _on_artefact(self, message: Artefact) -> None:
        if message.kind == KIND:
            back = message.media_type == BACK
            self._do(lambda: (self._back if back else self._take)(message))

    def _do(self, job: Callable[[], Any]) -> None:
        def guarded() -> None:
            try:
                job()
            except (MastraError, OSError) as error:
                self._node.get_logger().error(printable(f"bundles: {error}"))
            except Exception as error:  # the bundle in use goes on
                self._node.fault("bundles", error)

        if self._work is not None:
            self._work.submit(guarded)

    def _take(self, message: Artefact) -> None:
        shelf = self._shelf
        if shelf is None:
            if self._closed[0] != message.version:
                self._closed = (message.version, CLOSED)
                self._node.get_logger().error(f"bundle {message.name} is refused: {CLOSED}")
            return
        if message.version == shelf.state.rollout:
            return  # heard of before: topics tell their last messages again
        try:
            self._switch(shelf, message)
        except (MastraError, OSError) as error:
            self._node.get_logger().error(f"bundle {message.name} is refused: {error}")
            shelf.refuse(message.version, str(error))

    def _switch(self, shelf: Shelf, message: Artefact) -> None:
        path = Path(message.path)
        digest = hashlib.sha256()
        with os.fdopen(open_named(path, BYTES_MAX), "rb") as file:
            while piece := file.read(2**20):
                digest.update(piece)
        if digest.hexdigest() != message.sha256:
            raise ModelError(f"{path}: expected SHA-256 {message.sha256}, got {digest.hexdigest()}")
        bundle = shelf.unpack(path)
        if bundle.part("local").engine == PROGRAMS:
            raise ModelError("a program (.pt2) is not taken from afar, only models")
        labels = self._node.bundle.labels
        if bundle.labels != labels and FITS not in message.media_type:
            raise ModelError(
                f"expected the labels {', '.join(labels):.80}, got {', '.join(bundle.labels):.80}"
            )
        if bundle.digest == self._node.bundle.digest:
            shelf.switched(bundle, message.version, 1.0)
            return
        detector = self._node.open_bundle(bundle)
        try:
            detector.warm_up(max(1, self._node.config.warmup_runs))
            agreed = self._agreement(detector)
            shelf.switched(bundle, message.version, agreed)
            self._change(bundle, detector)
        except BaseException:
            detector.close()
            raise
        self._node.get_logger().warning(
            f"bundle {bundle.name} {bundle.version} ({bundle.digest:.12}) takes over, roll-out "
            f"{message.version}"
        )

    def _agreement(self, detector: Any) -> float:
        """With what was answered to the frames that are still here; -1 where none is."""
        agreed = []
        for key, found in list(self._answers.items()):
            frame = self._node.frame(key)
            if frame is not None:
                agreed.append(agreement(detector.detect(frame), found))
        return sum(agreed) / len(agreed) if agreed else -1.0

    def _change(self, bundle: Bundle, detector: Any) -> None:
        self._failures, self._unproven = 0, True
        self._answers.clear()
        self._node.take_bundle(bundle, detector)
        until_s = time.monotonic() + 10.0  # so that jobs after this one meet the new bundle
        while self._node.detector is not detector and time.monotonic() < until_s:
            time.sleep(0.01)

    def _back(self, message: Artefact) -> None:
        with os.fdopen(open_named(Path(message.path), BACK_BYTES_MAX), "rb") as file:
            digest = file.read().decode("ascii", "replace").strip()
        if self._shelf is not None and self._shelf.state.current == digest != "":
            self._go_back("taken back by the gateway")

    def _go_back(self, why: str) -> None:
        assert self._shelf is not None
        bundle = self._shelf.before()
        detector = self._node.open_bundle(bundle)
        try:
            detector.warm_up(max(1, self._node.config.warmup_runs))
            self._shelf.gone_back(why)
            self._change(bundle, detector)
        except BaseException:
            detector.close()
            raise
        self._node.get_logger().warning(f"bundle {bundle.digest:.12} takes over again: {why}")
