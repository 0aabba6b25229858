"""The link to the gateway, as far as the samples of the bridge tell."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from mastra_ros.scheduling.estimates.clock import NS_PER_MS, SteadyClock, to_ns
from mastra_ros.types import LinkSample

DOUBTFUL_MS = 200.0
"""From this age of a sample on, the doubt about its round trip grows with the root of its age."""


@dataclass(frozen=True)
class LinkEstimate:
    """What is known of the link at one moment.

    sample: the newest one, with connected = false when the gateway is silent.
    age_ms: of that sample. silence_ms: since anything came from the gateway; NaN before.
    good_in_row: answered heartbeats since the link last was bad or distrusted.
    jitter_ms: smoothed change of the round trip from one heartbeat to the next.
    rtt_deviation_ms: how far off the smoothed round trip may be now; it grows with age.
    """

    sample: LinkSample
    age_ms: float
    silence_ms: float
    good_in_row: int
    jitter_ms: float = math.nan
    rtt_deviation_ms: float = math.nan

    @property
    def usable(self) -> bool:
        """Whether frames may be sent: connected, not silent, and its round trip is known."""
        return self.sample.connected and math.isfinite(self.sample.rtt_ms)


class LinkEstimator:
    """Watches the age of the samples, their jitter and the silence of the gateway.

    Round trip, its variance, loss and goodput are smoothed by the bridge (RFC 6298), which sees
    every heartbeat. Jitter here is RFC 3550's, section 6.4.1, of the round trips reported.

    The bridge says itself when it loses the link; the limit on silence here catches a bridge
    that has died or hangs. A sample is *good* when the link is usable and the gateway was heard
    since the sample before: so it counts answered heartbeats, not repeated reports.
    """

    def __init__(self, silence_limit_ms: float, clock: SteadyClock | None = None) -> None:
        self._limit_ns = to_ns(silence_limit_ms)
        self._clock = SteadyClock() if clock is None else clock
        self._sample = LinkSample(0, connected=False)
        self._sampled_ns: int | None = None
        self._heard_ns: int | None = None  # steady time
        self._reported_ns: int | None = None  # the bridge's own last_heard_ns
        self._good_in_row = 0
        self._rtt_ms = math.nan
        self._jitter_ms = math.nan

    @property
    def heard_ns(self) -> int | None:
        """When the gateway was last heard, steady time."""
        return self._heard_ns

    def configure(self, silence_limit_ms: float) -> None:
        """Change the limit on silence."""
        self._limit_ns = to_ns(silence_limit_ms)

    def update(self, sample: LinkSample, now_ns: int) -> LinkEstimate:
        """Take in one sample of the bridge."""
        now = self._clock.advance(now_ns)
        self._sample = sample
        self._sampled_ns = now
        # Without a time from the bridge, the sample itself is the sign of life.
        reported = sample.last_heard_ns or (sample.at_ns if sample.connected else 0)
        fresh = reported != 0 and reported != self._reported_ns
        if fresh:
            self._reported_ns = reported
            self._heard_ns = max(self._heard_ns or 0, self._clock.inside(reported))
            self._note_jitter(sample.rtt_ms)
        estimate = self._estimate(now)
        if not estimate.usable:
            self._good_in_row = 0
        elif fresh:
            self._good_in_row += 1
        return self._estimate(now)

    def heard(self, now_ns: int) -> None:
        """Something other than a heartbeat came from the gateway now."""
        self._heard_ns = self._clock.advance(now_ns)

    def distrust(self) -> None:
        """Count good samples from zero again."""
        self._good_in_row = 0

    def estimate(self, now_ns: int) -> LinkEstimate:
        """What is known at this moment."""
        now = self._clock.advance(now_ns)
        if not self._estimate(now).usable:
            self._good_in_row = 0
        return self._estimate(now)

    def silent_at_ns(self) -> int | None:
        """When the link will count as silent if nothing comes, steady time; None if not up."""
        if not self._sample.connected or self._heard_ns is None:
            return None
        silent_ns = self._heard_ns + self._limit_ns
        return silent_ns if silent_ns > self._clock.now_ns else None

    def _estimate(self, now: int) -> LinkEstimate:
        silence_ms = age_ms = math.nan
        sample = self._sample
        if self._sampled_ns is not None:
            age_ms = (now - self._sampled_ns) / NS_PER_MS
        if self._heard_ns is not None:
            silence_ms = (now - self._heard_ns) / NS_PER_MS
            if now - self._heard_ns >= self._limit_ns and sample.connected:
                sample = replace(sample, connected=False)
        deviation_ms = sample.rtt_var_ms
        if age_ms > DOUBTFUL_MS:
            deviation_ms *= math.sqrt(age_ms / DOUBTFUL_MS)
        return LinkEstimate(
            sample, age_ms, silence_ms, self._good_in_row, self._jitter_ms, deviation_ms
        )

    def _note_jitter(self, rtt_ms: float) -> None:
        change_ms = abs(rtt_ms - self._rtt_ms)
        if math.isfinite(change_ms):
            before_ms = self._jitter_ms if math.isfinite(self._jitter_ms) else change_ms
            self._jitter_ms = before_ms + (change_ms - before_ms) / 16
        if math.isfinite(rtt_ms):
            self._rtt_ms = rtt_ms
