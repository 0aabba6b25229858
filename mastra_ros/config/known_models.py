"""The well-known models of `models/known.yaml`, and where `mastra model get` puts them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ..errors import ConfigError
from ..share import home_path, share_file

REGISTRY = "models/known.yaml"
FOLDER_VARIABLE = "MASTRA_MODELS"
SHA256_DIGITS = 64


@dataclass(frozen=True)
class KnownModel:
    """One entry; ConfigError for what is incomplete. Either `wheel` and `place`, or `url`."""

    name: str
    what: str
    file: str
    sha256: str
    bytes: int
    licence: str
    url: str = ""
    wheel: str = ""  # NAME==VERSION
    place: str = ""  # of the file in the wheel
    bundle: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.sha256) != SHA256_DIGITS or self.bytes <= 0:
            raise ConfigError(f"{REGISTRY}: {self.name}: expected a SHA-256 and a size in bytes")
        if bool(self.wheel) == bool(self.url) or bool(self.wheel) != bool(self.place):
            raise ConfigError(f"{REGISTRY}: {self.name}: expected a wheel and a place, or a url")
        if self.url and not self.url.startswith("https://"):
            raise ConfigError(f"{REGISTRY}: {self.name}: expected https, got {self.url}")

    @property
    def distribution(self) -> str:
        """The wheel's name without its version."""
        return self.wheel.partition("==")[0]


def known_models(path: Path | None = None) -> dict[str, KnownModel]:
    """All entries by name. Raises ConfigError."""
    path = path or share_file(REGISTRY)
    entries = yaml.safe_load(path.read_text("utf-8"))
    try:
        return {name: KnownModel(name, **entry) for name, entry in entries.items()}
    except (TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: not a list of models: {error}") from error


def known_model(name: str) -> KnownModel:
    """The entry of this name; ConfigError with all that there are for any other."""
    models = known_models()
    if name not in models:
        raise ConfigError(f"unknown model {name!r}, known are {', '.join(sorted(models))}")
    return models[name]


def models_folder(given: str | Path = "") -> Path:
    """Where models that were got lie: as given, or $MASTRA_MODELS, or the user's data folder."""
    if given:
        return home_path(given)
    if folder := os.environ.get(FOLDER_VARIABLE):
        return Path(folder)
    data = os.environ.get("XDG_DATA_HOME") or home_path("~/.local/share")
    return Path(data) / "mastra" / "models"
