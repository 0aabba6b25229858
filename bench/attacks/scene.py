"""A device and a scripted gateway that may say anything to it, shared by the rows of these."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from mastra_ros.bridge.fake_gateway import FakeGateway
from mastra_ros.protocol import Goodbye
from mastra_ros.protocol.keys import add_device, audience_of, init_keys
from mastra_ros.types import FrameKey

from .device import Device, beside, device
from .row import MEBIBYTE, Record
from .site import Sites, wait_until

NAME = "camera-1"
NOWHERE = "wss://127.0.0.1:1"
"""Nobody listens there."""
LOG_BYTES_MAX = 64 * 1024
"""What a row may make a device log."""
MEMORY_ALLOWED = 64 * MEBIBYTE


class Committed:
    """Frames that a scripted gateway has committed. Its list is searched for each; this is not."""

    def __init__(self) -> None:
        self.keys: dict[FrameKey, None] = {}

    def __contains__(self, key: object) -> bool:
        return key in self.keys

    def append(self, key: FrameKey) -> None:
        """One more."""
        self.keys[key] = None

    @property
    def stamps(self) -> set[int]:
        """Of the frames."""
        return {key.stamp_ns for key in list(self.keys)}  # at once: another thread adds to it


class Scene:
    """One device, and the gateway that it knows."""

    def __init__(self, keys: Path, gateway: FakeGateway, attacked: Device) -> None:
        self.keys, self.gateway, self.device = keys, gateway, attacked
        self._spools = 0
        self.committed = Committed()
        gateway.committed = self.committed  # type: ignore[assignment]

    def fresh_spool(self) -> Path:
        """From the next start on the device keeps its frames in another file."""
        self._spools += 1
        self.device.spool = self.device.folder / f"state-{self._spools}" / "spool.sqlite"
        return self.device.spool

    def behave(self) -> None:
        """Make the gateway a good one."""
        gateway = self.gateway
        gateway.answer = gateway.commit
        gateway.answers_heartbeats = gateway.greets = True
        gateway.mute = False
        gateway.extensions = ()
        gateway.refuse_with = None
        gateway.frames.clear()
        gateway.heard.clear()
        gateway.tokens.clear()

    def connected(self) -> bool:
        """Whether the device has a session."""
        return bool(self.device.status.get("link", {}).get("connected"))

    def fill(self, count: int) -> list[int]:
        """Frames kept in the spool while no gateway can be reached, which is closed then."""
        self.device.start(NOWHERE)
        stamps = self.device.keep(count)
        self.device.stop()
        return stamps

    def deliver(self) -> None:
        """Have the device deliver what it kept, and take another frame, and close its spool."""
        self.device.start(self.gateway.uri)
        self.check_usable()
        self.device.stop()

    def check_usable(self) -> None:
        """The device, whose bridge runs, delivers all that it kept and whatever comes then."""
        wait_until(self.connected)
        self.device.drain()
        stamps = self.device.keep(3)
        wait_until(lambda: self.committed.stamps >= set(stamps))
        self.device.drain()

    def settle(self, stamps: list[int]) -> int:
        """Wait until all these have come to the gateway; how many never do."""
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: not self.missing(stamps))
        return self.missing(stamps)

    def hang_up(self) -> None:
        """End the session of the device, if it has one, so that it sends again what it must."""
        with contextlib.suppress(Exception):
            self.gateway.say(Goodbye("closing"))

    def missing(self, stamps: list[int]) -> int:
        """Frames of these that have never reached the gateway."""
        return len(set(stamps) - self.committed.stamps)

    @contextlib.contextmanager
    def watched(self, sites: Sites, record: Record) -> Iterator[None]:
        """Watch memory, log and a healthy device elsewhere while the row goes on."""
        self.fresh_spool()
        self.behave()
        logged = len(self.device.log)
        record.memory_allowed = record.memory_allowed or MEMORY_ALLOWED
        try:
            with beside(sites, record, self.device):
                yield
        finally:
            with contextlib.suppress(RuntimeError, OSError):
                self.device.stop()
            self.behave()
        said = self.device.log[logged:]
        record.expect("Traceback" not in said, f"the device has a fault: {said[-400:]}")
        record.expect("a fault of ours" not in said, "a fault of ours is in the device's log")
        record.expect(len(said) <= LOG_BYTES_MAX, f"the device has logged {len(said)} bytes")

    @contextlib.contextmanager
    def talking(self, sites: Sites, record: Record) -> Iterator[list[int]]:
        """As `watched`, with a session at the beginning, and a good gateway again at the end.

        Everything that stands in the list that it gives must have come to the gateway by then.
        """
        stamps: list[int] = []
        with self.watched(sites, record):
            self.device.start(self.gateway.uri)
            wait_until(self.connected)
            yield stamps
            self.behave()
            self.hang_up()
            record.lost += self.settle(stamps)
            self.check_usable()


@contextlib.contextmanager
def _made(sites: Sites) -> Iterator[Scene]:
    keys = sites.folder(f"scene-{time.monotonic_ns()}") / "keys"
    init_keys(keys, own_audience=True)
    add_device(keys, NAME)
    with (
        FakeGateway(keys, NAME, audience=audience_of(keys)) as gateway,
        device(sites, keys, NAME) as attacked,
    ):
        yield Scene(keys, gateway, attacked)


def scene(sites: Sites) -> Scene:
    """The one that rows share."""
    return sites.shared("scene", lambda: _made(sites))
