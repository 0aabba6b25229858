"""Bytes <-> messages and the session state machine, without sockets; used by both ends.

messages.py  what can be said        envelope.py  how it looks as bytes
records.py, artefacts.py  of records and artefacts, which are extensions
session.py   when it may be said     tokens.py    who may say it
keys.py      the folder of keys      tls.py       TLS contexts, 1.3 and nothing lower
"""

from .envelope import MESSAGE_BYTES_MAX, decode, encode
from .events import Event, Opened, Refused, Send, Silent
from .link import LinkEstimate
from .messages import (
    VERSION,
    VERSION_MIN,
    Ack,
    FrameMessage,
    Goodbye,
    Heartbeat,
    HeartbeatAck,
    Hello,
    KeyFrameRequest,
    Message,
    Nack,
    PrivacyReport,
    Probe,
    ProbeAck,
    Renewal,
    ResultMessage,
    Settings,
    Welcome,
)
from .records import Records, RecordsAck
from .session import LEGAL, Role, Session, State

__all__ = [
    "LEGAL",
    "MESSAGE_BYTES_MAX",
    "VERSION",
    "VERSION_MIN",
    "Ack",
    "Event",
    "FrameMessage",
    "Goodbye",
    "Heartbeat",
    "HeartbeatAck",
    "Hello",
    "KeyFrameRequest",
    "LinkEstimate",
    "Message",
    "Nack",
    "Opened",
    "PrivacyReport",
    "Probe",
    "ProbeAck",
    "Records",
    "RecordsAck",
    "Refused",
    "Renewal",
    "ResultMessage",
    "Role",
    "Send",
    "Session",
    "Settings",
    "Silent",
    "State",
    "Welcome",
    "decode",
    "encode",
]
