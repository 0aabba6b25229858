"""Keeps a policy from switching too often, and from trusting a link that fails."""

from __future__ import annotations

from mastra_ros.config import SchedulingConfig
from mastra_ros.scheduling.clock import to_ns
from mastra_ros.scheduling.link import LinkEstimate
from mastra_ros.scheduling.policy import Policy
from mastra_ros.types import Decision, LoadSample, Route


class Hysteresis:
    """A policy's route with dwell, forced fallback and cautious return.

    - While the link is not usable, and after `bar`, the route is local, at once.
    - It leaves local again only after `recovery_heartbeats` good samples of the link in a row
      and after the hold that `bar` imposed. The hold begins at `dwell_ms` and doubles with each
      bar, up to `hold_max_ms`, unless the route was away for as long as the hold before: so a
      gateway that answers heartbeats but few frames in time costs ever fewer deadlines.
    - Any other change waits until `dwell_ms` have passed since the last change.

    `wanted` is what the policy itself last asked for. Times are steady time in ns.
    """

    def __init__(self, policy: Policy, config: SchedulingConfig) -> None:
        self._policy = policy
        self._config = config
        self.route: Route | None = None
        self.wanted = Route.LOCAL
        self._changed_ns: int | None = None
        self._barred = ""  # why the link may not be used; empty when it may
        self._held_until_ns = 0
        self._hold_ns = 0  # the length of the last hold
        self._returning = False  # a bar was lifted, and the route is not yet back

    def configure(self, config: SchedulingConfig, policy: Policy | None = None) -> None:
        """Take over parameters, and a new policy where given; that one need not wait for dwell."""
        self._config = config
        if policy is not None:
            self._policy = policy
            self._changed_ns = None
        self._policy.configure(config)

    def bar(self, reason: str, now_ns: int, *, hold: bool) -> None:
        """Go local now; with `hold` also stay there for a time."""
        self._barred = reason
        if hold:
            dwell_ns, most_ns = to_ns(self._config.dwell_ms), to_ns(self._config.hold_max_ms)
            away_ns = now_ns if self._changed_ns is None else now_ns - self._changed_ns
            proved = self._hold_ns == 0 or away_ns >= self._hold_ns
            doubled_ns = dwell_ns if proved else 2 * self._hold_ns
            self._hold_ns = max(dwell_ns, min(doubled_ns, most_ns))
            self._held_until_ns = now_ns + self._hold_ns
        if self.route is not Route.LOCAL:
            self._change(Route.LOCAL, now_ns)

    def decide(self, load: LoadSample, link: LinkEstimate, now_ns: int) -> Decision:
        """The route for the frame that enters now."""
        wish = self._policy.decide(load, link.sample, now_ns)
        self.wanted = wish.route
        self._lift(link, now_ns)
        if self._barred:
            if self.route is not Route.LOCAL:
                self._change(Route.LOCAL, now_ns)
            reason = wish.reason if wish.route is Route.LOCAL else self._barred
            return Decision(Route.LOCAL, reason)
        if self.route is None or wish.route is self.route:
            self._returning = False
            self.route = wish.route
            return wish
        if self._changed_ns is not None:
            waited = now_ns - self._changed_ns
            if waited < to_ns(self._config.dwell_ms):
                return Decision(self.route, f"dwell, then {wish.route.value}")
        returns, self._returning = self._returning, False
        self._change(wish.route, now_ns)
        return Decision(wish.route, "link recovered") if returns else wish

    def _lift(self, link: LinkEstimate, now_ns: int) -> None:
        """Bar an unusable link; lift the bar of one that has recovered."""
        if not link.usable:
            self._barred = "link lost" if link.sample.last_heard_ns else "no link"
        elif self._barred and now_ns >= self._held_until_ns:
            needed = self._config.recovery_heartbeats
            if link.good_in_row >= needed:
                self._barred, self._returning = "", True
            else:
                self._barred = "link recovering"

    def _change(self, route: Route, now_ns: int) -> None:
        # The first route of all is no change: what follows it need not wait.
        if self.route is not None:
            self._changed_ns = now_ns
        self.route = route
