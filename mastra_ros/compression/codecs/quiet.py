"""FFmpeg and the encoders in it talk too much; here they keep silent, or to a few words."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_codecs() -> Iterator[None]:
    """No lines of the codecs' own while one is opened: what goes wrong is raised."""
    import av.logging

    os.environ.setdefault("SVT_LOG", "0")  # SVT-AV1 reads this when it is opened: fatal only
    if av.logging.get_level() is not None:
        av.logging.set_level(None)
    yield


def told(error: Exception) -> str:
    """What PyAV says of a fault, as a few words: its own texts hold all options."""
    text = getattr(error, "strerror", None) or type(error).__name__
    return str(text).splitlines()[0]
