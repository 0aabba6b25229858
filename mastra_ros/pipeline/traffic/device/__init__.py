"""The device's half: frames and detections in, events out."""

from .device import TrafficDevice

__all__ = ["TrafficDevice"]
