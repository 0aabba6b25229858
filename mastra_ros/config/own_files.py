"""Parameter files of what is no node: names and values, without `ros__parameters`.

    spacing_mm: 0.5
    archive: ARCHIVE@pacs.example.org:104

Each is read whole, and every fault in it is named at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from ..errors import ConfigError
from .casting import CastingConfig
from .parameter import Loader, build, parameters_of
from .volume import VolumeConfig

T = TypeVar("T")


@dataclass(frozen=True)
class OwnFile:
    """config: what the file may say; where: who reads it, for the docs."""

    config: type
    where: str


OWN_FILES = {
    "volume": OwnFile(
        VolumeConfig,
        "In the file that the environment variable `MASTRA_VOLUME` of the gateway names "
        "([volumes](ultrasound_volume.md)).",
    ),
    "casting": OwnFile(
        CastingConfig,
        "In the file of `mastra casting --params` "
        "([castings](ultrasound_volume.md#castings-hidden-voids-in-a-stack-of-ct-slices)).",
    ),
}


def read_own_file(config: type[T], path: str | Path) -> T:
    """The config that a file says. ConfigError names the file and all faults."""
    try:
        told = yaml.load(Path(path).read_text(encoding="utf-8"), Loader)  # noqa: S506 - safe
        if told is None:  # nothing but comments
            told = {}
        if not isinstance(told, dict):
            raise ConfigError(f"expected parameters and values, got {type(told).__name__}")
        return build(config, {str(name): value for name, value in told.items()})
    except (OSError, UnicodeDecodeError, ValueError, yaml.YAMLError, ConfigError) as error:
        text = " ".join(str(error).split())
        raise ConfigError(f"{path}: {text:.300}") from None


def own_yaml(config: Any) -> str:
    """Such a file with every parameter, its value and what it means."""
    lines = []
    for one in parameters_of(type(config)).values():
        notes = " ".join(filter(None, [one.doc, one.unit and f"[{one.unit}]"]))
        allowed = f"; {one.range_text}" if one.range_text else ""
        text = yaml.safe_dump(getattr(config, one.name)).removesuffix("...\n").strip()
        lines += [f"# {notes}{allowed}", f"{one.name}: {text}"]
    return "\n".join(lines) + "\n"
