"""Which finders there are, how each is opened, and the gate with all that its mode needs."""

from __future__ import annotations

from ..config import PrivacyConfig
from ..errors import ConfigError
from .finders import FINDERS, PacedFinders
from .gate import OFF, Gate, Opened
from .objects import TaskFinder
from .region import Finder
from .shared import SharedSearches


def open_gate(
    config: PrivacyConfig,
    *,
    lazily: bool = False,
    stills: bool = False,
    shared: SharedSearches | None = None,
) -> Gate:
    """The gate as configured; one whose finders cannot be opened is shut, and says why.

    lazily: the finders are opened when the first frame comes. stills: for pictures that have
    nothing to do with each other, each of which is searched as a whole. shared: see SharedSearches.
    """
    return Gate(config, open_stills if stills else open_all, lazily=lazily, shared=shared)


def hiding_nothing(reason: str) -> Gate:
    """The gate of the mode off, for pictures of which somebody knows why nothing need be hidden."""
    return Gate(PrivacyConfig(mode=OFF, reason=reason))


def open_all(config: PrivacyConfig) -> Opened:
    """The finders and the task's detector, as far as the mode needs them."""
    stills = open_stills(config)
    return Opened([PacedFinders(stills.finders)] if stills.finders else [], stills.objects)


def open_stills(config: PrivacyConfig) -> Opened:
    """The same, without what rests on the picture before."""
    finders = [] if config.mode == "whole" else open_finders(config)
    return Opened(finders, TaskFinder.open(config) if config.bundle else None)


def open_finders(config: PrivacyConfig) -> list[Finder]:
    """All that the configuration names. Raises ModelError saying which command brings a model."""
    if not config.finders:
        raise ConfigError("finders: expected at least one, got none")
    return [open_finder(name, config) for name in config.finders]


def open_finder(name: str, config: PrivacyConfig) -> Finder:
    """One finder by its name. Raises ModelError, DependencyError or ConfigError."""
    if name not in FINDERS:
        raise ConfigError(f"finders: unknown {name!r}, known are {', '.join(sorted(FINDERS))}")
    return FINDERS[name](config)
