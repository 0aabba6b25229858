"""The interface of policies, and the one place that knows their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from mastra_ros.config import SchedulingConfig
from mastra_ros.errors import ConfigError
from mastra_ros.scheduling.estimates.flow import Flow
from mastra_ros.scheduling.policies.adaptive import AdaptivePolicy
from mastra_ros.scheduling.policies.dta import DtaPolicy
from mastra_ros.scheduling.policies.dta_full import DtaFullPolicy
from mastra_ros.scheduling.policies.fixed import FixedPolicy
from mastra_ros.scheduling.policies.latency import LatencyPolicy
from mastra_ros.types import Decision, LinkSample, LoadSample


class Policy(Protocol):
    """Says which route the coming frames should take.

    A policy need not care for a link that is down, nor for switching too often: `Hysteresis`
    does. With unknown (NaN) measurements it stays with what it chose last. One that wants to
    know what became of frames also has `observe`: see `outcome.Observer`.
    """

    def decide(self, load: LoadSample, link: LinkSample, now_ns: int) -> Decision:
        """The route wanted from now on, and why."""
        ...

    def configure(self, config: SchedulingConfig) -> None:
        """Take over changed parameters; what was learnt or chosen so far stays."""
        ...


@runtime_checkable
class Follower(Protocol):
    """A policy that looks at what is on its way to the gateway when it decides."""

    def follow(self, flow: Flow) -> None:
        """Look at this from now on; only to read."""
        ...


POLICIES: dict[str, Callable[[SchedulingConfig], Policy]] = {
    "dta": DtaPolicy,
    "dta_full": DtaFullPolicy,
    "adaptive": AdaptivePolicy,
    "latency": LatencyPolicy,
    "fixed": FixedPolicy,
}
"""The policies by the value of `scheduling.policy`."""


def make_policy(config: SchedulingConfig) -> Policy:
    """The policy that `config.policy` names."""
    try:
        return POLICIES[config.policy](config)
    except KeyError:
        raise ConfigError(
            f"policy: expected one of {', '.join(POLICIES)}, got {config.policy!r}"
        ) from None
