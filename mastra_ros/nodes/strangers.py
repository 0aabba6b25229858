"""Finds the parameters that ROS ignores without a word: those for nodes that are not here."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import yaml

from ..config import STAGES
from ..config.files import KEY
from ..config.parameter import Loader

EVERYBODY = ("*", "**")


def strangers(arguments: Sequence[str], nodes: Collection[str]) -> list[str]:
    """A line for each parameter of a command line that fits none of these nodes.

    nodes: full names, such as /line1/camera. In a parameter file, which several processes may
    share, other stages are known too. (What a node itself does not know, it refuses at birth.)
    """
    found = []
    given = iter(_ros_arguments(arguments))
    for argument in given:
        if argument in ("-p", "--param"):
            name, _, value = next(given, "").partition(":=")
            pattern, colon, _ = name.rpartition(":")
            if colon and not any(_fits(pattern, node) for node in nodes):
                found.append(f"-p {name}:={value}: ignored, {_nobody(pattern, nodes)}")
        elif argument == "--params-file":
            found += strangers_in_file(next(given, ""), nodes)
    return found


def strangers_in_file(path: str, nodes: Collection[str]) -> list[str]:
    """A line for each block of a parameter file that is meant for these nodes, or for nobody.

    Blocks of other stages, and of the same nodes in other namespaces, are for other processes;
    unless nothing in the file fits a node that it names.
    """
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), Loader)  # noqa: S506 - safe
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return []  # ROS itself says so
    patterns = list(_patterns(content, ""))
    own = {_last(node): node for node in nodes}
    found = []
    for pattern in patterns:
        last = _last(pattern)
        node = own.get(last)
        missed = node is not None and not any(_fits(other, node) for other in patterns)
        if missed or not (node or last in STAGES or last in EVERYBODY):
            found.append(f"{path}: {pattern.lstrip('/')}: ignored, {_nobody(pattern, nodes)}")
    return found


def _nobody(pattern: str, nodes: Collection[str]) -> str:
    return f"there is no node {pattern.lstrip('/')!r} here, only {', '.join(nodes)}"


def _fits(pattern: str, node: str) -> bool:
    """Whether a pattern means the node of this full name: * is one word, ** any number of them."""
    words = [word for word in pattern.split("/") if word]
    expressions = {"*": "/[^/]+", "**": "(/[^/]+)*"}
    regex = "".join(expressions.get(word, "/" + re.escape(word)) for word in words)
    return re.fullmatch(regex, node) is not None


def _last(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def _patterns(content: object, prefix: str) -> Iterator[str]:
    """The node patterns of a parameter file."""
    if not isinstance(content, dict):
        return
    for name, inner in content.items():
        if name == KEY:
            yield prefix
        else:
            yield from _patterns(inner, f"{prefix}/{str(name).strip('/')}")


def _ros_arguments(arguments: Sequence[str]) -> Iterator[str]:
    """What stands between `--ros-args` and `--` or the end, as often as it does."""
    inside = False
    for argument in arguments:
        if argument == "--ros-args":
            inside = True
        elif argument == "--":
            inside = False
        elif inside:
            yield argument
