"""The bridge node: `packet` -> gateway -> `cloud_result`, and the state of the `link`."""

from __future__ import annotations

import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from std_msgs.msg import Float32

from ..bridge import BridgeClient, BridgeStatus
from ..bridge.artefacts import Received
from ..bridge.connection import check_config
from ..bridge.news import News
from ..bridge.pictures import ShownPictures
from ..compression.codecs import writable_formats
from ..config import BridgeConfig
from ..msg import Artefact, InferenceResult, LinkState, Packet, PrivacyState, ScheduleState
from ..msg import FrameKey as FrameKeyMsg
from ..msg import Record as RecordMsg
from ..types import Detections, FrameKey, Result, Route
from . import convert
from .clear_anew import clearer_of
from .lifecycle import LASTING, LATEST, RELIABLE, Health, StageNode, settings_text
from .privacy import SECTION, read_section
from .process import run
from .settings import SettingsForwarder
from .telling import DeviceTeller

STOP_TIMEOUT_S = 3.0
CHANGES_TOLD = 5
"""So often a minute the same change of the link is told; a link that flaps is in diagnostics."""
STATUS_S = 1.0
"""How this device is, is told so often."""
SETTINGS_S = 0.2
"""How soon a setting that the gateway asks for is passed on."""


class BridgeNode(StageNode):
    """Hands packets to the bridge and publishes what it hears."""

    stage = "bridge"
    config: BridgeConfig

    def __init__(self, **node_options: Any) -> None:
        self._client: BridgeClient | None = None
        self.status: BridgeStatus | None = None
        self._news = News(CHANGES_TOLD)
        super().__init__(**node_options)

    def set_up(self) -> None:
        check_config(self.config)
        self._clearer = clearer_of(read_section(self))
        self._results = self.advertise(InferenceResult, "cloud_result", RELIABLE)
        self._links = self.advertise(LinkState, "link", RELIABLE)
        self._artefacts = self.advertise(Artefact, "artefact", LASTING)
        self._renewals = self.advertise(FrameKeyMsg, "renew", RELIABLE)
        self._looks = self.advertise(Float32, "look", RELIABLE)
        self._teller = DeviceTeller(self.get_namespace())
        self._settings = SettingsForwarder(self)
        self.on_clean_up(self._settings.close)

    def start(self) -> None:
        self._shown = ShownPictures(self._on_look) if self.config.show_pictures else None
        self._client = BridgeClient(
            self.config,
            on_result=self._on_result,
            on_failed=self._on_failed,
            on_status=self._on_status,
            on_renew=self._on_renew,
            on_artefact=self._on_artefact,
            clearer=self._clearer,
            on_settings=self._settings.take if self.config.accept_settings else None,
            codecs=writable_formats(),
            pictures=self._shown,
        )
        self.every(SETTINGS_S, self._settings.forward)
        self._client.start()
        self.listen(PrivacyState, SECTION, self._on_gate, LATEST)
        self.listen(Packet, "packet", self._on_packet, RELIABLE)
        if self._shown is not None:
            self.listen(Packet, "seen", self._on_seen, RELIABLE)
        # Those told while this node was away come again, and are known by their ids.
        self.listen(RecordMsg, "record", self._on_record, LASTING)
        if self.config.gateway:
            self.listen(ScheduleState, "schedule", self._teller.on_schedule, RELIABLE)
            self.listen(DiagnosticArray, "/diagnostics", self._teller.on_diagnostics, RELIABLE)
            self.every(STATUS_S, self._tell_status)
        self.get_logger().info(
            f"gateway {self.config.gateway or 'none'}: {settings_text(self.config)}"
        )

    def halt(self) -> None:
        if self._client is not None:
            self._client.stop(STOP_TIMEOUT_S)
            self._client = None

    def health(self) -> Health:
        status = self.status
        if status is None:
            return "ok", "inactive", {}
        values = {
            "connected": status.link.connected,
            "rtt_ms": f"{status.link.rtt_ms:.1f}",
            "spooled": status.link.spooled,
            "dropped": status.dropped,
            "records": status.records,
            "records_refused": status.records_refused,
            "set_frames": status.set_frames,
            "set_frames_refused": status.set_frames_refused,
            "privacy_withheld": status.withheld,
            "privacy_kept": status.kept,
        }
        if status.record_error:
            return "error", f"records: {status.record_error}", values
        if status.set_error:
            return "error", f"sets: {status.set_error}", values
        if status.link.connected or not self.config.gateway:
            return "ok", "running", values
        return "warn", status.error or "not connected", values

    def _on_packet(self, message: Packet) -> None:
        assert self._client is not None
        if message.set:
            self._client.send_set_frame(convert.set_frame_from_ros(message, self.config.stream))
            return
        packet = convert.packet_from_ros(message, self.config.stream)
        self._client.send(packet, float(message.deadline_ms))
        self._teller.on_packet(message)

    def _on_record(self, message: RecordMsg) -> None:
        assert self._client is not None
        self._client.send_record(convert.record_from_ros(message))

    def _on_artefact(self, received: Received) -> None:
        if self._client is not None:
            told = convert.artefact_to_ros(received, self.now_stamp_ns())
            self._artefacts.publish(told)
            self.get_logger().debug(f"artefact {told.kind} {told.name} {told.version}: {told.path}")

    def _on_look(self, lease_s: float) -> None:
        """The gateway says that somebody looks at this device."""
        if self._client is not None:
            self._looks.publish(Float32(data=lease_s))

    def _on_seen(self, message: Packet) -> None:
        """A picture for them, or why there is none."""
        assert self._shown is not None
        if message.payload:
            self._shown.send(convert.packet_from_ros(message, self.config.stream))
        else:
            self._shown.withhold(message.meta)

    def _on_gate(self, message: PrivacyState) -> None:
        assert self._client is not None
        state = convert.privacy_from_ros(message)
        self._client.gate(state)
        self._teller.on_gate(state)

    def _tell_status(self) -> None:
        if self._client is not None and self.status is not None:
            told = self._teller.take(self.status, time.time_ns(), self._settings.told())
            self._client.send_status(told)

    def _on_result(self, result: Result) -> None:
        if self._client is None:  # a client slow to stop may speak after the publishers are gone
            return
        self._results.publish(convert.result_to_ros(result, ""))

    def _on_failed(self, key: FrameKey, reason: str) -> None:
        if self._client is None:
            return
        failure = Result(key, Route.CLOUD, Detections.empty(), error=reason)
        self._results.publish(convert.result_to_ros(failure, ""))

    def _on_renew(self, key: FrameKey) -> None:
        if self._client is not None:
            self._renewals.publish(convert.frame_key_to_ros(key, ""))

    def _on_status(self, status: BridgeStatus) -> None:
        before, self.status = self.status, status
        if self._client is None:
            return
        if before is None or before.link.connected != status.link.connected:
            state = "connected to" if status.link.connected else "no link to"
            why = f": {status.error}" if status.error else ""
            text = f"{state} {status.gateway or 'any gateway'}{why}"
            if line := self._news.line(text, time.monotonic_ns()):
                self.get_logger().info(line)
        self._links.publish(
            convert.link_to_ros(
                convert.LinkStatus(
                    status.link,
                    gateway=status.gateway,
                    spooled_bytes=status.spooled_bytes,
                    uploaded_bytes=status.uploaded_bytes,
                    spooled_total=status.spooled_total,
                    delivered_late=status.delivered_late,
                    dropped=status.dropped,
                    session=status.session,
                    acknowledged_ns=status.acknowledged_ns,
                    acknowledged_id=status.acknowledged_id,
                    key_frame_needed=status.key_frame_needed,
                    records=status.records,
                    records_delivered=status.records_delivered,
                    records_refused=status.records_refused,
                    record_error=status.record_error,
                    set_frames=status.set_frames,
                    set_frames_delivered=status.set_frames_delivered,
                    set_frames_refused=status.set_frames_refused,
                    set_error=status.set_error,
                    key_frames_asked=status.key_frames_asked,
                    codecs=status.codecs,
                ),
                self.now_stamp_ns(),
            )
        )


def main() -> int:
    """Entry point of the executable `bridge`."""
    return run(BridgeNode)
