"""Keeps a policy from switching too often, and from trusting a link that fails."""

from __future__ import annotations

from dataclasses import replace

from mastra_ros.config import SchedulingConfig
from mastra_ros.scheduling.estimates.clock import to_ns
from mastra_ros.scheduling.estimates.link import LinkEstimate
from mastra_ros.scheduling.policies.policy import Policy
from mastra_ros.types import Decision, LoadSample, Route


class Hold:
    """How long the route stays local after trouble, doubled while trouble comes back soon."""

    def __init__(self) -> None:
        self._length_ns = 0
        self._away_ns = 0  # time away in all, at the last trouble

    def impose(self, away_ns: int, least_ns: int, most_ns: int, trust: float = 0.0) -> int:
        """Trouble, after `away_ns` away in all: for how long to stay local, in ns.

        Without `trust`, the hold starts again at its least once the route was away as long as
        the last hold. With it, hold times time away is at most `trust` times the least hold
        squared. So a success or two do not shorten it, but `trust` times the least hold away do;
        and trouble that comes back now and then does not end in the longest hold.
        """
        since_ns = max(1, away_ns - self._away_ns)
        doubled_ns = 2 * self._length_ns
        if trust:
            doubled_ns = min(doubled_ns, round(trust * least_ns * least_ns / since_ns))
        elif since_ns >= self._length_ns:
            doubled_ns = least_ns
        self._length_ns = max(least_ns, min(doubled_ns, most_ns))
        self._away_ns = away_ns
        return self._length_ns


class Hysteresis:
    """A policy's route with dwell, forced fallback and cautious return.

    - While the link is not usable, and after `bar`, the route is local, at once.
    - It leaves local again only after `recovery_heartbeats` good samples of the link in a row
      and after the hold that `bar` imposed, of `dwell_ms` to `hold_max_ms` (see `Hold`). There
      are two. After an outage the route has proved itself when it was away for as long as the
      hold: heartbeats tell well whether an outage is over. They do not tell whether a gateway
      that was heard and yet late has caught up, and an answer or two in time do not either, for
      it is least busy when it gets no frames: here the hold shortens with sustained success only.
    - A bar holds for frames that the device can answer in time: the others may still `spill`.
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
        self._outage_hold, self._late_hold = Hold(), Hold()
        self._since_ns = 0  # when the route last changed, the first one too
        self._away_ns = 0  # time away in all, until then
        self._returning = False  # a bar was lifted, and the route is not yet back

    def configure(self, config: SchedulingConfig, policy: Policy | None = None) -> None:
        """Take over parameters, and a new policy where given; that one need not wait for dwell."""
        self._config = config
        if policy is not None:
            self._policy = policy
            self._changed_ns = None
        self._policy.configure(config)

    def bar(self, reason: str, now_ns: int, *, hold: bool, late: bool = False) -> None:
        """Go local now; with `hold` also stay there for a time.

        late: the gateway was heard, and yet did not answer in time.
        """
        config = self._config
        self._barred = reason
        if hold:
            kept = self._late_hold if late else self._outage_hold
            trust = config.hold_trust if late else 0.0
            least_ns, most_ns = to_ns(config.dwell_ms), to_ns(config.hold_max_ms)
            away_ns = self._away_in_all(now_ns)
            self._held_until_ns = now_ns + kept.impose(away_ns, least_ns, most_ns, trust)
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
            return Decision(Route.LOCAL, reason, wish.spill if link.usable else None)
        if self.route is None or wish.route is self.route:
            self._returning = False
            if self.route is None:
                self._change(wish.route, now_ns)
            return wish
        if self._changed_ns is not None:
            waited = now_ns - self._changed_ns
            if waited < to_ns(self._config.dwell_ms):
                reason = f"dwell, then {wish.route.value}"
                return replace(wish, route=self.route, reason=reason)
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

    def _away_in_all(self, now_ns: int) -> int:
        away = self.route not in (None, Route.LOCAL)
        return self._away_ns + (now_ns - self._since_ns if away else 0)

    def _change(self, route: Route, now_ns: int) -> None:
        self._away_ns, self._since_ns = self._away_in_all(now_ns), now_ns
        # The first route of all is no change: what follows it need not wait.
        if self.route is not None:
            self._changed_ns = now_ns
        self.route = route
