"""Addresses without the secrets in them: for logs, diagnostics, reports and errors.

People write passwords into addresses as they are, so that an `@`, `/`, `:`, `#` or `?` may be part
of one, and no grammar tells where it ends. What could be a secret is therefore not shown, even
where it probably is none: everything between the scheme and the last `@`, and of a query
everything from the first parameter that is not known to be harmless.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any

HIDDEN = "***"

HARMLESS = frozenset(
    {
        *("camera", "ch", "channel", "codec", "compression", "fps", "framerate", "height"),
        *("profile", "proto", "quality", "rate", "resolution", "stream", "streamtype"),
        *("subtype", "trackid", "transportmode", "unicast", "videocodec", "width"),
    }
)
"""Parameters in the addresses of cameras that say what is wanted and never who asks."""

LOCAL = ("synthetic", "folder", "file", "v4l2")
"""Kinds of sources that are no addresses: what follows is a path or a name."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")
_NEXT = re.compile(r"(?<=[\s'\"(\[<,;])[A-Za-z][A-Za-z0-9+.\-]*://")
_HARMLESS_VALUE = re.compile(r"[A-Za-z0-9.\-]{0,16}")
_HOST = re.compile(r"[^:@\[\]]*(:[0-9]{1,5})?|\[[\w:.%]*\](:[0-9]{1,5})?|host:port", re.IGNORECASE)


def redact_uri(uri: str) -> str:
    """One address, such as the value of a parameter, without what may be secret."""
    kind, _, rest = uri.partition(":")
    if kind.strip().lower() in LOCAL:
        return f"{kind}:{redact(rest)}"
    found = _SCHEME.match(uri)
    scheme = found.group() if found else ""
    rest = uri[len(scheme) :]
    if not scheme and "@" not in rest:
        return redact(uri)
    return scheme + _without_secrets(rest)


def redact(text: str) -> str:
    """A text in which addresses may stand anywhere, such as a message of another library."""
    return "\n".join(_redact_line(line) for line in text.split("\n")) if "://" in text else text


def shown(value: Any) -> str:
    """The `repr` of a parameter's value, for an error or a log."""
    if isinstance(value, str):
        return repr(redact_uri(value) if "://" in value else value)
    if isinstance(value, (list, tuple)):
        inner = ", ".join(shown(item) for item in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    return redact(repr(value))


def redact_value(value: Any) -> Any:
    """A plain value as JSON and YAML have them: every text in it redacted, at any depth."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact_value(key): redact_value(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(redact_value(inner) for inner in value)
    return value


class RedactingFormatter(logging.Formatter):
    """Formats as usual, tracebacks included, and hides what is secret in all of it."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def redact_tracebacks() -> None:
    """From now on, tracebacks that Python prints for this process hide what is secret."""
    sys.excepthook = _print_exception
    threading.excepthook = lambda args: _print_exception(
        args.exc_type,
        args.exc_value if args.exc_value is not None else args.exc_type(),
        args.exc_traceback,
    )


def _print_exception(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, SystemExit) or sys.stderr is None:
        return
    lines = "".join(traceback.format_exception(kind, error, trace))
    sys.stderr.write(redact(lines))


def _redact_line(line: str) -> str:
    return "".join(_pieces(line))


def _pieces(line: str) -> Iterator[str]:
    """A line cut where an address begins; each piece with its address redacted."""
    starts = [found.start() for found in _NEXT.finditer(line)]
    first = _SCHEME.search(line)
    if first is not None and (not starts or first.start() < starts[0]):
        starts.insert(0, first.start())
    if not starts:
        yield line
        return
    yield line[: starts[0]]
    for start, end in zip(starts, [*starts[1:], len(line)], strict=True):
        yield _redact_piece(line[start:end], line[start - 1 : start])


def _redact_piece(piece: str, before: str) -> str:
    """An address and the words after it. An `@` in these hides them: it may be the address's."""
    scheme, _, rest = piece.partition("://")
    if scheme.lower() == "file" and "@" not in rest:
        return piece
    user, at, tail = rest.rpartition("@")
    ends = before if before in ("'", '"') and before in tail else r"\s'\""
    words = re.split(f"[{ends}]", tail, maxsplit=1)[0].rstrip(":;,.!?)>\u2026")
    address_end = len(user) + len(at) + len(words)
    return f"{scheme}://{_without_secrets(rest[:address_end])}{rest[address_end:]}"


def _without_secrets(rest: str) -> str:
    """What stands after the scheme: `[user[:password]@]host[:port][/path][?query]`."""
    user, at, tail = rest.rpartition("@")
    asked = re.search(r"[?#]", user)
    if asked is not None and _HOST.fullmatch(re.split("[/\\\\]", user[: asked.start()])[0]):
        # The last @ may be of a query, whose rest is no host: nothing is sure to be harmless.
        return HIDDEN
    if at and "@" in user and asked is not None:
        return HIDDEN
    return (f"{HIDDEN}@" if at else "") + _without_query(tail)


def _without_query(tail: str) -> str:
    """A host and a path, and of the query the harmless beginning."""
    place, mark, query = _cut(tail)
    host, *folders = place.split("/")
    if not _HOST.fullmatch(host):
        return HIDDEN  # user:password without an @
    for n, folder in enumerate(folders):
        if re.search("[=&:]", folder):  # parameters in the path, as some cameras have them
            return "/".join([host, *folders[:n], HIDDEN])
    return place + (mark + _harmless(query) if mark else "")


def _cut(text: str) -> tuple[str, str, str]:
    found = re.search("[?#]", text)
    if found is None:
        return text, "", ""
    return text[: found.start()], found.group(), text[found.end() :]


def _harmless(query: str) -> str:
    kept: list[str] = []
    for part in query.split("&"):
        name, equals, value = part.partition("=")
        if not equals or name.lower() not in HARMLESS or not _HARMLESS_VALUE.fullmatch(value):
            known = name.lower() if equals and re.fullmatch(r"[A-Za-z_]{1,12}", name) else ""
            return "&".join([*kept, f"{known}={HIDDEN}" if known else HIDDEN])
        kept.append(part)
    return "&".join(kept)
