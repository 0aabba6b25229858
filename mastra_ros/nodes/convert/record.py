"""Records <-> mastra_ros/Record."""

from __future__ import annotations

from array import array

from std_msgs.msg import Header

from ...errors import MessageError, RecordError
from ...msg import Record as RecordMsg
from ...records import BODY_BYTES_MAX, Record, unpack_body
from .image import stamp_from_ros, stamp_to_ros


def record_to_ros(record: Record) -> RecordMsg:
    """Record -> mastra_ros/Record."""
    body = array("B")
    body.frombytes(record.packed())
    header = Header(stamp=stamp_to_ros(record.stamp_ns))
    return RecordMsg(header=header, id=record.id, kind=record.kind, body=body)


def record_from_ros(msg: RecordMsg) -> Record:
    """mastra_ros/Record -> Record. Raises MessageError."""
    if len(msg.body) > BODY_BYTES_MAX:
        raise MessageError(f"record: expected at most {BODY_BYTES_MAX} bytes, got {len(msg.body)}")
    try:
        body = unpack_body(bytes(msg.body))
        return Record(msg.kind, stamp_from_ros(msg.header.stamp), body, msg.id)
    except RecordError as error:
        raise MessageError(str(error)) from None
