"""Nobody on DDS can end a node: not by messages, not by the services that every node has."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    ListParameters,
    SetParameters,
    SetParametersAtomically,
)
from rclpy.qos import QoSProfile

from mastra_ros import msg
from mastra_ros.errors import MessageError
from mastra_ros.nodes.compression import CompressionNode
from mastra_ros.nodes.inference import InferenceNode
from mastra_ros.nodes.lifecycle import StageNode
from mastra_ros.nodes.scheduling import SchedulingNode

RELIABLE = QoSProfile(depth=50)


def publish(ros: Any, wait_until: Callable[..., None], topic: str, *messages: Any) -> None:
    node = ros.node("stranger")
    publisher = node.create_publisher(type(messages[0]), topic, RELIABLE)
    wait_until(lambda: publisher.get_subscription_count() > 0, f"a listener to {topic}")
    for message in messages:
        publisher.publish(message)


def ask(ros: Any, wait_until: Callable[..., None], kind: Any, name: str, request: Any) -> Any:
    client = ros.node("caller").create_client(kind, name)
    wait_until(client.service_is_ready, f"the service {name}")
    answer = client.call_async(request)
    wait_until(answer.done, f"an answer of {name}")
    return answer.result()


def test_a_scheduler_goes_on_whatever_is_said_of_the_link(
    ros: Any, wait_until: Callable[..., None]
) -> None:
    """An infinite silence raised an OverflowError in the executor."""
    node = ros.add(SchedulingNode(**ros.options))
    assert node.autostart()
    hostile = [
        msg.LinkState(connected=True, rtt_ms=value, silence_ms=value, loss=0.0)
        for value in (math.inf, -math.inf, 3e38)
    ]
    publish(ros, wait_until, "link", *hostile, msg.LinkState(connected=True, loss=math.nan))
    heard: list[Any] = []
    ros.node("listener").create_subscription(msg.Decision, "decision", heard.append, RELIABLE)
    publish(ros, wait_until, "entered", msg.FrameKey())
    wait_until(lambda: heard, "a decision after all that")
    node.close()


@pytest.mark.parametrize("deadline_ms", [math.nan, math.inf, -math.inf, -1.0, 3e38])
@pytest.mark.parametrize("make", [CompressionNode, InferenceNode])
def test_a_decision_with_a_deadline_that_is_none_is_skipped_and_said(
    make: type[StageNode], deadline_ms: float, ros: Any, wait_until: Callable[..., None]
) -> None:
    """Its deadline went on raw: to the bridge, which refused the packet, and into clocks."""
    node = ros.add(make(**ros.options))
    assert node.autostart()
    for route in ("local", "cloud", "split"):
        bad = msg.Decision(route=route, id="a", deadline_ms=deadline_ms)
        with pytest.raises(MessageError, match="decision: expected deadline_ms 0 to"):
            node._on_decision(bad)
    publish(ros, wait_until, "decision", msg.Decision(route="cloud", deadline_ms=deadline_ms))
    wait_until(lambda: node._intakes["decision"].refused, "word of it")
    assert not node._faults
    node.close()


def test_a_timer_goes_on_after_a_fault_and_says_it(
    ros: Any, wait_until: Callable[..., None]
) -> None:
    calls = []

    class Faulty(StageNode):
        stage = "compression"

        def start(self) -> None:
            self.every(0.01, self.fail)

        def fail(self) -> None:
            calls.append(1)
            raise TypeError("no such thing")

    node = ros.add(Faulty(**ros.options))
    assert node.autostart()
    wait_until(lambda: len(calls) > 3, "more calls after the first fault")
    assert node._faults == {"fail": "fail: TypeError: no such thing"}
    node.close()


def test_timers_do_not_follow_a_clock_that_stands_still(
    ros: Any, wait_until: Callable[..., None]
) -> None:
    """With use_sim_time and no /clock no deadline passed, and frames stayed without result."""
    from rclpy.parameter import Parameter as Override

    calls = []

    class Timed(StageNode):
        stage = "compression"

        def start(self) -> None:
            self.every(0.01, lambda: calls.append(1))

    node = ros.add(Timed(parameter_overrides=[Override("use_sim_time", value=True)], **ros.options))
    assert node.autostart()
    wait_until(lambda: len(calls) > 3, "the timer, without any /clock")
    node.close()


REQUESTS = [
    (SetParameters, "set_parameters", 99),
    (SetParameters, "set_parameters", 255),
    (SetParametersAtomically, "set_parameters_atomically", 99),
]


@pytest.mark.parametrize(("kind", "name", "type_"), REQUESTS)
def test_a_parameter_of_an_unknown_type_is_refused(
    ros: Any, wait_until: Callable[..., None], kind: Any, name: str, type_: int
) -> None:
    node = ros.add(CompressionNode(**ros.options))
    assert node.autostart()
    value = ParameterValue(type=type_)
    request = kind.Request(parameters=[Parameter(name="quality", value=value)])
    answer = ask(ros, wait_until, kind, f"compression/{name}", request)
    result = answer.results[0] if hasattr(answer, "results") else answer.result
    assert not result.successful
    assert "not a valid" in result.reason
    good = ParameterValue(type=2, integer_value=70)
    request = SetParameters.Request(parameters=[Parameter(name="quality", value=good)])
    answer = ask(ros, wait_until, SetParameters, "compression/set_parameters", request)
    assert answer.results[0].successful
    assert node.config.quality == 70
    node.close()


def test_no_request_to_the_services_of_a_node_ends_it(
    ros: Any, wait_until: Callable[..., None]
) -> None:
    node = ros.add(CompressionNode(**ros.options))
    assert node.autostart()
    unknown = ChangeState.Request()
    unknown.transition.id = 99
    requests = [
        (ChangeState, "change_state", ChangeState.Request()),
        (ChangeState, "change_state", unknown),
        (GetParameters, "get_parameters", GetParameters.Request(names=["\u0000", ""] * 50)),
        (DescribeParameters, "describe_parameters", DescribeParameters.Request(names=["x"])),
        (ListParameters, "list_parameters", ListParameters.Request(prefixes=["."], depth=2**63)),
    ]
    for kind, name, request in requests:
        assert ask(ros, wait_until, kind, f"compression/{name}", request) is not None
    assert node.get_parameter("quality").value == 0
    node.close()


def test_who_watches_a_run_goes_on_whatever_is_published(
    ros: Any, wait_until: Callable[..., None]
) -> None:
    """An infinite silence of the link, from anybody, ended `mastra run`."""
    from mastra_ros.cli.report import RunReport
    from mastra_ros.nodes.run.monitor import MonitorNode

    report = RunReport()
    ros.add(MonitorNode(report, **ros.options))
    publish(ros, wait_until, "link", msg.LinkState(silence_ms=math.inf))
    publish(ros, wait_until, "result", msg.InferenceResult(origin="nowhere"))
    bad = msg.Detection(x1=math.nan, score=2.0, label="a")
    publish(ros, wait_until, "late_result", msg.InferenceResult(detections=[bad], labels=["b"]))
    publish(ros, wait_until, "link", msg.LinkState(connected=True, session=7))
    wait_until(lambda: report.link is not None and report.link.connected, "a state after all that")
    assert ros._thread.is_alive()
