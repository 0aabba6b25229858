"""How a parameter is declared as a dataclass field, read back and checked."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_type_hints

import yaml

from ..errors import ConfigError
from ..redaction import shown

T = TypeVar("T")


class Loader(yaml.SafeLoader):
    """Reads 1e3 as a number, as ROS and YAML 1.2 do."""


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789")
)


@dataclass(frozen=True)
class Parameter:
    """What is known of one parameter besides its default."""

    name: str
    type: type
    default: Any
    doc: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False

    @property
    def range_text(self) -> str:
        """The values allowed, for messages and tables."""
        if self.choices:
            return ", ".join(self.choices)
        if self.minimum is None and self.maximum is None:
            return ""
        low = "" if self.minimum is None else f"{self.minimum:g}"
        high = "" if self.maximum is None else f"{self.maximum:g}"
        return f"{low} to {high}" if low and high else f">= {low}" if low else f"<= {high}"

    def check(self, value: Any) -> Any:
        """Return `value` as this parameter's type, or raise ConfigError naming what is allowed."""
        if self.type is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if self.type is tuple and isinstance(value, (list, tuple)):
            value = tuple(value)
            if not all(isinstance(item, str) for item in value):
                raise ConfigError(f"{self.name}: expected a list of strings, got {shown(value)}")
        if value is False and "off" in self.choices:  # so YAML reads the word off
            value = "off"
        if type(value) is not self.type:
            raise ConfigError(
                f"{self.name}: expected {self.type.__name__}, "
                f"got {type(value).__name__} {shown(value)}"
            )
        _check_text(self.name, value)
        if self.choices and value not in self.choices:
            raise ConfigError(f"{self.name}: expected one of {self.range_text}, got {shown(value)}")
        if isinstance(value, (int, float)):
            low = -math.inf if self.minimum is None else self.minimum
            high = math.inf if self.maximum is None else self.maximum
            if not low <= value <= high:
                unit = f" {self.unit}" if self.unit else ""
                raise ConfigError(
                    f"{self.name}: expected {self.range_text}{unit}, got {shown(value)}"
                )
        return value


def _check_text(name: str, value: Any) -> None:
    """ConfigError for a text that neither ROS nor a file could carry."""
    for text in value if isinstance(value, tuple) else (value,):
        if isinstance(text, str) and ("\0" in text or any(0xD800 <= ord(c) < 0xE000 for c in text)):
            raise ConfigError(
                f"{name}: expected text in UTF-8 without zero bytes, got {shown(text)}"
            )


def parse_value(parameter: Parameter | None, text: str) -> Any:
    """The value that a text such as the one after --set stage.parameter= stands for, unchecked.

    It is YAML, except for a parameter that is a string. Raises yaml.YAMLError.
    """
    if parameter is not None and parameter.type is str:
        return text
    return yaml.load(text, Loader)  # noqa: S506 - derived from SafeLoader


def parameter(
    default: Any,
    doc: str,
    *,
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    live: bool = False,
) -> Any:
    """Declare one parameter as a dataclass field."""
    return field(
        default=default,
        metadata={
            "doc": doc,
            "unit": unit,
            "minimum": minimum,
            "maximum": maximum,
            "choices": choices,
            "live": live,
        },
    )


def parameters_of(config: type) -> dict[str, Parameter]:
    """The parameters of a config class, by name, in the order of declaration."""
    hints = get_type_hints(config)
    return {
        f.name: Parameter(
            f.name,
            tuple if getattr(hints[f.name], "__origin__", None) is tuple else hints[f.name],
            f.default,
            **f.metadata,
        )
        for f in dataclasses.fields(config)
    }


def build(config: type[T], values: Mapping[str, Any]) -> T:
    """Make a config from plain values; all the problems are named in one ConfigError."""
    known = parameters_of(config)
    problems = [
        f"{name}: unknown parameter, known are {', '.join(known)}"
        for name in values
        if name not in known
    ]
    checked = {}
    for name, value in values.items():
        if name in known:
            try:
                checked[name] = known[name].check(value)
            except ConfigError as error:
                problems.append(str(error))
    if problems:
        raise ConfigError("; ".join(problems))
    return config(**checked)


@dataclass(frozen=True)
class NodeConfig:
    """What every node has."""

    autostart: bool = parameter(True, "configure and activate the node when it starts")
    silence_warning_s: float = parameter(
        5.0, "warn after hearing nothing for so long", unit="s", minimum=0.1, maximum=3600.0
    )
