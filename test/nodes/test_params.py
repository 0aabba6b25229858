"""A node's parameters are those of its config class, with text and ranges, and are checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

pytest.importorskip("rclpy", reason="needs ROS: source env.sh")

import rclpy
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.parameter import Parameter

from mastra_ros.config import (
    STAGES,
    NodeConfig,
    SchedulingConfig,
    parameter,
    parameters_of,
)
from mastra_ros.errors import ConfigError
from mastra_ros.nodes import params


@dataclass(frozen=True)
class Sample(NodeConfig):
    """A parameter of every kind."""

    rate_hz: float = parameter(
        15.0, "frames a second", unit="Hz", minimum=0.0, maximum=1000.0, live=True
    )
    frames: int = parameter(3, "frames kept", minimum=1, maximum=9)
    spare: int = parameter(3, "no upper bound", minimum=0, live=True)
    route: str = parameter("local", "route", choices=("local", "cloud"), live=True)
    hosts: tuple[str, ...] = parameter(("a", "b"), "hosts", live=True)


@pytest.fixture
def make(ros_domain: int) -> Iterator[Callable[..., Node]]:
    """Makes lifecycle nodes with overrides, and destroys them."""
    context = rclpy.Context()
    context.init(domain_id=ros_domain)
    nodes: list[Node] = []

    def made(**overrides: object) -> Node:
        given = [Parameter(name, value=value) for name, value in overrides.items()]
        nodes.append(LifecycleNode("sample", context=context, parameter_overrides=given))
        return nodes[-1]

    yield made
    for node in nodes:
        node.destroy_node()
    context.shutdown()


def listening(node: Node) -> list[Sample]:
    """Declare, and collect the configs that are applied from then on."""
    applied: list[Sample] = []
    params.declare(node, Sample)
    node.add_on_set_parameters_callback(params.on_set(node, Sample, applied.append))
    return applied


def refusal(node: Node, **changes: object) -> str:
    """Why setting is refused; empty when it is not."""
    result = node.set_parameters_atomically([Parameter(n, value=v) for n, v in changes.items()])
    assert result.successful == (not result.reason)
    return result.reason


@pytest.mark.parametrize("stage", list(STAGES))
def test_every_stage_declares_its_defaults(stage: str, make: Callable[..., Node]) -> None:
    node = make()
    assert params.declare(node, STAGES[stage]) == STAGES[stage]()
    for name, known in parameters_of(STAGES[stage]).items():
        value = node.get_parameter(name).value
        assert (tuple(value) if known.type is tuple else value) == known.default
        assert known.doc in node.describe_parameter(name).description


def test_overrides_become_the_config(make: Callable[..., Node]) -> None:
    node = make(rate_hz=7.5, hosts=["c"], frames=9, autostart=False)
    config = params.declare(node, Sample)
    assert config == Sample(rate_hz=7.5, hosts=("c",), frames=9, autostart=False)
    assert node.get_parameter("hosts").value == ["c"]


def test_a_whole_number_is_good_enough_for_a_real_one(make: Callable[..., Node]) -> None:
    node = make(rate_hz=20)
    assert params.declare(node, Sample).rate_hz == 20.0
    assert node.get_parameter("rate_hz").type_ == Parameter.Type.DOUBLE


def test_an_empty_list_can_be_given(make: Callable[..., Node]) -> None:
    node = make(hosts=[])
    assert params.declare(node, Sample).hosts == ()
    assert list(node.get_parameter("hosts").value) == []


def test_what_rclpy_itself_declares_is_no_unknown_parameter(make: Callable[..., Node]) -> None:
    node = make(use_sim_time=True, **{"qos_overrides./image_raw.subscription.depth": 2})
    assert params.declare(node, Sample) == Sample()


def test_all_that_is_wrong_is_said_at_once_and_nothing_declared(make: Callable[..., Node]) -> None:
    node = make(rate_hz=5000.0, frames="three", route="moon", rate=3)
    with pytest.raises(ConfigError) as caught:
        params.declare(node, Sample)
    said = str(caught.value)
    assert said.startswith("sample: ")
    assert "rate: unknown parameter, known are autostart" in said
    assert "rate_hz: expected 0 to 1000 Hz, got 5000.0" in said
    assert "frames: expected int, got str 'three'" in said
    assert "route: expected one of local, cloud, got 'moon'" in said
    assert "\n" not in said
    assert not node.has_parameter("rate_hz")


def test_tools_see_text_unit_and_range(make: Callable[..., Node]) -> None:
    node = make()
    params.declare(node, Sample)
    rate, frames, spare, route = (
        node.describe_parameter(name) for name in ("rate_hz", "frames", "spare", "route")
    )
    assert rate.description == "frames a second [Hz]"
    assert (rate.floating_point_range[0].from_value, rate.floating_point_range[0].to_value) == (
        0.0,
        1000.0,
    )
    assert (frames.integer_range[0].from_value, frames.integer_range[0].to_value) == (1, 9)
    assert "changes only while the node is unconfigured" in frames.additional_constraints
    assert not spare.integer_range
    assert spare.additional_constraints == ">= 0"
    assert route.additional_constraints == "local, cloud"


def test_a_live_parameter_changes_while_active(make: Callable[..., Node]) -> None:
    node = make()
    applied = listening(node)
    node.trigger_configure()
    node.trigger_activate()
    assert refusal(node, rate_hz=30.0, hosts=["x"]) == ""
    assert applied == [Sample(rate_hz=30.0, hosts=("x",))]
    assert refusal(node, route="cloud") == ""
    assert applied[-1] == Sample(rate_hz=30.0, hosts=("x",), route="cloud")


def test_a_bad_value_is_refused_with_its_range(make: Callable[..., Node]) -> None:
    node = make()
    applied = listening(node)
    assert refusal(node, route="moon") == "route: expected one of local, cloud, got 'moon'"
    assert refusal(node, spare=-1) == "spare: expected >= 0, got -1"
    assert "Max: 1000.0" in refusal(node, rate_hz=1e9)
    assert "expected a list of strings" in refusal(node, hosts=[1, 2])
    assert "expected" in refusal(node, rate_hz="fast")
    assert applied == []
    assert node.get_parameter("route").value == "local"


def test_a_fixed_parameter_changes_only_before_the_node_is_configured(
    make: Callable[..., Node],
) -> None:
    node = make()
    applied = listening(node)
    assert refusal(node, frames=4) == ""
    node.trigger_configure()
    assert "frames: cannot change while the node is inactive" in refusal(node, frames=5)
    node.trigger_activate()
    assert refusal(node, frames=5, rate_hz=1.0) == (
        "frames: cannot change while the node is active; deactivate it and clean it up first"
    )
    assert refusal(node, frames=4, rate_hz=2.0) == ""  # the value that it has already
    assert [config.frames for config in applied] == [4, 4]
    node.trigger_deactivate()
    node.trigger_cleanup()
    assert refusal(node, frames=6) == ""


def test_parameters_of_others_pass(make: Callable[..., Node]) -> None:
    node = make()
    applied = listening(node)
    node.declare_parameter("qos_overrides./x.publisher.depth", 3)
    assert refusal(node, use_sim_time=False) == ""
    assert applied == []


def test_a_config_can_be_given_to_a_node_in_this_process(make: Callable[..., Node]) -> None:
    config = SchedulingConfig(policy="fixed", deadline_ms=99.0)
    overrides = {p.name: p.value for p in params.as_ros_parameters(config)}
    assert params.declare(make(**overrides), SchedulingConfig) == config
    empty = Sample(hosts=())
    overrides = {p.name: p.value for p in params.as_ros_parameters(empty)}
    assert params.declare(make(**overrides), Sample) == empty


def test_what_is_said_of_pictures_to_all_nodes_is_passed_over_by_those_without(
    make: Callable[..., Node],
) -> None:
    config = params.declare(make(bit_depth=12, image_transport="raw"), SchedulingConfig)
    assert config == SchedulingConfig()
    taking = params.declare(make(bit_depth=12, image_transport="raw"), STAGES["inference"])
    assert (taking.bit_depth, taking.image_transport) == (12, "raw")
