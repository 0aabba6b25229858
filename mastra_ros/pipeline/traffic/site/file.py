"""Reads a site from a YAML file that a person has written, and says all that is wrong with it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import yaml

from mastra_ros.errors import ConfigError
from mastra_ros.share import home_path, share_file

from .homography import POINTS_MAX as PAIRS_MAX
from .homography import POINTS_MIN as PAIRS_MIN
from .homography import Homography
from .polygon import POINTS_MAX, Point, area_px, crosses_itself, shared_share
from .site import ANCHORS, USES, Lane, Line, Site, Zone

NAME_MAX = 64
MANY = 64
SHARED_MOST = 0.05
"""Two lanes may share this much of the smaller one: nobody draws to the px."""
AREA_LEAST_PX = 25.0
BYTES_MAX = 1_000_000
KNOWN = {"format", "picture", "anchor", "homography", "lanes", "lines", "zones"}


def load_site(path: str | Path) -> Site:
    """Read and check a site; a relative path may also be one of our installed files.

    ConfigError names the file and everything that is wrong with it.
    """
    place = home_path(path)
    if not place.is_file() and not place.is_absolute():
        try:
            place = share_file(str(path))
        except ConfigError as error:
            raise ConfigError(f"site {path}: {error}") from None
    try:
        text = place.read_bytes()[: BYTES_MAX + 1]
        if len(text) > BYTES_MAX:
            raise ConfigError(f"{place}: expected at most {BYTES_MAX} bytes")
        document = yaml.safe_load(text.decode("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"{place}: cannot be read: {' '.join(str(error).split())[:300]}"
        ) from None
    try:
        return site_of(document)
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from None


def site_of(document: Any) -> Site:
    """The site in a document; ConfigError names everything that is wrong."""
    return _Reader().site(document)


class _Reader:
    def __init__(self) -> None:
        self.problems: list[str] = []
        self.size = (0, 0)

    def site(self, document: Any) -> Site:
        if not isinstance(document, dict):
            raise ConfigError(f"expected a mapping, got {type(document).__name__}")
        self._only(document, KNOWN, "")
        if document.get("format") != 1:
            self._wrong("format", f"expected 1, got {document.get('format')!r:.40}")
        picture = document.get("picture")
        sides = picture if isinstance(picture, dict) else {}
        self.size = tuple(self._side(sides, name) for name in ("width_px", "height_px"))  # type: ignore[assignment]
        anchor = document.get("anchor", "middle")
        if anchor not in ANCHORS:
            self._wrong("anchor", f"expected {' or '.join(ANCHORS)}, got {anchor!r:.40}")
        lanes = [self._lane(one, where) for one, where in self._entries(document, "lanes")]
        lines = [self._line(one, where) for one, where in self._entries(document, "lines")]
        zones = [self._zone(one, where) for one, where in self._entries(document, "zones")]
        if not lanes and not self.problems:
            self._wrong("lanes", "expected at least one lane; all is counted by lane")
        self._apart([lane for lane in lanes if lane])
        homography = self._homography(document.get("homography"))
        if self.problems:
            raise ConfigError("; ".join(self.problems))
        return Site(
            *self.size,
            tuple(one for one in lanes if one),
            tuple(one for one in lines if one),
            tuple(one for one in zones if one),
            homography,
            anchor,
        )

    def _wrong(self, where: str, what: str) -> None:
        if len(self.problems) < 20:
            self.problems.append(f"{where}: {what}" if where else what)

    def _only(self, holder: dict[Any, Any], known: set[str], where: str) -> None:
        for name in holder:
            if name not in known:
                told = f"unknown, known are {', '.join(sorted(known))}"
                self._wrong(f"{where}.{name}" if where else str(name), told)

    def _side(self, picture: dict[Any, Any], name: str) -> int:
        value = picture.get(name)
        if type(value) is not int or not 16 <= value <= 16384:
            self._wrong(f"picture.{name}", f"expected 16 to 16384 px, got {value!r:.40}")
            return 0
        return value

    def _entries(self, document: dict[Any, Any], what: str) -> list[tuple[dict[Any, Any], str]]:
        entries = document.get(what, [])
        if entries is None:
            entries = []
        if not isinstance(entries, list) or len(entries) > MANY:
            self._wrong(what, f"expected a list of at most {MANY}, got {type(entries).__name__}")
            return []
        made, names = [], set()
        for number, one in enumerate(entries, 1):
            where = f"{what}[{number}]"
            if not isinstance(one, dict):
                self._wrong(where, f"expected a mapping, got {type(one).__name__}")
                continue
            name = one.get("name")
            if type(name) is not str or not 0 < len(name) <= NAME_MAX or not name.isprintable():
                self._wrong(f"{where}.name", f"expected a name, got {name!r:.40}")
                continue
            if name in names:
                self._wrong(where, f"the name {name!r} is taken")
            names.add(name)
            made.append((one, f"{what} {name}"))
        return made

    def _point(self, value: Any, where: str) -> Point | None:
        if (
            not isinstance(value, list)
            or len(value) != 2
            or not all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in value)
            or not all(math.isfinite(v) for v in value)
        ):
            self._wrong(where, f"expected a point [x, y] in px, got {value!r:.60}")
            return None
        x, y = float(value[0]), float(value[1])
        if self.size[0] and not (0 <= x <= self.size[0] and 0 <= y <= self.size[1]):
            told = f"{self.size[0]}x{self.size[1]} px"
            self._wrong(where, f"expected a point in the picture of {told}, got ({x:g}, {y:g})")
            return None
        return x, y

    def _polygon(self, one: dict[Any, Any], where: str) -> tuple[Point, ...] | None:
        value = one.get("polygon")
        if not isinstance(value, list) or not 3 <= len(value) <= POINTS_MAX:
            self._wrong(f"{where}.polygon", f"expected 3 to {POINTS_MAX} points, got {value!r:.60}")
            return None
        points = [self._point(v, f"{where}.polygon[{n}]") for n, v in enumerate(value, 1)]
        if any(point is None for point in points):
            return None
        polygon = tuple(point for point in points if point)
        sides = crosses_itself(polygon)
        if sides:
            told = f"sides {sides[0]} and {sides[1]} cross; give the corners one after the other"
            self._wrong(f"{where}.polygon", told)
            return None
        if area_px(polygon) < AREA_LEAST_PX:
            self._wrong(f"{where}.polygon", "has no area")
            return None
        return polygon

    def _lane(self, one: dict[Any, Any], where: str) -> Lane | None:
        self._only(one, {"name", "polygon", "way"}, where)
        polygon = self._polygon(one, where)
        way = self._segment(one.get("way"), f"{where}.way")
        return Lane(one["name"], polygon, way) if polygon and way else None

    def _segment(self, value: Any, where: str) -> tuple[Point, Point] | None:
        if not isinstance(value, list) or len(value) != 2:
            self._wrong(where, f"expected two points, from and to, got {value!r:.60}")
            return None
        a, b = (self._point(v, f"{where}[{n}]") for n, v in enumerate(value, 1))
        if a is None or b is None:
            return None
        if math.hypot(b[0] - a[0], b[1] - a[1]) < 2:
            self._wrong(where, "expected two points apart from each other")
            return None
        return a, b

    def _line(self, one: dict[Any, Any], where: str) -> Line | None:
        self._only(one, {"name", "points", "directions", "wrong"}, where)
        points = self._segment(one.get("points"), f"{where}.points")
        if points is None:
            return None
        (ax, ay), (bx, by) = points
        flat = abs(bx - ax) >= abs(by - ay)
        # Forward is what lies to the right of the line; drawn from left to right that is down.
        forward, backward = ("down", "up") if flat else ("left", "right")
        if (flat and bx < ax) or (not flat and by < ay):
            forward, backward = backward, forward
        names = one.get("directions", {})
        if not isinstance(names, dict):
            self._wrong(f"{where}.directions", f"expected names by {forward} and {backward}")
            return None
        self._only(names, {forward, backward}, f"{where}.directions")
        told = [names.get(forward, forward), names.get(backward, backward)]
        if (
            any(type(t) is not str or not 0 < len(t) <= NAME_MAX for t in told)
            or told[0] == told[1]
        ):
            self._wrong(f"{where}.directions", f"expected two names, got {told!r:.60}")
            return None
        wrong = one.get("wrong", "")
        if wrong not in ("", *told):
            self._wrong(f"{where}.wrong", f"expected {told[0]} or {told[1]}, got {wrong!r:.40}")
        return Line(one["name"], *points, told[0], told[1], wrong)

    def _zone(self, one: dict[Any, Any], where: str) -> Zone | None:
        self._only(one, {"name", "polygon", "use", "stopped_s"}, where)
        polygon = self._polygon(one, where)
        use, seconds = one.get("use"), one.get("stopped_s", 10.0)
        if use not in USES:
            self._wrong(f"{where}.use", f"expected one of {', '.join(USES)}, got {use!r:.40}")
        if type(seconds) not in (int, float) or not 0.5 <= seconds <= 86400:
            self._wrong(f"{where}.stopped_s", f"expected 0.5 to 86400 s, got {seconds!r:.40}")
            return None
        return Zone(one["name"], polygon, use, float(seconds)) if polygon and use in USES else None

    def _apart(self, lanes: list[Lane]) -> None:
        if not all(self.size):
            return
        for k, lane in enumerate(lanes):
            for other in lanes[k + 1 :]:
                share = shared_share(lane.polygon, other.polygon, *self.size)
                if share > SHARED_MOST:
                    told = f"share {share:.0%} of the smaller one; a vehicle is in one lane"
                    self._wrong(f"lanes {lane.name} and {other.name}", told)

    def _homography(self, value: Any) -> Homography | None:
        if value is None:
            return None
        pairs = value.get("points") if isinstance(value, dict) else None
        if not isinstance(pairs, list) or not PAIRS_MIN <= len(pairs) <= PAIRS_MAX:
            self._wrong("homography.points", f"expected {PAIRS_MIN} to {PAIRS_MAX} points")
            return None
        self._only(value, {"points"}, "homography")
        px, m = [], []
        for number, pair in enumerate(pairs, 1):
            where = f"homography.points[{number}]"
            if not isinstance(pair, dict) or set(pair) != {"px", "m"}:
                self._wrong(where, "expected {px: [x, y], m: [x, y]}")
                return None
            point = self._point(pair["px"], f"{where}.px")
            size, self.size = self.size, (0, 0)
            place = self._point(pair["m"], f"{where}.m")
            self.size = size
            if point is None or place is None:
                return None
            px.append(point)
            m.append(place)
        try:
            return Homography.of_points(px, m)
        except ConfigError as error:
            self._wrong("", str(error))
            return None
