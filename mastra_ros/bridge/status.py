"""What the bridge tells about itself."""

from __future__ import annotations

from dataclasses import dataclass

from ..types import LinkSample


@dataclass(frozen=True)
class BridgeStatus:
    """The link and the spool at one moment; totals count since the bridge was made."""

    link: LinkSample
    gateway: str = ""  # address, empty when there is none
    session: int = 0  # sessions opened
    acknowledged_ns: int = 0  # stamp of the newest picture of this session that the gateway holds
    acknowledged_id: str = ""  # id of its frame
    key_frame_needed: bool = False  # the gateway asked for one, and none was sent since
    key_frames_asked: int = 0  # counts what asked: one key frame answers all that asked before it
    codecs: tuple[str, ...] = ()  # bitstreams of video that the gateway decodes
    uploaded_bytes: int = 0  # given to the socket
    spooled_total: int = 0  # records ever put on disk
    spooled_bytes: int = 0  # on disk now
    delivered_late: int = 0  # records of the spool that the gateway acknowledged
    dropped: int = 0  # records given up: bounds of the spool, trouble with it, lost references
    withheld: int = 0  # live packets refused: they came without today's clearance
    kept: int = 0  # records of the spool that may not leave
    records: int = 0  # of applications that wait on disk for the gateway
    records_delivered: int = 0  # of these, committed by the gateway
    records_refused: int = 0  # that never were kept, or that the gateway refused for good
    set_frames: int = 0  # of sets that wait on disk for the gateway
    set_frames_delivered: int = 0  # of these, committed by the gateway
    set_frames_refused: int = 0  # that never were kept, or that the gateway refused for good
    set_error: str = ""  # last trouble with them, empty while all is well
    artefacts_received: int = 0  # whole, from the gateway
    record_error: str = ""  # last trouble with records, empty while all is well
    error: str = ""  # last trouble with link or spool, empty while all is well
