"""Microcontrollers and what they hold, each number with its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

KIB = 1024


@dataclass(frozen=True)
class Target:
    """A microcontroller.

    ram_bytes is the largest piece in one, because the arena of TFLM is one array. cycles_per_mac
    are by operator; "" is for all others. runtime_bytes is the flash of the runtime's own code.
    """

    part: str
    core: str
    clock_hz: float
    flash_bytes: int
    ram_bytes: int
    ram_total_bytes: int
    runtime_bytes: int
    cycles_per_mac: Mapping[str, float]
    sources: tuple[str, ...]


_ZOO = (
    "STM32 model zoo, image_classification/mobilenetv2 (STM32Cube.AI 10.0.0): MobileNetV2 0.35 "
    "128x128 takes 116.13 ms at 400 MHz on the STM32H747 for 20 million MAC, 2.3 cycles a MAC; "
    "code 108 KiB"
)
_ZOO_CYCLES = {"": 2.3}
_ESP = (
    "Espressif ESP32-S3 datasheet: 240 MHz, 512 KB SRAM; about 320 KB are left to data "
    "beside caches and the system; module with 8 MB flash"
)
_ESP_NN = (
    "espressif/esp-nn README: 1x1 convolution 461,398 ticks for 409,600 MAC, 3x3 depthwise "
    "191,931 for 36,864, fully connected 4,439 for 795"
)

TARGETS: Mapping[str, Target] = {
    "stm32h7": Target(
        part="STM32H743ZI",
        core="Cortex-M7",
        clock_hz=480e6,
        flash_bytes=2048 * KIB,
        ram_bytes=512 * KIB,
        ram_total_bytes=1024 * KIB,
        runtime_bytes=108 * KIB,
        cycles_per_mac=_ZOO_CYCLES,
        sources=(
            "ST DS12110: 480 MHz, 2 MB flash, 1 MB RAM, of which 512 KB AXI SRAM in one piece",
            _ZOO,
        ),
    ),
    "stm32h747": Target(
        part="STM32H747XI",
        core="Cortex-M7 (with a Cortex-M4)",
        clock_hz=400e6,
        flash_bytes=2048 * KIB,
        ram_bytes=512 * KIB,
        ram_total_bytes=1024 * KIB,
        runtime_bytes=108 * KIB,
        cycles_per_mac=_ZOO_CYCLES,
        sources=("ST DS12930: 2 MB flash, 1 MB RAM, of which 512 KB AXI SRAM in one piece", _ZOO),
    ),
    "esp32s3": Target(
        part="ESP32-S3-WROOM-1-N8",
        core="Xtensa LX7, one of two",
        clock_hz=240e6,
        flash_bytes=8192 * KIB,
        ram_bytes=320 * KIB,
        ram_total_bytes=512 * KIB,
        runtime_bytes=108 * KIB,
        cycles_per_mac={
            "CONV_2D": 1.13,
            "DEPTHWISE_CONV_2D": 5.2,
            "FULLY_CONNECTED": 5.6,
            "": 5.2,
        },
        sources=(
            _ESP,
            _ESP_NN,
            "code: taken as on the STM32H7",
        ),
    ),
}
"""Targets by the name that `mastra model fit --target` takes."""
