"""What the gateway counts, in a Prometheus registry of its own."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

from ..config.privacy import MODES
from ..protocol import PrivacyReport

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

OUTCOMES = ("sent", "masked", "withheld", "kept")
"""Of the gate of privacy."""


class Metrics:
    """Counters and histograms; names as in the docs, all beginning with `mastra_gateway_`."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.sessions = Gauge(
            "mastra_gateway_sessions", "Open sessions of devices", registry=self.registry
        )
        self.session_ends = self._counter("session_ends", "Sessions that ended", "code")
        self.auth_failures = self._counter("auth_failures", "Requests refused", "cause")
        self.received_bytes = self._counter("received_bytes", "Bytes of messages received")
        self.sent_bytes = self._counter("sent_bytes", "Bytes of messages sent")
        self.frames = self._counter(
            "frames",
            "Frames answered; outcome is committed, duplicate, or the code of the nack",
            "kind",
            "lane",
            "outcome",
        )
        self.privacy_frames = Gauge(
            "mastra_gateway_privacy_frames",
            "What the gate of a connected device has done since it started, as it says itself; "
            "outcome is sent, masked (of those sent), withheld, or kept (records of its spool)",
            ("device", "stream", "mode", "outcome"),
            registry=self.registry,
        )
        self._privacy: dict[tuple[str, str], tuple[str, str]] = {}  # mode and session
        self.records = self._counter(
            "records",
            "Records; outcome is committed, duplicate, missing, or the code of the refusal",
            "outcome",
        )
        self.statuses = self._counter(
            "statuses", "Statuses of devices; outcome is kept or the code of the refusal", "outcome"
        )
        self.set_frames = self._counter(
            "set_frames",
            "Frames of sets; outcome is committed or the code of the refusal",
            "outcome",
        )
        self.applications = self._counter(
            "applications",
            "Records that applications have seen, and what came of it",
            *("application", "outcome"),
        )
        self.alarms = Gauge(
            "mastra_gateway_alarms",
            "Alarms that there are now; kind is silent, cut, gate, dropped, disk or rollout",
            ("kind",),
            registry=self.registry,
        )
        self.alarm_calls = self._counter(
            "alarm_calls",
            "Calls of the webhook; outcome is delivered, failed or dropped",
            "outcome",
        )
        self.key_frame_requests = self._counter("key_frame_requests", "Key frames asked for")
        self.frame_seconds = self._histogram(
            "frame_seconds", "From receipt of a frame to its commit", SECONDS, "lane"
        )
        self.decode_seconds = self._histogram("decode_seconds", "Decoding of a frame", SECONDS)
        self.batch_size = self._histogram(
            "batch_size", "Frames in one run of a model", BATCH_SIZES, "model"
        )
        self.process_ends = self._counter(
            "process_ends",
            "Processes of models that ended by themselves and were begun again",
            "model",
        )
        self.queue_seconds = self._histogram(
            "queue_seconds", "Wait of the oldest frame of a batch", SECONDS, "model"
        )
        self.inference_seconds = self._histogram(
            "inference_seconds", "One run of a model", SECONDS, "model"
        )
        self.commit_seconds = self._histogram(
            "commit_seconds", "One transaction of results", SECONDS
        )
        self.commit_size = self._histogram("commit_size", "Results in one transaction", BATCH_SIZES)
        # Their sets of labels are few and known, and looking one up costs as much as counting.
        self._frames_of = functools.cache(self.frames.labels)
        self._held_of = functools.cache(self.frame_seconds.labels)
        self._runs_of = functools.cache(
            lambda model: tuple(
                one.labels(model)
                for one in (self.batch_size, self.queue_seconds, self.inference_seconds)
            )
        )

    def on_frame(self, kind: str, lane: str, outcome: str) -> None:
        """Take in one frame that was answered."""
        self._frames_of(kind, lane, outcome).inc()

    def on_held(self, lane: str, seconds: float) -> None:
        """Take in how long a frame took from its receipt to its commit."""
        self._held_of(lane).observe(seconds)

    def on_batch(self, model: str, size: int, queue_ms: float, run_ms: float) -> None:
        """Take in one run of a model."""
        sizes, waits, runs = self._runs_of(model)
        sizes.observe(size)
        waits.observe(queue_ms / 1e3)
        runs.observe(run_ms / 1e3)

    def on_commit(self, results: int, seconds: float) -> None:
        """Take in one transaction."""
        self.commit_size.observe(results)
        self.commit_seconds.observe(seconds)

    def on_privacy(self, device: str, stream: str, report: PrivacyReport, session: str) -> None:
        """Take in what a device says of its gate in a session."""
        mode = report.mode if report.mode in MODES else "other"
        _, before = self._privacy.get((device, stream), ("", session))
        self.forget_privacy(device, stream, before)
        self._privacy[device, stream] = (mode, session)
        for outcome in OUTCOMES:
            value = getattr(report, outcome)
            self.privacy_frames.labels(device, stream, mode, outcome).set(value)

    def forget_privacy(self, device: str, stream: str, session: str) -> None:
        """A session has ended: what it said last, if another has not said more, is not known."""
        mode, said_in = self._privacy.get((device, stream), ("", ""))
        if mode and said_in == session:
            del self._privacy[device, stream]
            for outcome in OUTCOMES:
                self.privacy_frames.remove(device, stream, mode, outcome)

    def on_record(self, outcome: str, count: int) -> None:
        """Take in what became of so many records."""
        self.records.labels(outcome).inc(count)

    def on_status(self, outcome: str) -> None:
        """Take in what became of a status."""
        self.statuses.labels(outcome).inc()

    def on_set_frame(self, outcome: str) -> None:
        """Take in what became of a frame of a set."""
        self.set_frames.labels(outcome).inc()

    def on_alarms(self, counts: Mapping[str, int]) -> None:
        """Take in how many alarms of each kind there are."""
        for kind, count in counts.items():
            self.alarms.labels(kind).set(count)

    def on_application(self, name: str, outcome: str, count: int) -> None:
        """Take in what an application did."""
        self.applications.labels(name, outcome).inc(count)

    def text(self) -> bytes:
        """All of it in the OpenMetrics text format."""
        text: bytes = generate_latest(self.registry)  # type: ignore[no-untyped-call]
        return text

    def _counter(self, name: str, doc: str, *labels: str) -> Counter:
        return Counter(f"mastra_gateway_{name}", doc, labels, registry=self.registry)

    def _histogram(
        self, name: str, doc: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(
            f"mastra_gateway_{name}", doc, labels, buckets=buckets, registry=self.registry
        )
