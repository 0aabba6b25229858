"""Which messages are of an extension: said only where hello and welcome have both named it.

Heard otherwise, such a message is skipped, as every extension that is not known.
"""

from __future__ import annotations

from .artefacts import ARTEFACT_MESSAGES
from .artefacts import EXTENSION as ARTEFACTS
from .messages import Message
from .records import EXTENSION as RECORDS
from .records import RECORD_MESSAGES

_OF = {
    **dict.fromkeys(RECORD_MESSAGES, RECORDS),
    **dict.fromkeys(ARTEFACT_MESSAGES, ARTEFACTS),
}


def extension_of(message: Message) -> str:
    """The name of its extension; empty for those of the protocol itself."""
    return _OF.get(type(message), "")
