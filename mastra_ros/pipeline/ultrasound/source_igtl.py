"""Pictures and poses over OpenIGTLink (PLUS, Slicer, bridges of probes), by `pyigtl`.

A message IMAGE is a picture and a message TRANSFORM a pose, by the names of their devices. Where a
message has no time stamp, it counts from when it came, which is told. pyigtl keeps one message a
device and does not notice that a server has gone: so all of them are queued here, and a silence of
`stall_s` ends the connection and begins another.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np

from mastra_ros.errors import ConfigError, DependencyError
from mastra_ros.pipeline.ultrasound.rigid import Matrix
from mastra_ros.pipeline.ultrasound.source import Event, Picture, ProbeUri, TimedPose
from mastra_ros.pipeline.ultrasound.upright import eight_bits

PORT = 18944
WAITING_MAX = 1000
"""Messages that may wait to be taken; beyond that the oldest go, and are counted."""
WAIT_S = 0.1


class _Inbox(dict[str, Any]):
    """Where pyigtl puts what has come: every message is kept in a queue."""

    def __init__(self) -> None:
        super().__init__()
        self._messages: deque[Any] = deque(maxlen=WAITING_MAX)
        self._came = threading.Event()
        self.lost = 0

    def __setitem__(self, device: str, message: Any) -> None:
        self.lost += len(self._messages) == WAITING_MAX
        self._messages.append(message)
        self._came.set()

    def take(self, wait_s: float) -> Any:
        """The oldest message; None where none comes in time."""
        if not self._messages:
            self._came.wait(wait_s)
        self._came.clear()  # before looking: what comes now is seen, or sets it again
        return self._messages.popleft() if self._messages else None


class IgtlSource:
    """A client of one server, connected again and again until it is closed."""

    live = True
    image_to_probe: Matrix | None = None
    notes: tuple[str, ...] = ()

    def __init__(self, uri: ProbeUri, stall_s: float = 3.0) -> None:
        host, _, port = uri.target.rstrip("/").rpartition(":")
        if not host:
            host, port = port, str(PORT)
        if not port.isdigit() or not 0 < int(port) < 65_536:
            raise ConfigError(f"source: expected igtl://host:port, got port {port!r:.20}")
        try:
            self._pyigtl: Any = importlib.import_module("pyigtl")
        except ImportError as error:
            raise DependencyError(
                "source igtl needs pyigtl: pip install pyigtl, or mastra_ros[medical]"
            ) from error
        self._host, self._port, self._stall_s = host.strip("[]"), int(port), stall_s
        self._image = uri.options.get("image", "")
        self._transform = uri.options.get("transform", "")
        self._closed = threading.Event()
        self._unstamped = 0
        self._open()

    @property
    def lost(self) -> int:
        """Messages that came faster than they were taken."""
        return self._inbox.lost

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return bool(self._client.is_connected())

    def events(self) -> Iterator[Event | None]:
        """What comes; None each tenth of a second without anything."""
        silent_s = 0.0
        while not self._closed.is_set():
            message = self._inbox.take(WAIT_S)
            if message is None:
                silent_s += WAIT_S
                if silent_s >= self._stall_s:
                    silent_s = 0.0
                    self._client.stop()
                    self._open()
                yield None
                continue
            silent_s = 0.0
            if (event := self._event(message)) is not None:
                yield event

    def close(self) -> None:
        """End the connection."""
        self._closed.set()
        self._client.stop()

    def _open(self) -> None:
        self._inbox = _Inbox()
        self._client = self._pyigtl.OpenIGTLinkClient(self._host, self._port, start_now=False)
        self._client.incoming_messages = self._inbox
        self._client.start()

    def _event(self, message: Any) -> Event | None:
        kind, device = type(message).__name__, message.device_name
        if kind == "ImageMessage" and (not self._image or device == self._image):
            image = np.asarray(message.image)
            image = image[0] if image.ndim in (3, 4) else image
            if image.ndim not in (2, 3) or not image.size:
                return None
            gray = np.ascontiguousarray(eight_bits(image))
            return Picture(self._stamp_ns(message), gray)
        if kind == "TransformMessage" and (not self._transform or device == self._transform):
            matrix = np.asarray(message.matrix, np.float64)
            good = matrix.shape == (4, 4) and np.isfinite(matrix).all()
            return TimedPose(self._stamp_ns(message), matrix if good else None)
        return None

    def _stamp_ns(self, message: Any) -> int:
        stamp = float(message.timestamp or 0.0)
        if not stamp > 0:
            self._unstamped += 1
            self.notes = (f"{self._unstamped} messages had no time stamp: when they came counts",)
            return time.time_ns()
        return round(stamp * 1e9)
