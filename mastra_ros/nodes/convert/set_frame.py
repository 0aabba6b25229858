"""Frames of sets <-> mastra_ros/Packet."""

from __future__ import annotations

from ...errors import MessageError, RecordError
from ...msg import Packet as PacketMsg
from ...sets import SetFrame
from .state import packet_from_ros, packet_to_ros


def set_frame_to_ros(frame: SetFrame, frame_id: str, *, coding: str = "") -> PacketMsg:
    """SetFrame -> mastra_ros/Packet."""
    if frame.packet is None:
        return PacketMsg(set=frame.set, set_sequence=frame.sequence, set_ends=True)
    message = packet_to_ros(frame.packet, frame_id, coding=coding)
    message.set = frame.set
    message.set_sequence = frame.sequence
    return message


def set_frame_from_ros(msg: PacketMsg, stream: str) -> SetFrame:
    """mastra_ros/Packet with the name of a set -> SetFrame. Raises MessageError."""
    packet = None if msg.set_ends else packet_from_ros(msg, stream)
    try:
        return SetFrame(msg.set, int(msg.set_sequence), packet)
    except RecordError as error:
        raise MessageError(f"packet: {error}") from None
