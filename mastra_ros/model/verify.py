"""What is in a bundle, and whether it is what it says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..errors import DependencyError, ModelError
from ..inference.bundle import FILE_NAME, Bundle, BundlePart, load_bundle
from ..inference.contract import Feed, agree, agree_head, agree_tail
from ..inference.engines.engine import Engine
from ..inference.opening import open_engine

COMPANIONS = ("README*", "LICENSE*", "LICENCE*", "NOTICE*", "report/*")
"""Files that may lie beside the models without being described."""


@dataclass(frozen=True)
class Check:
    """One thing looked at: `problem` is empty where it is in order."""

    what: str
    problem: str = ""
    note: str = ""  # what was found


def verify(folder: Path) -> list[Check]:
    """Look at everything in the bundle's folder and try each of its models.

    Raises ModelError only where there is no readable description to check against.
    """
    document = read_document(folder)
    described = dict(described_files(document))
    checks = [_check_file(folder / name, digest) for name, digest in described.items()]
    checks += [
        Check(name, "is not part of the bundle (foreign file)")
        for name in _foreign(folder, set(described) | {FILE_NAME})
    ]
    try:
        bundle = load_bundle(str(folder.absolute()))
    except ModelError as error:
        text = str(error).removeprefix(f"{folder.absolute() / FILE_NAME}: ")
        return [Check(FILE_NAME, text), *checks]
    return [
        Check(FILE_NAME, note=f"{bundle.name} {bundle.version}, {bundle.task}"),
        *checks,
        *(_try_part(bundle, name) for name in bundle.parts),
    ]


def read_document(folder: Path) -> dict[str, Any]:
    """bundle.yaml as it stands. Raises ModelError where it is missing or not YAML."""
    path = folder / FILE_NAME
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{folder}: no bundle, it has no {FILE_NAME}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        text = " ".join(str(error).split())
        raise ModelError(f"{path}: cannot be read: {text}") from error
    if not isinstance(document, dict):
        raise ModelError(f"{path}: expected a mapping, got {type(document).__name__}")
    return document


def described_files(document: object) -> Iterator[tuple[str, str]]:
    """Every file that the description names, with its digest, however deep it stands."""
    if isinstance(document, dict):
        name, digest = document.get("file"), document.get("sha256")
        if isinstance(name, str) and isinstance(digest, str):
            yield name, digest.lower()
        for value in document.values():
            yield from described_files(value)
    elif isinstance(document, list):
        for value in document:
            yield from described_files(value)


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _check_file(path: Path, digest: str) -> Check:
    if not path.is_file():
        return Check(path.name, "is missing")
    found = digest_of(path)
    if found != digest:
        return Check(path.name, f"is damaged or another file: SHA-256 {found}, not {digest}")
    return Check(path.name, note=f"{path.stat().st_size} bytes, SHA-256 {digest[:16]}…")


def _foreign(folder: Path, known: set[str]) -> list[str]:
    names = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        companion = any(relative.match(pattern) for pattern in COMPANIONS)
        if path.is_file() and relative.as_posix() not in known and not companion:
            names.append(relative.as_posix())
    return names


def _try_part(bundle: Bundle, name: str) -> Check:
    """Load the model and hold it against the description."""
    part = bundle.part(name)
    what = f"{name} on {part.engine}"
    try:
        engine = open_engine(part)
    except DependencyError as error:
        return Check(what, note=f"not tried: {error}")
    except ModelError as error:
        return Check(what, str(error))
    try:
        note = _agree(bundle, part, engine)
    except ModelError as error:
        return Check(what, str(error))
    finally:
        engine.close()
    return Check(what, note=note)


def _agree(bundle: Bundle, part: BundlePart, engine: Engine) -> str:
    """What the part is fed, where it keeps its contract; ModelError where it does not."""
    if part.name == "tail":
        agree_tail(bundle, part, engine)
        return str(engine.inputs[0])
    feed: Feed = (
        agree_head(bundle, part, engine)
        if part.name == "head"
        else agree(bundle, part, engine).feed
    )
    return f"{feed.spec}, {feed.layout}"
