"""Maps in msgpack that somebody else packed: of bounded size, text as keys, no other types."""

from __future__ import annotations

from typing import Any

import msgpack

from .errors import MastraError


def unpack_map(
    packed: bytes,
    what: str,
    refused: type[MastraError],
    *,
    bytes_max: int,
    list_max: int,
    map_max: int,
) -> Any:
    """What is packed, to be checked further; `refused` (text begins with `what`) where nothing is.

    list_max, map_max: entries of one list and of one map, refused before they are made.
    """
    if type(packed) is not bytes or len(packed) > bytes_max:
        size = len(packed) if isinstance(packed, bytes) else type(packed).__name__
        raise refused(f"{what}: expected at most {bytes_max} bytes, got {size}")
    try:
        return msgpack.unpackb(
            packed,
            raw=False,
            strict_map_key=True,
            max_array_len=list_max,
            max_map_len=map_max,
            max_ext_len=0,
        )
    except (ValueError, TypeError, RecursionError) as error:
        text = str(error)[:100] or type(error).__name__
        raise refused(f"{what}: expected a map as msgpack ({text})") from None
