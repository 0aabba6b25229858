"""The parameters of the scheduler and arbiter."""

from __future__ import annotations

from dataclasses import dataclass

from .parameter import NodeConfig, parameter


@dataclass(frozen=True)
class SchedulingConfig(NodeConfig):
    """Parameters of the scheduler and arbiter."""

    policy: str = parameter(
        "dta",
        "how routes are chosen",
        choices=("dta", "dta_full", "adaptive", "latency", "fixed"),
        live=True,
    )
    route: str = parameter(
        "local", "route of the policy fixed", choices=("local", "split", "cloud"), live=True
    )
    deadline_ms: float = parameter(
        150.0,
        "a frame sent away is inferred locally after this",
        unit="ms",
        minimum=5.0,
        maximum=60000.0,
        live=True,
    )
    load_high: float = parameter(
        0.8, "dta: to the cloud above this load", minimum=0.0, maximum=1.0, live=True
    )
    load_low: float = parameter(
        0.4, "dta: to the device below this load", minimum=0.0, maximum=1.0, live=True
    )
    delay_ms: float = parameter(
        200.0,
        "dta: delay that divides good from bad links",
        unit="ms",
        minimum=0.0,
        maximum=60000.0,
        live=True,
    )
    memory_high: float = parameter(
        0.9,
        "dta_full: to the cloud above this share of memory in use",
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    loss_limit: float = parameter(
        0.1,
        "dta_full, adaptive: loss that divides good from bad links",
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    delay_band: float = parameter(
        0.1,
        "dta_full: a delay within this share of delay_ms changes nothing",
        minimum=0.0,
        maximum=0.9,
        live=True,
    )
    adapt_rate: float = parameter(
        0.05,
        "adaptive: how far one frame's regret moves the thresholds; 0 holds them",
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    cloud_cost: float = parameter(
        0.1,
        "adaptive, latency: what a cloud frame costs, as a share of a missed deadline",
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    cloud_cost_ms: float = parameter(
        50.0,
        "latency: a frame is worth sending away when its answer comes so much sooner",
        unit="ms",
        minimum=0.0,
        maximum=60000.0,
        live=True,
    )
    accuracy_floor: float = parameter(
        0.0,
        "latency: mean accuracy that results should keep; 0 for none",
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    accuracy_local: float = parameter(
        0.92, "measured accuracy of the device's model", minimum=0.0, maximum=1.0, live=True
    )
    accuracy_split: float = parameter(
        0.96, "measured accuracy of the split model", minimum=0.0, maximum=1.0, live=True
    )
    accuracy_cloud: float = parameter(
        0.96, "measured accuracy of the gateway's model", minimum=0.0, maximum=1.0, live=True
    )
    split: bool = parameter(
        False, "latency: the bundle has a split model, so frames may take that route", live=True
    )
    hedge: bool = parameter(
        True,
        "start the local model before the deadline when the cloud is expected to be late",
        live=True,
    )
    hedge_deviations: float = parameter(
        2.0,
        "deviations added to the time that an answer of the cloud is expected to take",
        minimum=0.0,
        maximum=10.0,
        live=True,
    )
    start_route: str = parameter(
        "local", "route before the first decision", choices=("local", "cloud")
    )
    dwell_ms: float = parameter(
        1000.0,
        "least time between two voluntary switches",
        unit="ms",
        minimum=0.0,
        maximum=600000.0,
        live=True,
    )
    recovery_heartbeats: int = parameter(
        3, "answered heartbeats in a row before a lost link counts again", minimum=1, maximum=100
    )
    escalate_below: float = parameter(
        0.5,
        "results of less confidence are refined by the cloud; 0 never",
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    escalate_measure: str = parameter(
        "threshold",
        "confidence of a result: its lowest score, its entropy, or its narrowest margin",
        choices=("threshold", "entropy", "margin"),
        live=True,
    )
    escalate_follow: str = parameter(
        "fixed",
        "what moves the threshold: nothing, a target share or a target accuracy",
        choices=("fixed", "share", "accuracy"),
        live=True,
    )
    escalate_target_share: float = parameter(
        0.1, "share of local frames to refine (follow share)", minimum=0.0, maximum=1.0, live=True
    )
    escalate_target_accuracy: float = parameter(
        0.95,
        "agreement with the cloud that frames at the threshold should reach (follow accuracy)",
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    escalate_share_max: float = parameter(
        1.0, "most of the local frames that may be refined", minimum=0.0, maximum=1.0, live=True
    )
    escalate_bps_max: float = parameter(
        0.0,
        "most that refinements may upload; 0 no limit",
        unit="bit/s",
        minimum=0.0,
        maximum=1e12,
        live=True,
    )
    escalate_deadline_ms: float = parameter(
        400.0,
        "a refinement counts until this long after the provisional result",
        unit="ms",
        minimum=5.0,
        maximum=60000.0,
        live=True,
    )
    local_in_flight: int = parameter(
        2, "frames given to the local model at once; more wait, newest wins", minimum=1, maximum=16
    )
    cloud_in_flight: int = parameter(
        8, "frames sent away at once; more wait, newest wins", minimum=1, maximum=1000, live=True
    )
    escalate_in_flight: int = parameter(
        2, "refinements awaited at once", minimum=1, maximum=100, live=True
    )
    hold_max_ms: float = parameter(
        10000.0,
        "after a missed deadline frames stay local for dwell_ms, doubled each time, up to this",
        unit="ms",
        minimum=0.0,
        maximum=600000.0,
        live=True,
    )
    hold_trust: float = parameter(
        10.0,
        "so many times dwell_ms away, and a gateway that was heard but late is trusted again",
        minimum=1.0,
        maximum=1000.0,
        live=True,
    )
    link_silence_ms: float = parameter(
        1000.0,
        "the link counts as lost when nothing came from the gateway for so long",
        unit="ms",
        minimum=20.0,
        maximum=600000.0,
        live=True,
    )
    temperature_high_c: float = parameter(
        85.0,
        "a device this hot counts as throttled",
        unit="°C",
        minimum=0.0,
        maximum=130.0,
        live=True,
    )
    load_smoothing_ms: float = parameter(
        300.0,
        "time constant that smooths the load",
        unit="ms",
        minimum=0.0,
        maximum=60000.0,
        live=True,
    )
    local_timeout_ms: float = parameter(
        2000.0,
        "a frame given to the local model and not answered for so long has failed",
        unit="ms",
        minimum=50.0,
        maximum=600000.0,
    )
    archive_interval_ms: float = parameter(
        500.0,
        "during an outage a frame this often goes to the spool; 0 keeps every one",
        unit="ms",
        minimum=0.0,
        maximum=3600000.0,
        live=True,
    )
    load_interval_ms: float = parameter(
        100.0, "time between two samples of the load", unit="ms", minimum=10.0, maximum=10000.0
    )
