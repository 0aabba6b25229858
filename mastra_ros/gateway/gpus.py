"""The GPUs of this machine by NVML (nvidia-ml-py): load, memory, temperature, power.

Where there is no NVIDIA driver, no library or no GPU, there are none. What a GPU does not tell is
absent, not nought.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)

KEPT_S = 1.0
"""What was read serves for so long, however many ask."""
AGAIN_S = 60.0
"""A driver that does not answer is asked again after so long."""


class Gpus:
    """Reads in whatever thread asks, one at a time."""

    def __init__(self, library: Any = None, clock: Callable[[], float] = time.monotonic) -> None:
        """library: the module `pynvml`, or one like it; None imports it."""
        self._library = library
        self._clock = clock
        self._lock = threading.Lock()
        self._ready = False
        self._next_s = float("-inf")
        self._told: list[dict[str, Any]] = []

    def read(self) -> list[dict[str, Any]]:
        """Of each GPU: name, and as far as it tells it load (share), bytes, °C and W."""
        with self._lock:
            now_s = self._clock()
            if now_s >= self._next_s:
                self._told, kept_s = self._read()
                self._next_s = now_s + kept_s
            return self._told

    def _read(self) -> tuple[list[dict[str, Any]], float]:
        if self._library is None:
            try:
                self._library = importlib.import_module("pynvml")
            except ImportError:
                return [], float("inf")
        library = self._library
        try:
            if not self._ready:
                library.nvmlInit()
                self._ready = True
            count = library.nvmlDeviceGetCount()
            told = [_of(library, library.nvmlDeviceGetHandleByIndex(n)) for n in range(count)]
        except library.NVMLError as error:
            logger.debug("no GPU is told of: %s", error)
            self._ready = False
            return [], AGAIN_S
        return told, KEPT_S


def _of(library: Any, handle: Any) -> dict[str, Any]:
    told: dict[str, Any] = {}

    def add(values: Callable[[], dict[str, Any]]) -> None:
        with contextlib.suppress(library.NVMLError):  # this GPU does not tell it
            told.update(values())

    def name() -> dict[str, Any]:
        text = library.nvmlDeviceGetName(handle)
        return {"name": text.decode() if isinstance(text, bytes) else str(text)}

    def memory() -> dict[str, Any]:
        found = library.nvmlDeviceGetMemoryInfo(handle)
        return {"memory_used_bytes": int(found.used), "memory_bytes": int(found.total)}

    add(name)
    add(lambda: {"load": library.nvmlDeviceGetUtilizationRates(handle).gpu / 100})
    add(memory)
    celsius = library.NVML_TEMPERATURE_GPU
    add(lambda: {"temperature_c": float(library.nvmlDeviceGetTemperature(handle, celsius))})
    add(lambda: {"power_w": library.nvmlDeviceGetPowerUsage(handle) / 1e3})
    return told
