"""What applications make of results, a folder each; drawing detections serves them all."""

from .overlay import draw

__all__ = ["draw"]
