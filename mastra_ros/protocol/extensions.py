"""Which messages are of an extension: said only where hello and welcome have both named it.

Heard otherwise, such a message is skipped, as every extension that is not known.
"""

from __future__ import annotations

from .artefacts import ARTEFACT_MESSAGES, ArtefactAck, ArtefactOffer, ArtefactPiece, ArtefactRequest
from .artefacts import EXTENSION as ARTEFACTS
from .messages import Message
from .pictures import EXTENSION as PICTURES
from .pictures import PICTURE_MESSAGES, PicturePiece, PictureWish, PictureWithheld
from .records import EXTENSION as RECORDS
from .records import RECORD_MESSAGES, Records, RecordsAck
from .sets import EXTENSION as SETS
from .sets import SET_MESSAGES, SetAck, SetPiece
from .statuses import EXTENSION as STATUS
from .statuses import STATUS_MESSAGES, StatusNack, StatusReport

UP: tuple[type[Message], ...] = (
    *(Records, ArtefactRequest, ArtefactAck, StatusReport, SetPiece),
    *(PicturePiece, PictureWithheld),
)
"""What a device may say of them while its session is open."""
DOWN: tuple[type[Message], ...] = (
    *(RecordsAck, ArtefactOffer, ArtefactPiece, StatusNack, SetAck),
    PictureWish,
)
"""What a gateway may."""
EXTENDING = RECORD_MESSAGES + ARTEFACT_MESSAGES + STATUS_MESSAGES + SET_MESSAGES + PICTURE_MESSAGES

_OF = {
    **dict.fromkeys(RECORD_MESSAGES, RECORDS),
    **dict.fromkeys(ARTEFACT_MESSAGES, ARTEFACTS),
    **dict.fromkeys(STATUS_MESSAGES, STATUS),
    **dict.fromkeys(SET_MESSAGES, SETS),
    **dict.fromkeys(PICTURE_MESSAGES, PICTURES),
}


def extension_of(message: Message) -> str:
    """The name of its extension; empty for those of the protocol itself."""
    return _OF.get(type(message), "")
