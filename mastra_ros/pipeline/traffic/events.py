"""What a camera over a road tells: the events that travel as records, up to the gateway.

crossing    a vehicle has crossed a line, once
turning     a vehicle has come in by one zone or line and gone out by another
presence    how each lane was filled during a window of time; told for every window while the camera
            sees, also where the road is empty, so that a gap of data is known as a gap
wrong_way   a vehicle went against the direction of a line or lane
stopped     a vehicle has stood where none should, or goes on again
camera      what the camera's own state is: it sees, it has moved, its picture has jumped

All are frozen and check themselves at birth (RecordError). `to_record` makes the record of an event
and `event_of` the event of a record, whoever made it: keys that are not known are passed over.
Times are those of the camera's stamps, ns. No plate is in here unless the site has chosen
`plates: text`; `plate_hash` is a keyed hash, and the key stays on the device.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

from mastra_ros.errors import RecordError
from mastra_ros.records import Record, check_stamp

TYPES = ("car", "van", "truck", "bus", "motorcycle", "bicycle", "person")
"""What is followed on a road; the first five have plates, all but the last are vehicles."""
STATES = ("sees", "moved", "jumped", "unsure", "blind")
"""Of a camera. sees: all is well. moved: lines and lanes no longer lie where they were drawn, so
nothing is counted. jumped: the video went on elsewhere or later, so tracks began anew. unsure:
night, glare or rain; counts go on and may miss some. blind: no pictures."""
NAME_MAX = 64
LANES_MAX = 64


class Told(Protocol):
    """A record as its maker or the gateway holds it."""

    @property
    def kind(self) -> str: ...
    @property
    def stamp_ns(self) -> int: ...
    @property
    def body(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Event:
    """The base of all; the stamp is when it happened, by the camera's clock."""

    KIND: ClassVar[str] = ""

    stamp_ns: int

    def __post_init__(self) -> None:
        check_stamp(self.stamp_ns)

    def to_record(self, run: str = "") -> Record:
        """The record of this event; `run` tells one start of the device from another."""
        body = _plain(self)
        body.pop("stamp_ns")
        return Record(self.KIND, self.stamp_ns, body, f"{run}-{self._id()}" if run else "")

    def _id(self) -> str:
        """What tells it from all others of its kind in one run."""
        return f"{self.KIND}-{self.stamp_ns}"


@dataclass(frozen=True)
class Crossing(Event):
    """A vehicle crossed a line.

    track: number of the track, unique in a run of the device. line: name of the line. lane: name of
    the lane, empty where the line crosses no lane there. direction: the name that the line gives to
    this way over it. type: one of TYPES. speed_kmh: None without a homography. plate_hash: 32 hex
    digits, or None: not read or not sure. plate: its text, only under `plates: text`.
    plate_confidence: 0 to 1, 0 where there is no plate.
    """

    KIND: ClassVar[str] = "vehicle_crossing"

    track: int
    line: str
    lane: str
    direction: str
    type: str
    speed_kmh: float | None = None
    plate_hash: str | None = None
    plate_confidence: float = 0.0
    plate: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_track(self.KIND, self.track)
        _check_name(self.KIND, "line", self.line)
        _check_name(self.KIND, "lane", self.lane, empty=True)
        _check_name(self.KIND, "direction", self.direction)
        _check_type(self.KIND, self.type)
        _check_number(self.KIND, "speed_kmh", self.speed_kmh, 0.0, 1000.0, none=True)
        _check_number(self.KIND, "plate_confidence", self.plate_confidence, 0.0, 1.0)
        _check_name(self.KIND, "plate_hash", self.plate_hash, none=True)
        _check_name(self.KIND, "plate", self.plate, none=True)

    def _id(self) -> str:
        # A track crosses a line at one time only; its own number keeps the id short.
        return f"{self.KIND}-{self.track}-{self.stamp_ns}"


