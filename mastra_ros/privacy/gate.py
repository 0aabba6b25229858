"""The gate between frame and encoder. It fails closed: what could not be checked does not leave.

    off                nothing is hidden; there is a reason, which somebody has written down
    faces_and_plates   the finders look, tracks hold; the task's model adds heads and bands
    whole              everything is hidden but the objects of the task
    regions            everything is hidden but what lies inside polygons

Whatever goes wrong on the way (an exception, no answer in time, a missing model, a picture too
large, no memory) is `Withheld`, is counted, and after a few in a row the gate says that it is shut.
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import cv2
import numpy as np

from ..config import PrivacyConfig
from ..config.privacy import parse_polygon
from ..errors import MastraError, Withheld
from ..pictures import eight_bits
from ..types import CHANNELS, Features, Frame, GateState
from .bands import LABELS, bands
from .cleared import SEAL, ClearedFeatures, ClearedFrame
from .features import FeatureRule
from .hide import Pixels, hide_around, hide_inside, hide_outside
from .region import Finder, Image, Region, mask_of
from .search import Search
from .shared import Found, SharedSearches, searched
from .tracks import Tracks

FAILURES_IN_ROW = 3
"""So many frames withheld in a row shut the gate: one alone is no trend."""
REASONS_MAX = 20
"""Different reasons that are counted apart."""
OFF = "off"
MASKS = 2
"""Which rule makes masks of what is found (`mask_of`): a part of the clearance, so that what an
older rule has cleared is cleared anew."""
REOPEN_S = 5.0
"""Pause before finders that could not be opened are tried again."""


@dataclass(frozen=True)
class Opened:
    """What a gate works with. objects: the task's own detector, its labels as kinds."""

    finders: Sequence[Finder] = ()
    objects: Finder | None = None


