"""Exceptions of Mastra.

MastraError
├── ConfigError            a parameter, parameter file or command line that cannot be accepted
├── SourceError            a camera, video or folder that cannot be read
│   ├── SourceEnded        a finite source has given its last frame
│   └── SourceStalled      a source gave nothing in time
├── FrameError             one frame that is not an image we understand; the next may be fine
├── MessageError           a ROS message whose fields make no sense; it is dropped
├── RecordError            a record of an application that cannot be kept
├── VolumeError            a sweep or a stack of slices of which no volume can be made
├── StatusError            a status of a device that is none
├── ModelError             a model or bundle that is missing, damaged or of the wrong shape
├── DataError              a folder of labelled pictures that cannot be used
├── DependencyError        an optional package is needed and not installed; says how to install it
├── CodecError             one packet that cannot be decoded
│   └── ReferenceMissing   a delta frame whose reference the decoder does not hold
├── Withheld               one frame or tensor that may not leave the device; it stays here
├── ProtocolError          bytes or messages that break the protocol; the connection is closed
├── AuthenticationError    a token, key or address that is refused
├── LinkError              the link to the gateway cannot carry a message now
├── SpoolError             the spool on disk cannot be used
└── StoreError             the gateway's database of results cannot be used

An error says what was expected and what was found, with units, in one line.
"""

from __future__ import annotations


class MastraError(Exception):
    """Base of all errors that Mastra raises on purpose."""


class ConfigError(MastraError):
    """A parameter, a parameter file or a command line cannot be accepted."""


class SourceError(MastraError):
    """A camera, video or folder cannot be read."""


class SourceEnded(SourceError):  # noqa: N818 - the end of a file is no fault
    """A finite source has given its last frame."""


class SourceStalled(SourceError):  # noqa: N818 - named for the state of the source
    """A source gave nothing in time."""


class FrameError(MastraError):
    """One frame is not an image that we understand; the next one may be."""


class MessageError(MastraError):
    """The fields of a ROS message make no sense."""


class RecordError(MastraError):
    """A record of an application makes no sense, or there is no room for it."""


class VolumeError(MastraError):
    """A sweep or a stack of slices of which no volume can be made."""


class StatusError(MastraError):
    """A status of a device is too large, or of no shape that we know."""


class ModelError(MastraError):
    """A model or a bundle is missing, damaged or of the wrong shape."""


class DataError(MastraError):
    """A folder of labelled pictures cannot be used."""


class DependencyError(MastraError):
    """A package that only this feature needs is not installed."""


class CodecError(MastraError):
    """One packet cannot be decoded."""


class ReferenceMissing(CodecError):  # noqa: N818 - named for what the peer must send
    """A delta frame names a reference that the decoder does not hold."""


class Withheld(MastraError):  # noqa: N818 - named for what becomes of the frame
    """One frame or tensor may not leave the device: what had to be hidden in it is not known."""


class ProtocolError(MastraError):
    """Bytes or messages break the protocol."""


class AuthenticationError(MastraError):
    """A token, a key or an address is refused."""


class LinkError(MastraError):
    """The link to the gateway cannot carry a message now."""


class SpoolError(MastraError):
    """The spool on disk cannot be used."""


class StoreError(MastraError):
    """The gateway's database of results cannot be used."""
