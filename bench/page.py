"""What a benchmark writes between two marks of a page of the docs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
START, END = "<!-- measured: start -->", "<!-- measured: end -->"


def between(text: str, made: str, start: str = START, end: str = END) -> str:
    """The page with `made` between its marks."""
    before, rest = text.split(start)
    after = rest.split(end)[1]
    return f"{before}{start}\n{made}\n{end}{after}"


def write(page: str, new: str, *, check: bool) -> int:
    """Write a page; with `check` nothing is written, and the status is 1 if it is old."""
    path = ROOT / page
    if check:
        return int(new != path.read_text(encoding="utf-8"))
    path.write_text(new, encoding="utf-8")
    return 0


def read(page: str) -> str:
    """The page as it is."""
    return (ROOT / page).read_text(encoding="utf-8")


def asked_to_check(doc: str | None) -> bool:
    """Whether the command line says --check."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 if it is old")
    return bool(parser.parse_args().check)


def missed(document: dict[str, Any]) -> list[str]:
    """The bars of a result that do not hold, as lines."""
    bars = document.get("bars", [])
    short = [bar for bar in bars if not bar["holds"]]
    if not short:
        return [f"All {len(bars)} bars hold."]
    lines = [f"{len(bars) - len(short)} of {len(bars)} bars hold. Those that do not:", ""]
    for bar in short:
        value = "not measured" if bar["value"] is None else f"{bar['value']:g}"
        lines.append(f"- {bar['name']} {bar['bar']:g}: {value}")
    return lines
