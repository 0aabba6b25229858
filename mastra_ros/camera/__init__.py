"""Cameras and what stands in for them: every source gives frames in the same way.

`open_source(config)` opens one; `CaptureLoop` reads it on its own thread, keeps its pace, stamps
and counts, tells what happens as `CameraEvent`s and opens a live source again when it fails.
"""

from __future__ import annotations

from .drawn.board import LABELS
from .drawn.line import FrameTruth, Line, LineOptions, VisibleBoard
from .events import CameraEvent
from .fake import FakeSource
from .loop import CaptureLoop
from .opening import open_source
from .source import Source, Stamper
from .uri import SourceUri, parse_uri

__all__ = [
    "LABELS",
    "CameraEvent",
    "CaptureLoop",
    "FakeSource",
    "FrameTruth",
    "Line",
    "LineOptions",
    "Source",
    "SourceUri",
    "Stamper",
    "VisibleBoard",
    "open_source",
    "parse_uri",
]
