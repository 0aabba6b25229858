"""All finders over a video: everything now and then, and between only what changed since.

Each block of the picture is compared with what it was when it was last searched, not with the frame
before: what changes slowly is searched as well, once it differs. A rectangle around each change is
searched in that very frame, so nothing that comes into sight waits for the next full search. What
was found elsewhere stays where it is. Over a still scene that costs a comparison.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from .boxes import joined
from .changed import Part, changed_blocks, is_stale, parts
from .region import Finder, Image, Region

FULL_EVERY = 50
"""Frames between full searches of a scene in which not everything moves."""
FULL_SHARE = 0.9
"""Where more of the picture is to be searched than this, all of it is."""


class PacedFinders:
    """See `Finder`: those given, joined. For the pictures of one stream, in any order."""

    def __init__(self, finders: Sequence[Finder]) -> None:
        self._finders = list(finders)
        self.name = "+".join(finder.name for finder in self._finders)
        said = " ".join(finder.digest for finder in self._finders)
        self.digest = hashlib.sha256(said.encode()).hexdigest()
        self._searched: Image | None = None  # each block as it was when it was searched
        self._found: list[Region] = []
        self._since_full = 0
        self.searched_px = 0
        """Of the newest picture: how much of it was searched."""

    def find(self, image: Image) -> list[Region]:
        """All that is in the picture, by what is known of it and a search of what is not."""
        before, self._searched = self._searched, None  # an error leaves nothing to rest on
        self._since_full += 1
        whole = image.shape[0] * image.shape[1]
        if before is None or before.shape != image.shape or self._since_full >= FULL_EVERY:
            return self._full(image)
        changed = changed_blocks(image, before)
        stale = [is_stale(r, changed) for r in self._found]
        known = list(zip(self._found, stale, strict=True))
        wanted = parts(changed, [r for r, old in known if old], *image.shape[:2])
        self.searched_px = sum(part.area_px for part in wanted)
        if self.searched_px > FULL_SHARE * whole:
            return self._full(image)
        kept = [r for r, old in known if not old]
        found = [region for part in wanted for region in self._in(image, part)]
        for part in wanted:
            place = (slice(part.top, part.bottom), slice(part.left, part.right))
            before[place] = image[place]
        self._searched = before
        self._found = joined(kept + found)
        return list(self._found)

    def close(self) -> None:
        """Free them all."""
        self._searched = None
        for finder in self._finders:
            finder.close()

    def _full(self, image: Image) -> list[Region]:
        high, wide = image.shape[:2]
        self.searched_px = high * wide
        found = self._in(image, Part(0, 0, wide, high))
        self._since_full = 0
        self._searched = image.copy()
        self._found = joined(found)
        return list(self._found)

    def _in(self, image: Image, part: Part) -> list[Region]:
        cut = image[part.top : part.bottom, part.left : part.right]
        return [
            Region(r.x + part.left, r.y + part.top, r.width, r.height, r.kind, r.score)
            for finder in self._finders
            for r in finder.find(cut)
        ]
