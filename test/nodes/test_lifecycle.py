"""What every node of a stage does: transitions, parameters, diagnostics, the watch on silence."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.srv import SetParameters
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from mastra_ros.errors import ConfigError, ModelError
from mastra_ros.msg import InferenceResult, InspectionVerdict
from mastra_ros.nodes import convert
from mastra_ros.nodes.frame_bus import FrameBus
from mastra_ros.nodes.frames import FramePublisher, listen_to_frames
from mastra_ros.nodes.lifecycle import StageNode
from mastra_ros.nodes.pipeline import PipelineNode
from mastra_ros.types import Detections, Frame, FrameKey, Result, Route


class Probe(StageNode):
    """A node that notes what happens to it."""

    stage = "inference"

    def __init__(self, refuse: bool = False, **options: Any) -> None:
        self.calls: list[str] = []
        self.frames: list[Frame] = []
        self.refuse = refuse
        super().__init__(**options)

    def set_up(self) -> None:
        self.calls.append("set_up")
        if self.refuse:
            raise ModelError("model.tflite: not a model")
        self.images = FramePublisher(self, "image_raw")

    def start(self) -> None:
        self.calls.append("start")
        self.listen(Header, "frame", lambda _: self.calls.append("heard"), watch=True)
        listen_to_frames(self, "image_raw", self.frames.append)

    def halt(self) -> None:
        self.calls.append("halt")

    def reconfigured(self) -> None:
        self.calls.append(f"threshold {self.config.score_threshold:g}")


def probe(ros: Any, *, refuse: bool = False, bus: FrameBus | None = None, **parameters: Any) -> Any:
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    return ros.add(Probe(refuse, bus=bus, parameter_overrides=overrides, **ros.options))


def picture(stamp_ns: int = 1) -> Frame:
    return Frame(FrameKey("main", stamp_ns), np.full((48, 64), 7, np.uint8), "mono8")


def test_autostart_configures_and_activates(ros: Any) -> None:
    node = probe(ros)
    assert node.autostart()
    assert node.calls == ["set_up", "start"]


def test_without_autostart_the_node_waits_for_its_transitions(ros: Any) -> None:
    node = probe(ros, autostart=False)
    assert node.autostart()
    assert node.calls == []
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    assert node.calls == ["set_up", "start", "halt"]


def test_an_error_refuses_the_transition_and_names_its_reason(ros: Any) -> None:
    node = probe(ros, refuse=True)
    assert not node.autostart()
    assert node.problem == "model.tflite: not a model"
    node.refuse = False
    assert node.autostart(), "after the mistake is mended, the node starts"


def test_deactivation_destroys_what_activation_made(ros: Any) -> None:
    node = probe(ros)
    node.autostart()
    listening = len(list(node.subscriptions))
    node.trigger_deactivate()
    assert len(list(node.subscriptions)) == listening - 2
    node.trigger_activate()
    assert len(list(node.subscriptions)) == listening


def test_unknown_parameters_are_refused_at_birth_with_the_known_ones(ros: Any) -> None:
    with pytest.raises(
        ConfigError, match=r"sore_threshold: unknown parameter, known are .*score_t"
    ):
        probe(ros, sore_threshold=0.5)


def test_a_live_parameter_takes_effect_while_running_and_a_bad_value_is_refused(ros: Any) -> None:
    node = probe(ros)
    node.autostart()
    assert node.set_parameters([Parameter("score_threshold", value=0.7)])[0].successful
    assert node.calls[-1] == "threshold 0.7"
    refused = node.set_parameters([Parameter("score_threshold", value=1.5)])[0]
    assert not refused.successful
    assert node.config.score_threshold == 0.7
    fixed = node.set_parameters([Parameter("threads", value=2)])[0]
    assert not fixed.successful
    assert "active" in fixed.reason


def test_a_parameter_that_is_not_there_is_named_to_who_sets_it(
    ros: Any, wait_until: Callable[..., None]
) -> None:
    probe(ros)
    client = ros.node("around").create_client(SetParameters, "inference/set_parameters")
    wait_until(client.service_is_ready, "the service")
    wrong = Parameter("thrads", value=2).to_parameter_msg()
    right = Parameter("score_threshold", value=0.7).to_parameter_msg()
    answer = client.call_async(SetParameters.Request(parameters=[right, wrong]))
    wait_until(answer.done, "the answer")
    first, second = answer.result().results
    assert first.successful
    assert not second.successful
    assert "thrads" in second.reason


def test_frames_pass_by_reference_on_a_bus_and_as_messages_without(
    ros: Any, wait_until: Callable[..., None]
) -> None:
    node = probe(ros, bus=FrameBus())
    node.autostart()
    sent = picture(stamp_ns=5)
    node.images.publish(sent)
    assert len(node.frames) == 1
    assert node.frames[0] is sent
    node.trigger_deactivate()
    node.images.publish(picture(stamp_ns=6))
    assert len(node.frames) == 1, "a deactivated node hears nothing"


def test_frames_without_a_bus_travel_as_messages(ros: Any, wait_until: Callable[..., None]) -> None:
    node = probe(ros)
    node.autostart()

    def sent_and_heard() -> bool:
        node.images.publish(picture(stamp_ns=5))
        return bool(node.frames)

    wait_until(sent_and_heard, "the frame over DDS")
    assert np.array_equal(node.frames[0].image, picture().image)
    assert node.frames[0].key.unnamed == FrameKey("main", 5)


def test_a_message_that_is_no_image_is_one_error_and_the_next_one_is_heard(
    ros: Any, wait_until: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    node = probe(ros)
    node.autostart()
    other = ros.node("rubbish")
    publisher = other.create_publisher(Image, "image_raw", 10)
    wait_until(lambda: publisher.get_subscription_count() > 0, "discovery")

    def sent_and_heard() -> bool:
        for width in (0, 64):
            publisher.publish(Image(width=width, height=48, step=7, encoding="mono8"))
        publisher.publish(Image(width=64, height=48, step=64, encoding="9bit", data=bytes(3072)))
        publisher.publish(Image(width=64, height=48, step=64, encoding="mono8", data=bytes(3072)))
        return bool(node.frames)

    wait_until(sent_and_heard, "a good frame after bad ones")
    assert node.frames[0].image.shape == (48, 64)


def test_a_message_that_makes_no_sense_is_reported_once_and_the_next_one_counts(
    ros: Any, wait_until: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    node = ros.add(
        PipelineNode(parameter_overrides=[Parameter("trigger", value="frame")], **ros.options)
    )
    assert node.autostart()
    other = ros.node("rubbish")
    verdicts: list[InspectionVerdict] = []
    other.create_subscription(InspectionVerdict, "verdict", verdicts.append, 10)
    publisher = other.create_publisher(InferenceResult, "result", 10)
    wait_until(lambda: publisher.get_subscription_count() > 0, "discovery")
    good = convert.result_to_ros(Result(FrameKey("main", 5), Route.LOCAL, Detections.empty()))

    def sent_and_judged() -> bool:
        for _ in range(3):
            publisher.publish(InferenceResult(origin="heaven"))
        publisher.publish(good)
        return bool(verdicts)

    wait_until(sent_and_judged, "a verdict after rubbish")
    assert verdicts[0].verdict == "pass"
    assert capfd.readouterr().err.count("expected one of local, split, cloud, got 'heaven'") == 1


def test_the_diagnostics_name_the_machine(ros: Any, wait_until: Callable[..., None]) -> None:
    heard: list[DiagnosticStatus] = []
    listener = ros.node("listener")
    listener.create_subscription(
        DiagnosticArray, "/diagnostics", lambda m: heard.extend(m.status), 50
    )
    probe(ros)
    wait_until(lambda: heard, "the diagnostics")
    assert heard[0].hardware_id == platform.node()


def test_a_silent_topic_is_told_in_the_diagnostics_until_something_comes(
    ros: Any, wait_until: Callable[..., None]
) -> None:
    heard: list[DiagnosticStatus] = []
    listener = ros.node("listener")
    listener.create_subscription(
        DiagnosticArray, "/diagnostics", lambda m: heard.extend(m.status), 50
    )
    node = probe(ros, silence_warning_s=0.2)
    node.autostart()
    wait_until(
        lambda: any(
            s.level == DiagnosticStatus.WARN and "frame: silent" in s.message for s in heard
        ),
        "the warning",
    )
    publisher = listener.create_publisher(Header, "frame", 10)
    wait_until(lambda: publisher.get_subscription_count() > 0, "discovery")
    heard.clear()

    def recovered() -> bool:
        publisher.publish(Header())
        node.heard("image_raw")
        return any(s.level == DiagnosticStatus.OK for s in heard)

    wait_until(recovered, "the warning to go")


def test_periods_go_by_the_time_of_the_machine_while_ros_time_stands_still(
    ros: Any, wait_until: Callable[..., None]
) -> None:
    """Deadlines must pass when a recording, and its `/clock` with it, is paused."""
    node = probe(ros, use_sim_time=True)
    ticks: list[int] = []
    node.autostart()
    node.every(0.01, lambda: ticks.append(node.now_stamp_ns()))
    wait_until(lambda: len(ticks) > 3, "ticks without /clock")
    assert set(ticks) == {0}
