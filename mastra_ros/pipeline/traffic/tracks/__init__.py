"""Follows what a detector finds from frame to frame."""

from .track import Track, TrackView
from .tracker import Tracker, TrackerOptions

__all__ = ["Track", "TrackView", "Tracker", "TrackerOptions"]