class Gate:
    """Makes a ClearedFrame, or raises Withheld. One a stream; used by one thread at a time.

    `open_` opens the finders; `lazily`: when the first frame comes. What it raises shuts the gate,
    and `clear` tries again now and then. shared: what other gates of the same stream have found.
    """

    def __init__(
        self,
        config: PrivacyConfig,
        open_: Callable[[PrivacyConfig], Opened] | None = None,
        *,
        lazily: bool = False,
        shared: SharedSearches | None = None,
    ) -> None:
        self._config = config
        self._shared, self._asks = shared, object()
        self._open = open_
        self._opened: Opened | None = None
        self._search: Search | None = None
        self._polygons = [parse_polygon(text) for text in config.polygons]
        self._tracks = Tracks(config.hold_frames)
        self._features = FeatureRule(config)
        self._shape: tuple[int, ...] = ()
        self._failures = 0
        self._problem = ""  # why it could not be opened
        self._last = ""  # why the latest frame was withheld
        self._tried_s = -math.inf
        self._lock = threading.Lock()  # of the counts
        self.cleared = 0
        self.masked = 0
        self.withheld = 0
        self.reasons: Counter[str] = Counter()
        self.clearance = ""
        if not lazily:
            self.open()

    # -- what there is to know -------------------------------------------------------------

    @property
    def mode(self) -> str:
        """`privacy.mode`."""
        return self._config.mode

    @property
    def shut(self) -> str:
        """Why nothing can leave now; empty while the gate works."""
        if self._problem:
            return self._problem
        if self._search is not None and self._search.hangs:
            return self._search.hangs
        if self._config.mode == "regions" and not self._polygons:
            return "regions: no polygon is given, so nothing is sent"
        return self._last if self._failures >= FAILURES_IN_ROW else ""

    @property
    def state(self) -> GateState:
        """What it does, and has done since start."""
        masked = self.masked  # before `cleared`, which is never less
        return GateState(
            self.mode,
            self.shut,
            self.features_pass(),
            self.clearance,
            self.cleared,
            masked,
            self.withheld,
        )

    def features_pass(self, cut: str = "", pair: str = "") -> bool:
        """Whether the features at this cut of this head may leave; without a cut: whether any."""
        return not self._features.refusal(cut, pair)

    @property
    def features_refused(self) -> str:
        """Why no features may leave; empty if some may."""
        return self._features.refusal()

    def accepts(self, clearance: str) -> bool:
        """Whether what was made under `clearance` may leave under today's."""
        return self._config.mode == OFF or (bool(clearance) and clearance == self.clearance)

    # -- opening ---------------------------------------------------------------------------

    def open(self) -> bool:
        """Open the finders where that is still to be done; whether the gate works."""
        if self._opened is not None:
            return True
        self._tried_s = time.monotonic()
        try:
            needed = self._config.mode in ("faces_and_plates", "whole")
            opened = self._open(self._config) if needed and self._open else Opened()
            if self._config.mode == "faces_and_plates" and not opened.finders:
                raise Withheld("no finder is there to look for faces and plates")
            if self._config.mode == "whole":
                opened = Opened(objects=opened.objects)
        except Exception as error:  # whatever it is: a gate that cannot look stays shut
            self._problem = _text(error)
            return False
        self._problem = ""
        self._opened = opened
        objects = [opened.objects] if opened.objects is not None else []
        self._search = Search([*opened.finders, *objects])
        self.clearance = _clearance(self._config, [*opened.finders, *objects])
        return True

    def close(self) -> None:
        """Free the finders."""
        if self._search is not None:
            self._search.close()
        self._opened = self._search = None
        self._problem = "closed"
        self._open = None

    # -- clearing --------------------------------------------------------------------------

    def clear(self, frame: Frame, *, late: bool = False) -> ClearedFrame:
        """The frame with all hidden that has to be. late: it is out of order, as from the spool.

        Raises Withheld, and nothing else: the reason is counted.
        """
        try:
            cleared = self._clear(frame, late)
        except Exception as error:
            raise self._withhold(error) from error
        self._failures = 0
        self.cleared += 1
        self.masked += cleared.masked > 0
        return cleared

    def probe(self, frame: Frame) -> None:
        """Try a frame that is not to leave: where that goes well, the gate is open again."""
        try:
            self._clear(frame, late=True, anew=True)  # another gate's finders say nothing of these
        except Exception as error:  # as with any other frame, but that nobody waits for it
            self._last = _text(error)
        else:
            self._failures = 0

    def overload(self) -> None:
        """A frame is held back as too many others wait to be checked."""
        self._count("too many frames wait to be checked")

    def clear_features(self, features: Features) -> ClearedFeatures:
        """Features that may leave. Raises Withheld."""
        refusal = self._features.refusal(features.cut, features.pair)
        if refusal:
            self._count("features")
            raise Withheld(f"features at {features.cut!r}: {refusal}")
        self.cleared += 1
        return ClearedFeatures(features, self.clearance or self._config.mode, SEAL)

    def _clear(self, frame: Frame, late: bool, anew: bool = False) -> ClearedFrame:
        config = self._config
        if config.mode == OFF:
            return ClearedFrame(frame, OFF, 0, SEAL)
        self._check(frame)
        if config.mode == "regions":
            if not self._polygons:
                raise Withheld("regions: no polygon is given, so nothing is sent")
            hidden = hide_outside(frame.image, self._polygons, config.hide, config.blocks)
            return self._made(frame, hidden, 1)
        if config.mode == "whole":
            _, objects = self._find(frame, anew)
            hidden = hide_around(frame.image, objects, config.hide, config.blocks)
            return self._made(frame, hidden, 1)
        regions = self._regions(frame, late, anew)
        hidden = hide_inside(frame.image, regions, config.hide, config.blocks)
        return self._made(frame, hidden, len(regions))

    def look(self, frame: Frame, *, late: bool = False) -> list[Region]:
        """What `clear` would hide in the mode faces_and_plates; nothing is made, or counted.

        Raises Withheld, or whatever went wrong.
        """
        self._check(frame)
        return self._regions(frame, late, anew=True)

    def _check(self, frame: Frame) -> None:
        """Withheld for what cannot be searched."""
        if frame.encoding not in CHANNELS:
            raise Withheld(f"expected one of {', '.join(CHANNELS)}, got {frame.encoding!r}")
        if self._opened is None:
            again = time.monotonic() - self._tried_s > REOPEN_S
            if not (again and self.open()):
                raise Withheld(self._problem)
        pixels, most = frame.width_px * frame.height_px, self._config.pixels_max
        if pixels > most:
            raise Withheld(f"expected at most {most} px to search, got {pixels}")

    def _regions(self, frame: Frame, late: bool, anew: bool) -> list[Region]:
        found, objects = self._find(frame, anew)
        known = [replace(o, kind=LABELS.get(o.kind.lower(), o.kind)) for o in objects]
        added = bands(known, found)  # not widened: they are wide of what they hide already
        private = [*(mask_of(r, self._config.widen) for r in found), *added]
        return self._held(private, frame, late)

    def _find(self, frame: Frame, anew: bool) -> Found:
        """What the finders find, and the objects of the task. anew: whatever others have found."""
        assert self._search is not None
        image = _searched(frame)
        if self._shared is None or anew:
            return self._searched_now(image)
        if self._search.hangs:
            raise Withheld(self._search.hangs)
        of = searched(frame.key, image, self.clearance)
        search = partial(self._searched_now, image)
        return self._shared.find(self._asks, of, search, self._config.timeout_ms)

    def _searched_now(self, image: Image) -> Found:
        assert self._search is not None
        assert self._opened is not None
        answers = self._search.run(image, self._config.timeout_ms)
        objects = answers.pop() if self._opened.objects is not None else []
        found = [r for answer in answers for r in answer]
        least = self._config.score_min
        return Found(*(tuple(r for r in some if r.score >= least) for some in (found, objects)))

    def _held(self, private: list[Region], frame: Frame, late: bool) -> list[Region]:
        shape = frame.image.shape[:2]
        if shape != self._shape:
            self._shape = shape
            self._tracks.forget()
        if late:  # its place in the order is not known: so all that is hidden now, too
            return [*private, *self._tracks.now]
        return self._tracks.advance(private)

    def _made(self, frame: Frame, hidden: Pixels, masked: int) -> ClearedFrame:
        if hidden is not frame.image:
            frame = Frame(frame.key, hidden, frame.encoding, frame.frame_id)
        return ClearedFrame(frame, self.clearance, masked, SEAL)

    def _withhold(self, error: Exception) -> Withheld:
        self._failures += 1
        self._last = text = _text(error)
        self._count(text)
        return Withheld(text)

    def _count(self, reason: str) -> None:
        with self._lock:
            self.withheld += 1
            known = reason in self.reasons or len(self.reasons) < REASONS_MAX
            self.reasons[reason if known else "other"] += 1


def _text(error: Exception) -> str:
    ours = isinstance(error, MastraError)
    return str(error) if ours else f"{type(error).__name__}: {error}"


def _searched(frame: Frame) -> Image:
    """What the finders look at: 8 bits, blue green red or gray, not to be written to."""
    frame = eight_bits(frame)
    image = frame.image
    if frame.encoding == "rgb8":
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    view: Image = np.ascontiguousarray(image).view()
    view.setflags(write=False)
    return view


def _clearance(config: PrivacyConfig, finders: Sequence[Finder]) -> str:
    """Names the promise that a frame was cleared under: the mode, and a digest of what decides."""
    if config.mode == OFF:
        return OFF
    decides: dict[str, Any] = {
        name: getattr(config, name)
        for name in ("mode", "polygons", "score_min", "widen", "hide", "blocks")
    }
    decides["masks"] = MASKS
    decides["finders"] = [(finder.name, finder.digest) for finder in finders]
    digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:8]
    return f"{config.mode}:{digest}"
