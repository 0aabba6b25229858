"""What all nodes have: lifecycle with autostart, parameters, diagnostics, a watch on silence."""

from __future__ import annotations

import dataclasses
import platform
import time
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.event_handler import (
    PublisherEventCallbacks,
    SubscriptionEventCallbacks,
    UnsupportedEventTypeError,
)
from rclpy.exceptions import ParameterNotDeclaredException
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from ..config import STAGES, NodeConfig, changed_live
from ..errors import FrameError, MastraError, MessageError
from ..protocol.checks import printable
from ..redaction import redact, shown
from . import convert, params
from .frame_bus import FrameBus
from .intake import Intake
from .services import guard_services

RELIABLE = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
"""Small messages: every one counts."""
LATEST = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
"""The last one is kept for those who come late."""

LASTING = QoSProfile(
    depth=50,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
"""Likewise, and the latest are kept for those who ask: a listener may take a second to hear a new
writer."""

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

    def __init__(
        self,
        *,
        bus: FrameBus | None = None,
        privacy: Mapping[str, Any] | None = None,
        **node_options: Any,
    ) -> None:
        """privacy: that section; None takes it from the command line of ROS (see `section`)."""
        super().__init__(self.stage, **node_options)
        self.bus = bus
        self.privacy = privacy
        self.node_options = node_options
        # One a node: rcl warns where many timers share a clock.
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.problem = ""  # why the last transition was refused
        self._heard: dict[str, float] = {}
        self._warned: set[str] = set()
        self._mismatches: dict[str, str] = {}
        self._intakes: dict[str, Intake] = {}
        self._doubts: dict[str, str] = {}
        self._refused: set[str] = set()  # requests that made no sense, told already
        self._faults: dict[str, str] = {}  # what went wrong in a callback, by its name
        self._told: set[str] = set()  # faults that were logged
        self._made: list[tuple[Callable[[Any], Any], Any]] = []  # undone by deactivation
        self._advertised: list[tuple[Callable[[Any], Any], Any]] = []  # undone by cleaning up
        config_class = STAGES[self.stage]
        self.config: Any = params.declare(self, config_class)
        self.add_on_set_parameters_callback(params.on_set(self, config_class, self._apply))
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", RELIABLE)
        self._steady_timer(1.0, self._report)
        guard_services(self, self._refuse)

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

        A message that the callback cannot understand is skipped, reported once a kind, counted and
        shown in the diagnostics: anybody may publish anything. Returns what ends it earlier.
        """
        complaints: set[str] = set()
        intake = self._intakes.setdefault(topic, Intake())

        def heard(received: Any) -> None:
            if watch:
                self.heard(topic)
            try:
                callback(received)
                intake.took()
            except (FrameError, MessageError) as error:
                intake.refuse(str(error))
                if str(error) not in complaints and len(complaints) < COMPLAINTS_MAX:
                    complaints.add(str(error))
                    self.get_logger().error(printable(redact(f"{topic}: {error}")))
            except Exception as error:  # whatever was published, this node goes on
                self.fault(topic, error)

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
                self._heard.pop(topic, None)
                self._intakes.pop(topic, None)

        return stop

    def on_stop(self, action: Callable[[], None]) -> None:
        """Do this once at deactivation."""
        self._made.append((lambda made: made(), action))

    def every(self, period_s: float, callback: Callable[[], None]) -> None:
        """Call back periodically until deactivation, whatever becomes of one call."""

        def guarded() -> None:
            try:
                callback()
            except Exception as error:
                self.fault(getattr(callback, "__name__", "timer"), error)

        self._made.append((self.destroy_timer, self._steady_timer(period_s, guarded)))

    def _steady_timer(self, period_s: float, callback: Callable[[], None]) -> Any:
        """A timer by monotonic time: a /clock that stands still must not stop deadlines."""
        return self.create_timer(period_s, callback, clock=self._steady)

    def fault(self, where: str, error: Exception) -> None:
        """A callback has failed, by a fault of ours: tell it once a kind, and go on."""
        text = printable(redact(f"{where}: {type(error).__name__}: {error}"))
        self._faults[where] = text
        if text not in self._told and len(self._told) < COMPLAINTS_MAX:
            self._told.add(text)
            trace = redact("".join(traceback.format_tb(error.__traceback__)))
            self.get_logger().error(f"{text}; the node goes on\n{trace}")

    def advertise(
        self, message: type, topic: str, qos: QoSProfile = RELIABLE, *, name: str = ""
    ) -> Any:
        """Make a publisher, whose QoS parameters can override, until the node is cleaned up.

        name: where to publish, if that is not what remapping makes of `topic`.
        """
        made = self.create_publisher(
            message,
            name or topic,
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

    def doubt(self, topic: str, text: str) -> None:
        """Something about what comes on `topic` looks wrong; said once, and shown while it does."""
        if self._doubts.get(topic, "") != text:
            self._doubts[topic] = text
            if text:
                self.get_logger().warning(f"{topic}: {text}")

    def now_stamp_ns(self) -> int:
        """ROS time, ns."""
        return int(self.get_clock().now().nanoseconds)

    def _refuse(self, service: str, error: Exception) -> None:
        """A request made no sense: said once a kind, as anybody may send any number of them."""
        text = redact(f"{service}: a request is refused: {type(error).__name__}: {error}")[:300]
        if text not in self._refused and len(self._refused) < COMPLAINTS_MAX:
            self._refused.add(text)
            self.get_logger().warning(text)

    def _mismatch(self, topic: str, other: str, event: Any) -> None:
        policy = getattr(event.last_policy_kind, "name", event.last_policy_kind)
        text = f"{topic}: a {other}'s QoS does not fit ({policy})"
        if self._mismatches.get(topic) != text:  # whoever comes again and again is told once
            self._mismatches[topic] = text
            self.get_logger().warning(text)

    def _apply(self, config: NodeConfig) -> None:
        self.config = config
        self.reconfigured()

    def _transition(
        self, name: str, action: Callable[[], None], undo: Callable[[], None] | None
    ) -> TransitionCallbackReturn:
        try:
            action()
        except (MastraError, OSError) as error:
            self.problem = redact(str(error))
            self.get_logger().error(f"cannot {name}: {self.problem}")
            if undo is not None:
                undo()
            return TransitionCallbackReturn.FAILURE
        except Exception as error:  # rclpy would swallow it without a word
            self.problem = redact(f"{type(error).__name__}: {error}")
            self.get_logger().fatal(f"cannot {name}: {self.problem}")
            raise
        self.problem = ""
        return TransitionCallbackReturn.SUCCESS

    def _stop(self) -> None:
        self.halt()
        _undo(self._made)
        self._heard.clear()
        self._intakes.clear()
        self._doubts.clear()
        self._faults.clear()
        self._told.clear()

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
        problems += [f"{topic}: {text}" for topic, text in list(self._doubts.items()) if text]
        for topic, intake in list(self._intakes.items()):
            if intake.refused:
                values = {**values, f"{topic} refused": intake.refused}
            judged, text = intake.judge()
            if judged == "error":
                level, message = "error", f"{topic}: {text}"
            elif judged == "warn":
                problems.append(f"{topic}: {text}")
        problems += list(self._faults.values())
        if problems and level == "ok":
            level, message = "warn", "; ".join(problems)
        if self.problem:
            level, message = "error", self.problem
        values = {**values, **convert.live_to_values(changed_live(self.stage, self.config))}
        status = convert.diagnostic_to_ros(
            self.get_fully_qualified_name().lstrip("/"),
            level,
            redact(message),
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
    """The values that differ from the defaults, without secrets, for one line in the log."""
    changed = [
        f"{f.name}={shown(getattr(config, f.name))}"
        for f in dataclasses.fields(config)
        if getattr(config, f.name) != f.default
    ]
    return ", ".join(changed) or "defaults"
