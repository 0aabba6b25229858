"""ROS 2 parameter files, read without ROS, and the table of all parameters for the docs.

    /**/camera:            # the node in any namespace; also camera, /line1/camera, /**
      ros__parameters:
        rate_hz: 15.0

As in ROS, every block whose pattern fits a node counts, and the later one wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from ..errors import ConfigError
from ..redaction import HIDDEN, redact, redact_uri, shown
from .own_files import OWN_FILES
from .parameter import Loader, NodeConfig, Parameter, build, parameters_of, parse_value
from .pictures import SHARED, HeardPictureConfig
from .stages import STAGES

Values = dict[str, dict[str, Any]]
"""Values by stage and parameter."""

KEY = "ros__parameters"
ALONE = ("ultrasound",)
"""Hears the pictures of a probe, which no other stage does."""
PIPELINES = ("pipeline", "traffic")
"""Of these one runs, and the parameters of the others are nobody's."""
_OF_RCLPY = ("use_sim_time", "start_type_description_service")
_GROUPS_OF_RCLPY = ("qos_overrides.",)
_NAMES = {stage: parameters_of(config) for stage, config in STAGES.items()}
_ANY = {
    "bool": "true, false",
    "int": "any",
    "float": "any",
    "str": "text",
    "tuple": "list of text",
}
"""What is allowed where neither bounds nor choices are declared, by type."""


def of_rclpy(name: str) -> bool:
    """Whether rclpy itself declares this parameter at every node."""
    return name in _OF_RCLPY or name.startswith(_GROUPS_OF_RCLPY)


def load_parameters(path: str | Path) -> Values:
    """What a parameter file sets, by stage. Raises ConfigError naming the file and all faults."""
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), Loader)  # noqa: S506 - safe
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {_yaml_fault(error)}") from None
    values: Values = {}
    problems: list[str] = []
    for node, given in _blocks(content, "", problems):
        stages = [stage for stage in STAGES if _fits(node, stage)]
        if not stages:
            problems.append(f"{node}: unknown stage, known are {', '.join(STAGES)}")
        for stage in stages:
            fitting = {n: v for n, v in given.items() if n not in SHARED or n in _NAMES[stage]}
            values.setdefault(stage, {}).update(fitting if len(stages) > 1 else given)
    try:
        check(values)
    except ConfigError as error:
        problems.append(str(error))
    if problems:
        raise ConfigError(f"{path}: {'; '.join(problems)}")
    return values


def apply_sets(values: Mapping[str, Mapping[str, Any]], sets: Iterable[str]) -> Values:
    """The values changed by texts such as `scheduling.deadline_ms=200`.

    The text after = is YAML, except for a parameter that is a string. Raises one ConfigError
    naming all that is wrong, in the texts and in the values.
    """
    changed: Values = {stage: dict(given) for stage, given in values.items()}
    problems = []
    for text in sets:
        name, equals, value = text.partition("=")
        stage, dot, parameter = name.strip().partition(".")
        if not (equals and dot and stage and parameter):
            problems.append(f"expected stage.parameter=value, got {redact(text)!r}")
        elif stage not in STAGES:
            problems.append(f"{stage}: unknown stage, known are {', '.join(STAGES)}")
        else:
            try:
                parsed = parse_value(parameters_of(STAGES[stage]).get(parameter), value)
            except yaml.YAMLError:
                problems.append(f"{name}: expected a YAML value, got {shown(value)}")
            else:
                changed.setdefault(stage, {})[parameter] = parsed
    try:
        check(changed)
    except ConfigError as error:
        problems.append(str(error))
    if problems:
        raise ConfigError("; ".join(problems))
    return changed


def check(values: Mapping[str, Mapping[str, Any]]) -> dict[str, NodeConfig]:
    """The configs of all the stages. Raises one ConfigError naming all that is wrong."""
    configs = {}
    problems = [
        f"{stage}: unknown stage, known are {', '.join(STAGES)}"
        for stage in values
        if stage not in STAGES
    ]
    for stage, config_class in STAGES.items():
        given = {n: v for n, v in values.get(stage, {}).items() if not of_rclpy(n)}
        try:
            configs[stage] = build(config_class, given)
        except ConfigError as error:
            problems += [f"{stage}.{problem}" for problem in str(error).split("; ")]
    problems += _unlike(_hearing(configs, values))
    if problems:
        raise ConfigError("; ".join(problems))
    return configs


