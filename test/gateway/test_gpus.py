"""GPUs are told of as far as they tell; where there are none there are none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mastra_ros.gateway.gpus import AGAIN_S, KEPT_S, Gpus


class NvmlError(Exception):
    """As the library's."""


class Library:
    """NVML with two GPUs: one tells all, the other neither load nor power nor memory."""

    NVMLError = NvmlError
    NVML_TEMPERATURE_GPU = 0

    def __init__(self) -> None:
        self.reads = 0
        self.fault = False

    def nvmlInit(self) -> None:
        if self.fault:
            raise NvmlError("driver not loaded")

    def nvmlDeviceGetCount(self) -> int:
        self.reads += 1
        return 2

    def nvmlDeviceGetHandleByIndex(self, place: int) -> int:
        return place

    def nvmlDeviceGetName(self, handle: int) -> Any:
        return "H100" if handle == 0 else b"T4"

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:
        return SimpleNamespace(gpu=_or_not(handle, 40))

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:
        return SimpleNamespace(used=_or_not(handle, 10), total=80)

    def nvmlDeviceGetTemperature(self, handle: int, _: int) -> int:
        return 51

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        return _or_not(handle, 71_500)


def _or_not(handle: int, value: int) -> int:
    if handle:
        raise NvmlError("not supported")
    return value


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_each_tells_what_it_has() -> None:
    told = Gpus(Library()).read()
    assert told[0] == {
        "name": "H100",
        "load": 0.4,
        "memory_used_bytes": 10,
        "memory_bytes": 80,
        "temperature_c": 51.0,
        "power_w": 71.5,
    }
    assert told[1] == {"name": "T4", "temperature_c": 51.0}


def test_many_who_ask_read_it_once_a_second() -> None:
    clock, library = Clock(), Library()
    gpus = Gpus(library, clock)
    for _ in range(5):
        gpus.read()
    assert library.reads == 1
    clock.now_s += KEPT_S
    gpus.read()
    assert library.reads == 2


def test_a_driver_that_comes_later_is_found() -> None:
    clock, library = Clock(), Library()
    library.fault = True
    gpus = Gpus(library, clock)
    assert gpus.read() == []
    library.fault = False
    assert gpus.read() == []
    clock.now_s += AGAIN_S
    assert len(gpus.read()) == 2


def test_where_the_library_is_missing_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pynvml", None)
    assert Gpus().read() == []
