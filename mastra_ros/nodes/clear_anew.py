"""Clears records of the spool that were made under another promise than today's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..bridge.clearing import Clearer, NothingToHide
from ..compression import Decoder, Encoder, decode_features
from ..config import CompressionConfig, PrivacyConfig
from ..errors import CodecError, Withheld
from ..privacy import FeatureRule, Gate, open_gate
from ..privacy.gate import OFF
from ..types import GateState, Packet, PacketKind


class ClearAnew:
    """See `Clearer`. The finders are opened when the first such record is met."""

    def __init__(
        self, config: PrivacyConfig, open_: Callable[[PrivacyConfig], Gate] = open_gate
    ) -> None:
        self._config = config
        self._open = open_
        self._gate: Gate | None = None
        self._features = FeatureRule(config)

    def passes_live(self, packet: Packet) -> bool:
        """See Clearer."""
        return packet.clearance.startswith(f"{self._config.mode}:")

    def passes(self, packet: Packet, state: GateState) -> bool:
        """See Clearer."""
        if not self.passes_live(packet) or packet.clearance != state.clearance:
            return False
        return packet.kind is not PacketKind.FEATURES or not self._refused(packet)

    def anew(self, packet: Packet) -> Packet:
        """See Clearer. Changed regions without their reference show nothing that can be searched.

        Raises Withheld, or CodecError where the record cannot be decoded.
        """
        if packet.kind is PacketKind.DELTA:
            raise Withheld("changed regions alone cannot be searched")
        if self._gate is None:
            self._gate = self._open(self._config)
        gate = self._gate
        if packet.kind is PacketKind.FEATURES:
            if refusal := self._refused(packet):
                raise Withheld(f"features that may not leave: {refusal}")
            if not gate.clearance:
                raise Withheld(gate.shut or "the gate is shut")
            return replace(packet, clearance=gate.clearance)
        frame = Decoder().decode(replace(packet, late=True))
        cleared = gate.clear(frame, late=True)
        encoder = Encoder(CompressionConfig(), packet.key.stream)
        return encoder.encode(cleared, hard=packet.hard, late=True)

    def _refused(self, packet: Packet) -> str:
        """Why these features may not leave today, whatever they were cleared under."""
        refusal = self._features.refusal()
        if refusal or self._config.features == "allow":
            return refusal
        try:
            features = decode_features(packet)
        except CodecError as error:
            return str(error)
        return self._features.refusal(features.cut, features.pair)

    def close(self) -> None:
        """Free the finders."""
        if self._gate is not None:
            self._gate.close()


def clearer_of(config: PrivacyConfig) -> Clearer:
    """What looks at the packets before the wire."""
    return NothingToHide() if config.mode == OFF else ClearAnew(config)