def _hearing(
    configs: Mapping[str, NodeConfig], values: Mapping[str, Mapping[str, Any]]
) -> dict[str, NodeConfig]:
    """The stages that hear the pictures of the camera: of several pipelines the one that is named.

    Where none is named, it is the first.
    """
    absent = {stage for stage in PIPELINES if stage not in values}
    if len(absent) == len(PIPELINES):
        absent.discard(PIPELINES[0])
    return {
        stage: config
        for stage, config in configs.items()
        if isinstance(config, HeardPictureConfig) and stage not in (*ALONE, *absent)
    }


def _unlike(hearing: Mapping[str, NodeConfig]) -> Iterator[str]:
    """What the stages that hear the same pictures would take them for, where that differs."""
    for name in SHARED:
        found = {stage: getattr(config, name) for stage, config in hearing.items()}
        if len(set(found.values())) > 1:
            given = ", ".join(f"{stage} has {value}" for stage, value in found.items())
            yield f"{name}: {given}; they hear the same pictures, so set it below /** for all"


def to_yaml(values: Mapping[str, Mapping[str, Any]]) -> str:
    """A parameter file with every parameter, its value in `values` or its default, explained.

    What is secret in an address is not shown, and a comment says so.
    """
    lines = []
    for stage, config in check(values).items():
        lines += [f"/**/{stage}:", f"  {KEY}:"]
        for p in parameters_of(type(config)).values():
            notes = " ".join(filter(None, [p.doc, p.unit and f"[{p.unit}]"]))
            allowed = f"; {p.range_text}" if p.range_text else ""
            value = getattr(config, p.name)
            safe = redact_uri(value) if isinstance(value, str) and "://" in value else value
            if safe != value:
                allowed += f"; what is secret is shown as {HIDDEN}"
            lines += [
                f"    # {notes}{allowed}{'; live' if p.live else ''}",
                f"    {p.name}: {_yaml_text(safe)}",
            ]
        lines += [
            f"    {n}: {_yaml_text(v)}" for n, v in values.get(stage, {}).items() if of_rclpy(n)
        ]
        lines.append("")
    return "\n".join(lines)


def to_markdown() -> str:
    """The tables of every parameter of every stage and of every file of its own, for the docs."""
    common = parameters_of(NodeConfig)
    parts = [
        "# Parameters",
        "",
        "Made by `mastra params --markdown` from `mastra_ros/config/`, where each is declared.",
        "Those marked *live* may be set while the node is active; the others only while it is",
        "unconfigured.",
        "",
        "## Every node",
        "",
        *_table(common.values()),
    ]
    for stage, config_class in STAGES.items():
        own = [p for name, p in parameters_of(config_class).items() if name not in common]
        parts += ["", f"## {stage}", "", *_table(own)]
    for name, file in OWN_FILES.items():
        every = parameters_of(file.config).values()
        parts += ["", f"## {name} (a file of its own)", "", file.where, "", *_table(every)]
    return "\n".join(parts) + "\n"


def _table(parameters: Iterable[Parameter]) -> Iterator[str]:
    yield "| parameter | default | unit | allowed | live | meaning |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for p in parameters:
        allowed = p.range_text or _ANY[p.type.__name__]
        cells = (f"`{p.name}`", f"`{_yaml_text(p.default)}`", p.unit, allowed)
        yield f"| {' | '.join(cells)} | {'live' if p.live else ''} | {p.doc} |"


def _yaml_text(value: Any) -> str:
    """A value on one line of YAML."""
    plain = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(plain, default_flow_style=True, width=10_000, allow_unicode=True)
    return text.removesuffix("...\n").strip()


def _yaml_fault(error: yaml.YAMLError) -> str:
    """What is wrong and where, without the text around it: that may be an address."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return redact(" ".join(str(error).split()))
    mark = error.problem_mark or error.context_mark
    where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
    return ", ".join(filter(None, [error.context, error.problem])) + where


def _blocks(content: Any, prefix: str, problems: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every node pattern in a file, with its parameters; nested names are joined."""
    if content is None and not prefix:
        return
    if not isinstance(content, dict):
        problems.append(f"{prefix or 'file'}: expected a mapping, got {type(content).__name__}")
        return
    for name, inner in content.items():
        if name == KEY and prefix:
            if isinstance(inner, dict):
                yield prefix, dict(_flat(inner, ""))
            else:
                problems.append(f"{prefix}: expected a mapping below {KEY}, got {shown(inner)}")
        else:
            yield from _blocks(inner, f"{prefix}/{str(name).strip('/')}", problems)


def _flat(values: dict[Any, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _fits(pattern: str, stage: str) -> bool:
    """Whether a node pattern of a file means the node of this stage, in whatever namespace."""
    *_, last = pattern.split("/")
    return last in ("*", "**", stage)
