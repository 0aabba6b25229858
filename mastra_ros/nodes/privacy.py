"""The gate inside a node: its section of the parameters, and what it tells of itself."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from rclpy.node import Node

from ..config import STAGES, PrivacyConfig, build, parameters_of
from ..config.files import of_rclpy
from ..errors import ConfigError
from ..msg import PrivacyState
from ..privacy import Gate, SharedSearches, open_gate
from . import convert
from .lifecycle import LATEST, Health

if TYPE_CHECKING:
    from .lifecycle import StageNode

SECTION = "privacy"
SILENT = (
    "nothing is said of privacy in the parameters: faces and plates are looked for in every frame "
    "that leaves (mode faces_and_plates); where there can be none, say `mode: off` and a `reason` "
    "in the section privacy"
)


_SHARED: WeakValueDictionary[tuple[int, str], SharedSearches] = WeakValueDictionary()
_SHARED_LOCK = threading.Lock()


def shared_of(node: StageNode) -> SharedSearches:
    """What the nodes of this process in one context and namespace share; gone with the last."""
    place = (id(node.context), node.get_namespace())
    with _SHARED_LOCK:
        shared = _SHARED.get(place)
        if shared is None:
            shared = _SHARED[place] = SharedSearches()
        return shared


def given_of(node: StageNode) -> Mapping[str, Any]:
    """What the section `privacy` says. It has no node of its own, so no `ros2 param` reaches it.

    What a parameter file or the command line of ROS gives to a node of that name is meant: a node
    is made under it for a moment, since only a node gets to see its parameters.
    """
    if node.privacy is not None:
        return node.privacy
    options = {
        name: value
        for name, value in node.node_options.items()
        if name in ("context", "namespace", "use_global_arguments")
    }
    asking = Node(
        SECTION,
        cli_args=["--ros-args", "-r", f"__node:={SECTION}"],  # whatever this process is called
        enable_rosout=False,
        start_parameter_services=False,
        **options,
    )
    try:
        known = parameters_of(PrivacyConfig)
        others = {name for config in STAGES.values() for name in parameters_of(config)}
        return {
            name: [] if parameter.value is None and known[name].type is tuple else parameter.value
            for name, parameter in asking._parameter_overrides.items()
            if not of_rclpy(name) and (name in known or name not in others)
        }
    finally:
        asking.destroy_node()


def read_section(node: StageNode) -> PrivacyConfig:
    """The section, checked. Raises ConfigError; says in a line where it is missing."""
    given = given_of(node)
    try:
        config = build(PrivacyConfig, given)
    except ConfigError as error:
        raise ConfigError(f"{SECTION}: {error}") from error
    if "mode" not in given and node.stage == "compression":
        node.get_logger().warning(f"{SECTION}: {SILENT}")
    return config


def open_node_gate(node: StageNode, *, lazily: bool = False) -> Gate:
    """The gate of a node; one that is shut says so in the log, and holds back what should leave."""
    config = read_section(node)
    gate = open_gate(config, lazily=lazily, shared=shared_of(node))
    if gate.shut:
        node.get_logger().error(f"{SECTION}: no frame leaves this device: {gate.shut}")
    elif gate.mode == "off" and not lazily:
        node.get_logger().info(f"{SECTION}: nothing is hidden: {config.reason}")
    if config.features == "measured" and not lazily and gate.features_refused:
        node.get_logger().error(f"{SECTION}: no features leave: {gate.features_refused}")
    return gate


def counts_of(gate: Gate) -> dict[str, Any]:
    """For the diagnostics."""
    return {
        "privacy_mode": gate.mode,
        "privacy_sent": gate.cleared,
        "privacy_masked": gate.masked,
        "privacy_withheld": gate.withheld,
    }


def health_of(gate: Gate, health: Health) -> Health:
    """The health of a node with that of its gate."""
    level, message, values = health
    if gate.shut and level != "error":
        level, message = "error", f"{SECTION}: {gate.shut}"
    return level, message, {**values, **counts_of(gate)}


class GateNews:
    """Tells on `privacy` how a gate is; from any thread."""

    def __init__(self, node: StageNode, gate: Gate) -> None:
        self._node = node
        self._gate = gate
        self._shut: str | None = None  # as last told
        self._publisher = node.advertise(PrivacyState, "privacy", LATEST)

    def follow(self, gate: Gate) -> None:
        """Tell of another gate from now on."""
        self._gate = gate
        self.tell()

    def tell_change(self) -> None:
        """Tell at once where the gate has shut or opened since last time."""
        shut = self._gate.shut
        if self._shut is None or bool(shut) != bool(self._shut):
            if self._shut is not None:
                text = f"no frame leaves this device: {shut}" if shut else "frames may leave again"
                log = self._node.get_logger()
                (log.error if shut else log.info)(f"{SECTION}: {text}")
            self.tell()

    def tell(self) -> None:
        """Tell how it is."""
        self._shut = self._gate.shut
        self._publisher.publish(convert.privacy_to_ros(self._gate.state, self._node.now_stamp_ns()))
