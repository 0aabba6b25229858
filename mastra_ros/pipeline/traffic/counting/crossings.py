"""Who crossed a line: once a vehicle, whether it flickers, stands on it, or comes and goes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from mastra_ros.pipeline.traffic.site.site import Line, Site
from mastra_ros.pipeline.traffic.tracks import TrackView

BAND_SHARE = 0.06
"""On which side one is, is only said outside of a band of this share of its height to each side."""
BAND_LEAST_PX = 2.0
BESIDE = 0.02
"""One may pass this far beyond the ends of a line, as a share of its length."""
SAME_WITHIN_S = 2.0
"""One that appears so soon after another was lost, where that one must be by then, is it."""
SAME_SIZES = 0.6
KEPT_S = 10.0
AWAY_SIZES = 2.0
"""One that was so far from a line, in its sizes, may cross it again: it turned round."""
LATE_S = 0.6
LATE_SIZES = 1.0
"""One first found so soon and so near behind a line, and well within the picture, crossed it."""
LATE_KNOWN_S = 0.25
"""So long one must be followed before its way is known."""
LATE_BEGUN_S = 1.0
LATELY_S = 1.5
CUT_PX = 2.0
CUT_BAND_SHARE = 0.25
LANE_NEAR = 0.15
"""One whose middle is this near to a lane that leads its way, in its widths, drives in it."""


@dataclass(frozen=True)
class Passed:
    """A track went over a line; x, y: where, in px. wrong: nobody may, in that direction."""

    view: TrackView
    stamp_ns: int
    line: str
    direction: str
    lane: str
    wrong: bool
    x: float
    y: float


@dataclass
class _Sides:
    """Of one track: on which side of each line it was last, and which lines it has crossed."""

    side: dict[str, int] = field(default_factory=dict)
    crossed: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)  # whether it was first found behind a line
    doubted: set[str] = field(default_factory=set)
    until_ns: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Seen:
    """Where a track was when it was found first or last."""

    stamp_ns: int
    x: float
    y: float
    speed_px_s: tuple[float, float]
    size_px: float
    cut: bool = False  # by the border of the picture, on any side


class Crossings:
    """Counts at the lines of a site."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._sides: dict[int, _Sides] = {}
        self._done: dict[tuple[str, str], dict[int, int]] = {}  # line, direction: track, when
        self._born: dict[int, _Seen] = {}
        self._last: dict[int, _Seen] = {}
        self._began_ns: int | None = None
        self._lately: deque[tuple[int, list[TrackView]]] = deque()

    def clear(self) -> None:
        """The tracks begin anew; what was counted stays known for a while."""
        self._sides = {}
        self._began_ns = None

    def update(self, views: list[TrackView]) -> list[Passed]:
        """Those who crossed with this frame."""
        passed = []
        if views:
            self._remember(views[0].stamp_ns, views)
        for view in views:
            if not view.found:
                continue  # where it is only expected, nothing is counted
            self._note(view)
            sides = self._sides.setdefault(view.number, _Sides())
            for line in self._site.lines:
                one = self._at(line, view, sides) or self._late(line, view, sides)
                if one is not None:
                    passed.append(one)
        return passed

    def forget(self, stamp_ns: int) -> None:
        """Give up what was not seen for long."""
        old = {n for n, seen in self._last.items() if stamp_ns - seen.stamp_ns > KEPT_S * 1e9}
        for number in old:
            for kept in (self._last, self._born, self._sides):
                kept.pop(number, None)
            for done in self._done.values():
                done.pop(number, None)

    def _remember(self, stamp_ns: int, views: list[TrackView]) -> None:
        """Who was where lately; where stamps go back, all begins anew."""
        if self._lately and self._lately[-1][0] >= stamp_ns:
            self._lately.clear()
            self._began_ns = None
        if self._began_ns is None:
            self._began_ns = stamp_ns
        self._lately.append((stamp_ns, views))
        while self._lately[0][0] < stamp_ns - LATELY_S * 1e9:
            self._lately.popleft()

    def _note(self, view: TrackView) -> None:
        size = max(view.width_px, view.height_px)
        first_ns, x, y = view.past[0][:3]
        cut = self._cut(view, y)
        self._born.setdefault(view.number, _Seen(first_ns, x, y, view.speed_px_s, size, cut))
        self._last[view.number] = _Seen(view.stamp_ns, *view.middle, view.speed_px_s, size)

    def _cut(self, view: TrackView, y: float) -> bool:
        """Whether the border cuts it, or did where its middle was at y."""
        wide, high = self._site.width_px - CUT_PX, self._site.height_px - CUT_PX
        x1, y1, x2, y2 = view.box
        half = view.height_px / 2
        return bool(min(x1, y1, y - half) <= CUT_PX or x2 >= wide or max(y2, y + half) >= high)

    def _at(self, line: Line, view: TrackView, sides: _Sides) -> Passed | None:
        foot = self._site.anchor == "foot"
        band = max(BAND_LEAST_PX, BAND_SHARE * view.height_px)
        cut = view.box[0] <= CUT_PX or view.box[2] >= self._site.width_px - CUT_PX
        for here in view.past:
            if here[0] <= sides.until_ns.get(line.name, -1):
                continue  # known from the frame before
            sides.until_ns[line.name] = here[0]
            x, y = here[3:5] if foot else here[1:3]
            far = line.distance_px(x, y)
            # Of one that is cut by the border, where its middle is can only be said roughly.
            least = max(band, CUT_BAND_SHARE * view.height_px) if cut else band
            side = 0 if abs(far) < least else 1 if far > 0 else -1
            was = sides.side.get(line.name, 0)
            if side == 0:
                continue
            if cut and was == -side and line.name not in sides.doubted:
                sides.doubted.add(line.name)  # at the border two are easily taken for one
                continue
            sides.doubted.discard(line.name)
            sides.side[line.name] = side
            if abs(far) > AWAY_SIZES * max(view.width_px, view.height_px):
                sides.crossed.discard(line.name)
            if was in (0, side) or line.name in sides.crossed:
                continue
            sides.crossed.add(line.name)
            return self._crossed(line, view, side, here[0], x, y, view.speed_px_s)
        return None

    def _late(self, line: Line, view: TrackView, sides: _Sides) -> Passed | None:
        """Whether one that was first found behind the line, going away from it, has crossed it.

        Nothing comes into sight in the midst of a picture unless something else was before it, or
        the detector was late. At the beginning nobody knows.
        """
        born = self._born[view.number]
        if line.name in sides.asked or view.stamp_ns - born.stamp_ns < LATE_KNOWN_S * 1e9:
            return None
        sides.asked.add(line.name)
        if self._began_ns is None or born.stamp_ns - self._began_ns < LATE_BEGUN_S * 1e9:
            return None
        if line.name in sides.crossed or born.cut or self._within_another(view.number, born):
            return None
        x, y = view.middle if self._site.anchor != "foot" else view.foot
        age_s = (view.stamp_ns - born.stamp_ns) / 1e9
        speed = ((x - born.x) / age_s, (y - born.y) / age_s)
        far = line.distance_px(born.x, born.y)
        away = line.distance_px(line.start[0] + speed[0], line.start[1] + speed[1])
        if far * away <= 0 or abs(far) > min(LATE_SIZES * view.height_px, LATE_S * abs(away)):
            return None
        back_s = far / away
        x, y = born.x - speed[0] * back_s, born.y - speed[1] * back_s
        half = view.width_px / 2
        if not half + CUT_PX < x < self._site.width_px - half - CUT_PX:
            return None
        sides.crossed.add(line.name)
        return self._crossed(line, view, 1 if far > 0 else -1, born.stamp_ns, born.x, born.y, speed)

    def _within_another(self, number: int, born: _Seen) -> bool:
        """Whether one began where another one was: a part of it, or taken for it."""
        for stamp_ns, views in self._lately:
            if abs(stamp_ns - born.stamp_ns) < 1e6:
                for other in views:
                    x1, y1, x2, y2 = other.box
                    if other.number != number and x1 < born.x < x2 and y1 < born.y < y2:
                        return True
        return False

    def _crossed(
        self,
        line: Line,
        view: TrackView,
        side: int,
        stamp_ns: int,
        x: float,
        y: float,
        speed: tuple[float, float],
    ) -> Passed | None:
        across = line.distance_px(line.start[0] + speed[0], line.start[1] + speed[1])
        # By its speed it was on the line itself a little before it was said to be over it.
        back_s = float(np.clip(line.distance_px(x, y) / across, 0, 0.5)) if abs(across) > 1 else 0.0
        x, y = x - speed[0] * back_s, y - speed[1] * back_s
        if not -BESIDE <= line.along(x, y) <= 1 + BESIDE:
            return None
        at_ns = stamp_ns - round(back_s * 1e9)
        direction = line.forward if side > 0 else line.backward
        done = self._done.setdefault((line.name, direction), {})
        known = any(self._same(number, view.number) for number in done)
        done[view.number] = at_ns
        if known:
            return None
        lane = self._site.lane_for(x, y, speed, LANE_NEAR * view.width_px)
        return Passed(
            view,
            at_ns,
            line.name,
            direction,
            lane.name if lane else "",
            direction == line.wrong,
            x,
            y,
        )

    def _same(self, before: int, now: int) -> bool:
        """Whether a track that was lost goes on as this one, which began when it was gone."""
        last, born = self._last.get(before), self._born[now]
        if before == now or last is None or born.stamp_ns <= last.stamp_ns:
            return False  # both were there at a time
        away_s = (born.stamp_ns - last.stamp_ns) / 1e9
        x, y = last.x + last.speed_px_s[0] * away_s, last.y + last.speed_px_s[1] * away_s
        near = float(np.hypot(born.x - x, born.y - y)) < SAME_SIZES * last.size_px
        return away_s < SAME_WITHIN_S and near
