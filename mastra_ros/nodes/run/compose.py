"""The nodes of a pipeline in one process: one executor thread, frames by reference."""

from __future__ import annotations

import importlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException
from rclpy.experimental import EventsExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

from ...errors import ConfigError, MastraError
from ..frame_bus import FrameBus
from ..lifecycle import StageNode
from ..starting import ros_errors, start_ros

log = logging.getLogger(__name__)

ORDER = ("pipeline", "scheduling", "bridge", "compression", "inference", "camera")
"""Listeners start before those they listen to, so that the first frame already gets its way."""

PAIRS = (
    ("inference", "entered"),
    ("inference", "local_result"),
    ("inference", "features"),
    ("scheduling", "decision"),
    ("scheduling", "result"),
    ("compression", "packet"),
    ("compression", "privacy"),
    ("bridge", "cloud_result"),
    ("bridge", "link"),
)
"""Publishers that must have found their subscriber before frames flow."""

TRAFFIC = tuple("traffic" if stage == "pipeline" else stage for stage in ORDER)
ULTRASOUND = ("ultrasound", "bridge", "probe")
"""Likewise, of tracked ultrasound."""
ULTRASOUND_PAIRS = (
    ("probe", "pose"),
    ("ultrasound", "record"),
    ("ultrasound", "privacy"),
    ("bridge", "artefact"),
)

PIPELINES: dict[str, tuple[tuple[str, ...], tuple[tuple[str, str], ...]]] = {
    "factory_inspection": (ORDER, PAIRS),
    "medical_ultrasound": (ULTRASOUND, ULTRASOUND_PAIRS),
    "traffic": (TRAFFIC, PAIRS),
}
"""The nodes of each pipeline in the order of starting, and who must have found whom."""
FIRST = "factory_inspection"

DISCOVERY_TIMEOUT_S = 10.0


class Composition:
    """Nodes by stage name, in a context of their own; a context manager that closes them."""

    def __init__(
        self,
        parameters: Mapping[str, Mapping[str, Any]],
        *,
        namespace: str = "",
        domain_id: int | None = None,
        arguments: Sequence[str] | None = None,
        pipeline: str = FIRST,
    ) -> None:
        """Make the nodes, unconfigured.

        pipeline: one of PIPELINES. parameters: by stage. arguments: a command line whose
        `--ros-args` (remaps, parameters, their files, namespace) the nodes obey; without it they
        obey `parameters` alone.
        """
        self.failure: BaseException | None = None
        self.order, self._pairs = PIPELINES[pipeline]
        self._context = Context()
        start_ros(
            args=() if arguments is None else arguments, context=self._context, domain_id=domain_id
        )
        self._executor = EventsExecutor(context=self._context)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._spin, name="executor", daemon=True)
        self._options: dict[str, Any] = {
            "context": self._context,
            "use_global_arguments": arguments is not None,
        }
        if namespace:
            self._options["namespace"] = namespace
        self.nodes: dict[str, StageNode] = {}
        self._others: list[Node] = []
        bus = FrameBus()
        try:
            for stage in self.order:
                module = importlib.import_module(f"mastra_ros.nodes.{stage}")
                node_class: type[StageNode] = getattr(module, f"{stage.capitalize()}Node")
                overrides = [
                    Parameter(key, value=list(value) if isinstance(value, tuple) else value)
                    for key, value in parameters.get(stage, {}).items()
                ]
                with ros_errors():
                    self.nodes[stage] = node_class(
                        bus=bus,
                        privacy=None if arguments is not None else parameters.get("privacy", {}),
                        parameter_overrides=overrides,
                        **self._options,
                    )
                self._executor.add_node(self.nodes[stage])
            self._check_names()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Composition:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, make: Callable[..., Node]) -> Node:
        """Add another node, made by `make(**node_options)`, and wait until it is heard and hears.

        Best added once the others are active and have found each other.
        """
        before = self._audience()
        node = make(**self._options)
        self._others.append(node)
        self._executor.add_node(node)
        wanted = {s.topic_name for s in node.subscriptions}
        self._await(
            lambda: [
                topic
                for topic, count in self._audience().items()
                if topic in wanted and count <= before[topic]
            ]
        )
        return node

    def configure(self) -> None:
        """Configure all the nodes, so that every mistake shows before anything runs."""
        for stage in self.order:
            self._transition(stage, "configure")

    def activate(self, *stages: str) -> None:
        """Activate these stages, in the order of starting."""
        if self._thread.ident is None:
            self._thread.start()
        for stage in self.order:
            if stage in stages:
                self._transition(stage, "activate")

    def autostart(self) -> bool:
        """Configure and activate the nodes whose parameter `autostart` says so.

        False when one refuses, which it has logged.
        """
        started = [stage for stage in self.order if self.nodes[stage].config.autostart]
        try:
            for stage in started:
                self._transition(stage, "configure")
            self.activate(*started)
        except MastraError:
            return False
        return True

    def await_discovery(self) -> None:
        """Wait until every internal publisher has found its subscriber."""
        inner = {self.nodes[stage].resolve_topic_name(topic) for stage, topic in self._pairs}
        self._await(lambda: [t for t, n in self._audience().items() if t in inner and not n])

    def stop(self, stage: str) -> None:
        """Deactivate one node."""
        self.nodes[stage].trigger_deactivate()

    def close(self) -> None:
        """Stop everything, camera first; safe to call twice."""
        # Before the nodes: a callback must not meet one that is being taken apart.
        self._stopped.set()
        if self._thread.is_alive():
            self._executor.wake()
            self._thread.join()
        for stage in reversed(self.order):
            if stage in self.nodes:
                self.nodes[stage].close()
        self._executor.shutdown()
        for node in [*self.nodes.values(), *self._others]:
            node.destroy_node()
        self.nodes = {}
        self._others = []
        rclpy.try_shutdown(context=self._context)

    def _transition(self, stage: str, transition: str) -> None:
        node = self.nodes[stage]
        getattr(node, f"trigger_{transition}")()
        if node.problem:
            raise MastraError(f"{stage}: {node.problem}")

    def _check_names(self) -> None:
        names = [node.get_fully_qualified_name() for node in self.nodes.values()]
        if len(set(names)) < len(names):
            raise ConfigError(
                f"two nodes of one name ({', '.join(names)}): say which node is to be renamed, "
                "such as -r camera:__node:=lens"
            )

    def _audience(self) -> dict[str, int]:
        """Subscribers found so far, by topic, of all that the stages publish."""
        return {
            publisher.topic_name: publisher.get_subscription_count()
            for node in self.nodes.values()
            for publisher in node.publishers
        }

    def _await(self, missing: Callable[[], list[str]]) -> None:
        deadline = time.monotonic() + DISCOVERY_TIMEOUT_S
        while topics := missing():
            if time.monotonic() > deadline:
                raise ConfigError(f"no subscriber found for {', '.join(topics)}: is DDS working?")
            time.sleep(0.01)

    def wait(self, stopped: threading.Event) -> BaseException | None:
        """Serve until `stopped` is set, or a callback fails: then that error."""
        if self._thread.ident is None:
            self._thread.start()
        while not stopped.wait(0.1) and self.failure is None:
            pass
        return self.failure

    def _spin(self) -> None:
        try:
            while not self._stopped.is_set():
                self._executor.spin_once(timeout_sec=0.1)
        except ExternalShutdownException:
            pass
        except BaseException as error:
            self.failure = error
            log.exception("a callback failed")
