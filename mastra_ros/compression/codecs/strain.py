"""Another quality from one picture to the next, without a key frame.

An encoder's own rate is fixed when it is opened, and opening it anew costs a key frame, just when
the link is narrow. So the whole picture is declared a region of interest with an offset, which
x264 adds to the quantiser of each block, and libvpx to that of a segment. libvpx keeps to it until
it is told another, so the first picture without an offset says so.
"""

from __future__ import annotations

from typing import Any


class Strain:
    """FFmpeg's filter `addroi` over the whole picture; made anew where offset or size change."""

    def __init__(self) -> None:
        self._graph: Any = None
        self._made_for: tuple[float, int, int] = (0.0, 0, 0)
        self._strained = False

    def on(self, frame: Any, offset: float) -> Any:
        """The frame with the offset on it, -1 (best) to 1; itself where there is and was none."""
        if offset == 0.0 and not self._strained:
            return frame
        self._strained = offset != 0.0
        offset = round(min(max(offset, -1.0), 1.0), 4)
        made_for = (offset, frame.width, frame.height)
        if made_for != self._made_for or self._graph is None:
            self._graph, self._made_for = _graph(frame, offset), made_for
        self._graph.push(frame)
        strained = self._graph.pull()
        strained.pts, strained.time_base = frame.pts, frame.time_base
        return strained


def _graph(frame: Any, offset: float) -> Any:
    from av.filter import Graph

    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    region = f"x=0:y=0:w={frame.width}:h={frame.height}:qoffset={offset}"
    interest = graph.add("addroi", region)
    sink = graph.add("buffersink")
    source.link_to(interest)
    interest.link_to(sink)
    graph.configure()
    return graph
