"""Declares the parameters of a stage at its node, and checks what is set later.

Type, default, unit, bounds and text come from the class in `config` alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter
from rclpy.qos_overriding_options import QoSOverridingOptions

from ..config import NodeConfig, Parameter, build, parameters_of
from ..config.files import of_rclpy
from ..config.pictures import SHARED
from ..errors import ConfigError

C = TypeVar("C", bound=NodeConfig)


def declare(node: Node, config_class: type[C]) -> C:
    """Declare every parameter of a config class at a node and return what was given for them.

    Raises one ConfigError naming all that is unknown, of a wrong type or out of range in the
    parameter file and the command line. Nothing is declared then.
    """
    known = parameters_of(config_class)
    # rclpy ignores what nobody declares, and has no public way to ask what was given.
    given = {
        name: _given(parameter, known.get(name))
        for name, parameter in node._parameter_overrides.items()
        if not of_rclpy(name) and (name in known or name not in SHARED)
    }
    try:
        config = build(config_class, given)
    except ConfigError as error:
        raise ConfigError(f"{node.get_name()}: {error}") from error
    for name, parameter in known.items():
        value = getattr(config, name)
        node.declare_parameter(
            name,
            list(value) if parameter.type is tuple else value,
            descriptor(parameter),
            ignore_override=True,
        )
    return config


def descriptor(parameter: Parameter) -> ParameterDescriptor:
    """What tools show of a parameter: text with unit, range, and when it may change."""
    low, high = parameter.minimum, parameter.maximum
    ranged = low is not None and high is not None
    constraints = [] if ranged or not parameter.range_text else [parameter.range_text]
    if not parameter.live:
        constraints.append("changes only while the node is unconfigured")
    described = ParameterDescriptor(
        name=parameter.name,
        description=parameter.doc + (f" [{parameter.unit}]" if parameter.unit else ""),
        additional_constraints="; ".join(constraints),
        dynamic_typing=parameter.type is tuple,  # an empty list has no type for rclpy
    )
    if low is not None and high is not None:  # ROS knows no range open at one end
        if parameter.type is int:
            described.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
        else:
            described.floating_point_range = [
                FloatingPointRange(from_value=float(low), to_value=float(high))
            ]
    return described


def on_set(
    node: Node, config_class: type[C], apply: Callable[[C], None]
) -> Callable[[Sequence[RosParameter]], SetParametersResult]:
    """The callback for `add_on_set_parameters_callback`: check, then `apply` the new config.

    Refused with a reason: a wrong type, a value out of its range, and, unless the node is
    unconfigured, every parameter that is not declared as live. All or nothing.
    """
    known = parameters_of(config_class)

    def callback(parameters: Sequence[RosParameter]) -> SetParametersResult:
        changes = {p.name: p.value for p in parameters if p.name in known}
        if not changes:
            return SetParametersResult(successful=True)
        now = {name: _plain(node.get_parameter(name).value) for name in known}
        state = state_of(node)
        fixed = [
            name
            for name, value in changes.items()
            if not known[name].live and _plain(value) != now[name]
        ]
        if fixed and state != "unconfigured":
            return SetParametersResult(
                successful=False,
                reason=f"{', '.join(fixed)}: cannot change while the node is {state}; "
                "deactivate it and clean it up first",
            )
        try:
            config = build(config_class, {**now, **changes})
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        apply(config)
        return SetParametersResult(successful=True)

    return callback


def state_of(node: Node) -> str:
    """The lifecycle state of a node in words; `unconfigured` for a plain node."""
    machine = getattr(node, "_state_machine", None)  # rclpy offers no public way
    return "unconfigured" if machine is None else str(machine.current_state[1])


def qos_overridable() -> QoSOverridingOptions:
    """Lets history, depth and reliability be overridden by parameters `qos_overrides.…`."""
    return QoSOverridingOptions.with_default_policies()


def as_ros_parameters(config: NodeConfig) -> list[RosParameter]:
    """A config as parameter overrides, for nodes made in this process."""
    return [
        RosParameter(name, value=list(value) if isinstance(value, tuple) else value)
        for name, value in dataclasses.asdict(config).items()
    ]


def _given(given: RosParameter, known: Parameter | None) -> Any:
    """The value given; an empty list in a parameter file reaches rclpy as nothing at all."""
    return [] if given.value is None and known and known.type is tuple else given.value


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, tuple)) else value