@dataclass(frozen=True)
class Turning(Event):
    """A vehicle went from one zone to another; the stamp is when it came into the second.

    origin, destination: names of zones. travel_s: time between the two.
    """

    KIND: ClassVar[str] = "vehicle_turning"

    track: int
    origin: str
    destination: str
    type: str
    travel_s: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_track(self.KIND, self.track)
        _check_name(self.KIND, "origin", self.origin)
        _check_name(self.KIND, "destination", self.destination)
        _check_type(self.KIND, self.type)
        _check_number(self.KIND, "travel_s", self.travel_s, 0.0, 86400.0)

    def _id(self) -> str:
        return f"{self.KIND}-{self.track}-{self.stamp_ns}"


@dataclass(frozen=True)
class LanePresence:
    """One lane during one window of time.

    vehicles: seen in the lane at the end of the window. queued: of these, standing (or below
    the speed of a queue), in the row that begins at the stop line. queue_m: from the stop line to
    the end of that row; None without a homography. occupancy: share of the window during which the
    lane's detection area held a vehicle, 0 to 1. speed_kmh: mean of the moving ones, None if none
    or no homography. visible_m: how much of the lane is seen from the stop line on; None: unknown.
    """

    lane: str
    vehicles: int
    queued: int = 0
    queue_m: float | None = None
    occupancy: float = 0.0
    speed_kmh: float | None = None
    visible_m: float | None = None

    def __post_init__(self) -> None:
        what = "lane_presence"
        _check_name(what, "lane", self.lane)
        _check_count(what, "vehicles", self.vehicles)
        _check_count(what, "queued", self.queued)
        if self.queued > self.vehicles:
            raise RecordError(
                f"{what}: expected queued of at most {self.vehicles}, got {self.queued}"
            )
        _check_number(what, "queue_m", self.queue_m, 0.0, 10000.0, none=True)
        _check_number(what, "occupancy", self.occupancy, 0.0, 1.0)
        _check_number(what, "speed_kmh", self.speed_kmh, 0.0, 1000.0, none=True)
        _check_number(what, "visible_m", self.visible_m, 0.0, 10000.0, none=True)


