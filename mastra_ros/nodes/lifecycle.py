"""What all nodes have: lifecycle with autostart, parameters, diagnostics, a watch on silence."""

from __future__ import annotations

import dataclasses
import platform
import time
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.event_handler import (
    PublisherEventCallbacks,
    SubscriptionEventCallbacks,
    UnsupportedEventTypeError,
)
from rclpy.exceptions import ParameterNotDeclaredException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from ..config import STAGES, NodeConfig
from ..errors import FrameError, MastraError, MessageError
from . import convert, params
from .frame_bus import FrameBus

RELIABLE = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
"""Small messages: every one counts."""
LATEST = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
"""The last one is kept for those who come late."""

COMPLAINTS_MAX = 20
"""Messages of so many kinds that make no sense are reported a topic; they cannot flood the log."""

Health = tuple[str, str, dict[str, Any]]


class StageNode(LifecycleNode):
    """A lifecycle node around one stage.

    A stage's node overrides `set_up` (check everything, load, make publishers), `start`
    (subscriptions, threads), `halt` and `tear_down`, their opposites. A MastraError there is
    logged as one line and refuses the transition.
    """

    stage: ClassVar[str]

    def __init__(self, *, bus: FrameBus | None = None, **node_options: Any) -> None:
        super().__init__(self.stage, **node_options)
        self.bus = bus
        self.problem = ""  # why the last transition was refused
        self._heard: dict[str, float] = {}
        self._warned: set[str] = set()
        self._mismatches: dict[str, str] = {}
        self._made: list[tuple[Callable[[Any], Any], Any]] = []  # undone by deactivation
        self._advertised: list[tuple[Callable[[Any], Any], Any]] = []  # undone by cleaning up
        config_class = STAGES[self.stage]
        self.config: Any = params.declare(self, config_class)
        self.add_on_set_parameters_callback(params.on_set(self, config_class, self._apply))
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", RELIABLE)
        self.create_timer(1.0, self._report)

    def set_up(self) -> None:
        """Check and load everything; make publishers."""

    def start(self) -> None:
        """Subscribe and start threads."""

    def halt(self) -> None:
        """Stop threads; what `listen` and `every` made is destroyed afterwards."""

    def tear_down(self) -> None:
        """Free what `set_up` loaded; what `advertise` made is destroyed afterwards."""

    def reconfigured(self) -> None:
        """`self.config` has changed while running."""

    def health(self) -> Health:
        """Level (ok, warn, error), message and values for the diagnostics."""
        return "ok", "running", {}

    def autostart(self) -> bool:
        """Configure and activate, unless the parameter `autostart` is false."""
        if not self.config.autostart:
            return True
        done = TransitionCallbackReturn.SUCCESS
        return bool(self.trigger_configure() == done and self.trigger_activate() == done)

    def on_configure(self, _: LifecycleState) -> TransitionCallbackReturn:
        return self._transition("configure", self.set_up, self._clean_up)

    def on_activate(self, _: LifecycleState) -> TransitionCallbackReturn:
        return self._transition("activate", self.start, self._stop)

    def on_deactivate(self, _: LifecycleState) -> TransitionCallbackReturn:
        return self._transition("deactivate", self._stop, None)

    def on_cleanup(self, _: LifecycleState) -> TransitionCallbackReturn:
        return self._transition("clean up", self._clean_up, None)

    def on_shutdown(self, _: LifecycleState) -> TransitionCallbackReturn:
        return self._transition("shut down", self.close, None)

    def close(self) -> None:
        """Stop whatever runs; safe in every state."""
        self._stop()
        self._clean_up()

    def listen(
        self,
        message: type,
        topic: str,
        callback: Callable[[Any], None],
        qos: QoSProfile = RELIABLE,
        *,
        watch: bool = False,
    ) -> Callable[[], None]:
        """Subscribe until deactivation; `watch` warns when nothing comes for long.

        A message that the callback cannot understand is skipped, and reported once a kind:
        anybody may publish anything. Returns what ends it earlier.
        """
        complaints: set[str] = set()

        def heard(received: Any) -> None:
            if watch:
                self.heard(topic)
            try:
                callback(received)
            except (FrameError, MessageError) as error:
                if str(error) not in complaints and len(complaints) < COMPLAINTS_MAX:
                    complaints.add(str(error))
                    self.get_logger().error(f"{topic}: {error}")

        options = {"qos_overriding_options": params.qos_overridable()}
        events = SubscriptionEventCallbacks(
            incompatible_qos=partial(self._mismatch, topic, "publisher")
        )
        try:
            made = self.create_subscription(
                message, topic, heard, qos, event_callbacks=events, **options
            )
        except UnsupportedEventTypeError:
            made = self.create_subscription(message, topic, heard, qos, **options)
        entry = (self.destroy_subscription, made)
        self._made.append(entry)
        if watch:
            self.heard(topic)

        def stop() -> None:
            if entry in self._made:
                self._made.remove(entry)
                self.destroy_subscription(made)

        return stop

    def on_stop(self, action: Callable[[], None]) -> None:
        """Do this once at deactivation."""
        self._made.append((lambda made: made(), action))

    def every(self, period_s: float, callback: Callable[[], None]) -> None:
        """Call back periodically until deactivation."""
        self._made.append((self.destroy_timer, self.create_timer(period_s, callback)))

    def advertise(self, message: type, topic: str, qos: QoSProfile = RELIABLE) -> Any:
        """Make a publisher, whose QoS parameters can override, until the node is cleaned up."""
        made = self.create_publisher(
            message,
            topic,
            qos,
            event_callbacks=PublisherEventCallbacks(
                incompatible_qos=partial(self._mismatch, topic, "subscriber")
            ),
            qos_overriding_options=params.qos_overridable(),
        )
        self._advertised.append((self.destroy_publisher, made))
        return made

    def on_clean_up(self, action: Callable[[], None]) -> None:
        """Do this once when the node is cleaned up."""
        self._advertised.append((lambda made: made(), action))

    def heard(self, topic: str) -> None:
        """Something came on `topic` just now."""
        self._heard[topic] = time.monotonic()
        self._warned.discard(topic)

    def set_parameters(self, parameter_list: list[Parameter]) -> list[SetParametersResult]:
        """As rclpy has it, but what is not declared is named."""
        self._refuse_undeclared(parameter_list)
        return list(super().set_parameters(parameter_list))

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> SetParametersResult:
        """As rclpy has it, but what is not declared is named."""
        self._refuse_undeclared(parameter_list)
        return super().set_parameters_atomically(parameter_list)

    def _refuse_undeclared(self, parameter_list: list[Parameter]) -> None:
        # rclpy's own error has lost the names by the time it is made: `ros2 param set` shows [].
        if unknown := [p.name for p in parameter_list if not self.has_parameter(p.name)]:
            raise ParameterNotDeclaredException(unknown)

    def now_stamp_ns(self) -> int:
        """ROS time, ns."""
        return int(self.get_clock().now().nanoseconds)

    def _mismatch(self, topic: str, other: str, event: Any) -> None:
        policy = getattr(event.last_policy_kind, "name", event.last_policy_kind)
        self._mismatches[topic] = f"{topic}: a {other}'s QoS does not fit ({policy})"
        self.get_logger().warning(self._mismatches[topic])

    def _apply(self, config: NodeConfig) -> None:
        self.config = config
        self.reconfigured()

    def _transition(
        self, name: str, action: Callable[[], None], undo: Callable[[], None] | None
    ) -> TransitionCallbackReturn:
        try:
            action()
        except (MastraError, OSError) as error:
            self.problem = str(error)
            self.get_logger().error(f"cannot {name}: {error}")
            if undo is not None:
                undo()
            return TransitionCallbackReturn.FAILURE
        except Exception as error:  # rclpy would swallow it without a word
            self.problem = f"{type(error).__name__}: {error}"
            self.get_logger().fatal(f"cannot {name}: {self.problem}")
            raise
        self.problem = ""
        return TransitionCallbackReturn.SUCCESS

    def _stop(self) -> None:
        self.halt()
        _undo(self._made)
        self._heard.clear()

    def _clean_up(self) -> None:
        self.tear_down()
        _undo(self._advertised)

    def _silent(self) -> list[str]:
        limit_s = self.config.silence_warning_s
        now = time.monotonic()
        return [topic for topic, at in list(self._heard.items()) if now - at > limit_s]

    def _report(self) -> None:
        level, message, values = self.health()
        silent = self._silent()
        for topic in silent:
            if topic not in self._warned:
                self._warned.add(topic)
                self.get_logger().warning(
                    f"{self.resolve_topic_name(topic)}: nothing heard for "
                    f"{self.config.silence_warning_s:g} s"
                )
        problems = [f"{topic}: silent" for topic in silent] + list(self._mismatches.values())
        if problems and level == "ok":
            level, message = "warn", "; ".join(problems)
        if self.problem:
            level, message = "error", self.problem
        status = convert.diagnostic_to_ros(
            self.get_fully_qualified_name().lstrip("/"),
            level,
            message,
            values,
            hardware_id=platform.node(),
        )
        self._diagnostics.publish(convert.diagnostics_to_ros([status], self.now_stamp_ns()))


def _undo(made: list[tuple[Callable[[Any], Any], Any]]) -> None:
    """Destroy the youngest first."""
    while made:
        destroy, thing = made.pop()
        destroy(thing)


def settings_text(config: NodeConfig) -> str:
    """The values that differ from the defaults, for one line in the log."""
    changed = [
        f"{f.name}={getattr(config, f.name)!r}"
        for f in dataclasses.fields(config)
        if getattr(config, f.name) != f.default
    ]
    return ", ".join(changed) or "defaults"
