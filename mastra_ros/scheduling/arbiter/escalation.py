"""Which results of the device are worth asking the cloud about.

Joint inference: the device answers every frame, and the gateway's larger model looks again at
those of which the device is unsure (as in cascades: Viola and Jones, 2001; BranchyNet,
Teerapittayanon et al., 2016). Here is decided which; the arbiter does it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mastra_ros.config import SchedulingConfig
from mastra_ros.scheduling.arbiter.confidence import agreement, confidence
from mastra_ros.scheduling.estimates.clock import NS_PER_MS
from mastra_ros.types import Result

STEP = 0.02
"""How far one frame moves a threshold that follows a target."""
BAND = 0.15
"""Frames this far below the threshold stand for those at it."""
PROBING = 0.005
"""Share of `STEP` by which a threshold that follows accuracy creeps up at each sure frame."""
THRESHOLD_MIN = 0.02
SHARE_BURST = 5.0
"""Refinements that may have been saved up under `escalate_share_max`."""
UNKNOWN_BYTES = 30_000.0
"""Taken for the size of a frame before any was measured."""
SMOOTHING = 0.05


@dataclass(frozen=True)
class EscalationState:
    """How it goes. Shares are 0 to 1; NaN before anything is known.

    agreement: of the device's and the gateway's boxes, over refined frames. gain: its complement,
    what the gateway changes in a refined frame. Weighed by `share`, the share of local frames
    refined, it is what refinement changes in all: `gain_in_all`.
    """

    threshold: float
    share: float
    agreement: float
    withheld: int  # unsure, but the budget or the link said no

    @property
    def gain(self) -> float:
        return 1.0 - self.agreement

    @property
    def gain_in_all(self) -> float:
        return self.share * self.gain


class Escalation:
    """Confidence, threshold and budget.

    - A result is unsure when its confidence by `escalate_measure` is below the threshold:
      `escalate_below`, or what that became by following a target.
    - `share`: after each local result the threshold moves such that, in the mean,
      `escalate_target_share` of them are unsure (stochastic approximation of a quantile: Robbins
      and Monro, 1951).
    - `accuracy`: after each refinement of a frame near the threshold, it moves up when the gateway
      disagreed by more than 1 - `escalate_target_accuracy`, and down when by less. Where agreement
      grows with confidence, frames left alone then agree at least that well. While
      nothing is refined it creeps up, to find out. The gateway is taken to be right.
    - Not refined, though unsure: beyond `escalate_share_max` of the local frames, beyond
      `escalate_bps_max`, and when no answer is expected within `escalate_deadline_ms`.
    """

    def __init__(self, config: SchedulingConfig) -> None:
        self._config = config
        self._threshold = config.escalate_below
        self._saved = SHARE_BURST
        self._bits = 0.0
        self._bits_at_ns: int | None = None
        self._share = math.nan
        self._agreement = math.nan
        self._withheld = 0

    def configure(self, config: SchedulingConfig) -> None:
        """Take over parameters; a changed `escalate_below`, measure or target starts anew."""
        kept = ("escalate_below", "escalate_measure", "escalate_follow")
        if any(getattr(config, name) != getattr(self._config, name) for name in kept):
            self._threshold = config.escalate_below
        self._config = config

    @property
    def state(self) -> EscalationState:
        """How it goes."""
        return EscalationState(self._threshold, self._share, self._agreement, self._withheld)

    def confidence(self, result: Result) -> float:
        """Of this result, by the measure chosen."""
        return confidence(result.detections, self._config.escalate_measure)

    def unsure(self, sure: float) -> bool:
        """Whether a local result of this confidence should be refined. Once for each result."""
        config = self._config
        if config.escalate_below <= 0:
            return False
        unsure = sure < self._threshold
        if config.escalate_follow == "share":
            self._move(STEP * (config.escalate_target_share - unsure))
        elif config.escalate_follow == "accuracy" and not unsure:
            self._move(STEP * PROBING)
        self._saved = min(self._saved + config.escalate_share_max, SHARE_BURST)
        return unsure

    def allowed(self, expected_ms: float, frame_bytes: float, now_ns: int) -> bool:
        """Whether link and budget allow one refinement now; if so, it is taken to be made.

        expected_ms: until its answer, NaN while unknown.
        """
        config = self._config
        cost_bits = 8 * (frame_bytes if math.isfinite(frame_bytes) else UNKNOWN_BYTES)
        limit = config.escalate_bps_max
        if limit > 0:
            since_ns = 0 if self._bits_at_ns is None else now_ns - self._bits_at_ns
            burst = max(limit, cost_bits)  # a second's worth, and always one frame
            fresh = burst if self._bits_at_ns is None else limit * since_ns / (1000 * NS_PER_MS)
            self._bits = min(self._bits + fresh, burst)
            self._bits_at_ns = now_ns
        allowed = (
            not expected_ms > config.escalate_deadline_ms
            and config.escalate_share_max > 0
            and self._saved >= 1.0
            and (limit <= 0 or self._bits >= cost_bits)
        )
        if not allowed:
            self._withheld += 1
            return False
        self._saved -= 1.0
        self._bits -= cost_bits if limit > 0 else 0.0
        return True

    def counted(self, refined: bool) -> None:
        """A local result was sent to be refined, or was not."""
        self._share = _smooth(self._share, float(refined))

    def refined(self, sure: float, local: Result, cloud: Result) -> float:
        """The gateway has answered: how far both agree, 0 to 1."""
        config = self._config
        agreed = agreement(local.detections, cloud.detections)
        self._agreement = _smooth(self._agreement, agreed)
        near = self._threshold - BAND <= sure
        if config.escalate_follow == "accuracy" and near:
            self._move(STEP * (config.escalate_target_accuracy - agreed))
        return agreed

    def _move(self, step: float) -> None:
        self._threshold = min(max(self._threshold + step, THRESHOLD_MIN), 1.0)


def _smooth(before: float, value: float) -> float:
    return value if math.isnan(before) else before + SMOOTHING * (value - before)