@dataclass(frozen=True)
class Presence(Event):
    """How the lanes of a camera were filled during the `window_ms` before the stamp."""

    KIND: ClassVar[str] = "lane_presence"

    window_ms: float
    lanes: tuple[LanePresence, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_number(self.KIND, "window_ms", self.window_ms, 1.0, 3.6e6)
        names = [lane.lane for lane in self.lanes]
        if len(names) > LANES_MAX or len(set(names)) < len(names):
            raise RecordError(
                f"{self.KIND}: expected at most {LANES_MAX} lanes, each once, got {len(names)}"
            )


@dataclass(frozen=True)
class WrongWay(Event):
    """A vehicle went against the direction of a line or lane; it is no crossing beside."""

    KIND: ClassVar[str] = "vehicle_wrong_way"

    track: int
    lane: str
    line: str
    type: str
    speed_kmh: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_track(self.KIND, self.track)
        _check_name(self.KIND, "lane", self.lane, empty=True)
        _check_name(self.KIND, "line", self.line, empty=True)
        _check_type(self.KIND, self.type)
        _check_number(self.KIND, "speed_kmh", self.speed_kmh, 0.0, 1000.0, none=True)

    def _id(self) -> str:
        return f"{self.KIND}-{self.track}-{self.stamp_ns}"


@dataclass(frozen=True)
class Stopped(Event):
    """A vehicle has stood for `stood_s` where none should; ended: it goes on, or is gone."""

    KIND: ClassVar[str] = "vehicle_stopped"

    track: int
    zone: str
    type: str
    stood_s: float
    ended: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_track(self.KIND, self.track)
        _check_name(self.KIND, "zone", self.zone)
        _check_type(self.KIND, self.type)
        _check_number(self.KIND, "stood_s", self.stood_s, 0.0, 864000.0)
        if type(self.ended) is not bool:
            raise RecordError(f"{self.KIND}: ended: expected true or false, got {self.ended!r:.40}")

    def _id(self) -> str:
        return f"{self.KIND}-{self.track}-{self.stamp_ns}"


@dataclass(frozen=True)
class CameraState(Event):
    """What the camera's own state has become, and why in a few words."""

    KIND: ClassVar[str] = "camera_state"

    state: str
    reason: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.state not in STATES:
            raise RecordError(f"{self.KIND}: expected one of {STATES}, got {self.state!r:.40}")
        if type(self.reason) is not str or len(self.reason) > 200:
            raise RecordError(f"{self.KIND}: expected a reason of at most 200 characters")

    def _id(self) -> str:
        return f"{self.KIND}-{self.stamp_ns}-{self.state}"


EVENTS: dict[str, type[Event]] = {
    one.KIND: one for one in (Crossing, Turning, Presence, WrongWay, Stopped, CameraState)
}
"""The events by the kind of their records."""
KINDS = tuple(EVENTS)


def event_of(record: Told) -> Event:
    """The event in a record that anybody may have made; RecordError where it is none."""
    made = EVENTS.get(record.kind)
    if made is None:
        raise RecordError(f"traffic: expected one of {', '.join(KINDS)}, got {record.kind!r:.40}")
    values = _known(made, record.body)
    if made is Presence:
        lanes = values.get("lanes")
        if not isinstance(lanes, (list, tuple)) or len(lanes) > LANES_MAX:
            raise RecordError(f"{record.kind}: expected a list of at most {LANES_MAX} lanes")
        values["lanes"] = tuple(_born(LanePresence, _known(LanePresence, one)) for one in lanes)
    values["stamp_ns"] = record.stamp_ns
    return _born(made, values)


def _known(made: type[Any], body: object) -> dict[str, Any]:
    if not isinstance(body, Mapping):
        raise RecordError(f"{made.__name__}: expected a map, got {type(body).__name__}")
    names = {field.name for field in dataclasses.fields(made)}
    return {str(name): value for name, value in body.items() if name in names}


T = TypeVar("T")


def _born(made: type[T], values: dict[str, Any]) -> T:
    try:
        return made(**values)
    except TypeError as error:
        raise RecordError(f"{made.__name__}: {error}") from None


def _plain(event: Event) -> dict[str, Any]:
    body = dataclasses.asdict(event)
    if isinstance(event, Presence):
        body["lanes"] = [dict(lane) for lane in body["lanes"]]
    if body.get("plate", "") is None:
        del body["plate"]  # most sites never have one, and nobody should look for it
    return body


def _check_name(
    what: str, name: str, text: object, *, empty: bool = False, none: bool = False
) -> None:
    if (none and text is None) or (empty and text == ""):
        return
    if type(text) is not str or not 0 < len(text) <= NAME_MAX or not text.isprintable():
        raise RecordError(
            f"{what}: {name}: expected a name of 1 to {NAME_MAX} characters, got {text!r:.80}"
        )


def _check_type(what: str, name: object) -> None:
    if name not in TYPES:
        raise RecordError(f"{what}: type: expected one of {', '.join(TYPES)}, got {name!r:.40}")


def _check_track(what: str, number: object) -> None:
    if type(number) is not int or not 0 < number < 2**53:
        raise RecordError(f"{what}: track: expected a number above 0, got {number!r:.40}")


def _check_count(what: str, name: str, number: object) -> None:
    if type(number) is not int or not 0 <= number < 2**31:
        raise RecordError(f"{what}: {name}: expected a number of vehicles, got {number!r:.40}")


def _check_number(
    what: str, name: str, value: object, low: float, high: float, *, none: bool = False
) -> None:
    if none and value is None:
        return
    if (
        not isinstance(value, (int, float))
        or isinstance(value, bool)
        or not math.isfinite(value)
        or not low <= value <= high
    ):
        raise RecordError(f"{what}: {name}: expected {low:g} to {high:g}, got {value!r:.40}")
