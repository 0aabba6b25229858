"""`mastra model fit`: whether the device model fits a microcontroller."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from ..output import check_output, write_json

HELP = """\
Run the int8 model of a bundle in TensorFlow Lite Micro on this machine and hold what it takes
against a microcontroller's RAM, flash and clock. The status is 1 where it does not fit."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("bundle", metavar="BUNDLE", help="folder, or name of an installed bundle")
    parser.add_argument("--target", default="stm32h7", help="microcontroller; default: stm32h7")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    from ...inference import load_bundle
    from ...model.fit.fit import check_int8, fit, target_named
    from ...model.progress import Bar

    check_output(args.json, "--json")
    target = target_named(args.target)
    path = load_bundle(args.bundle).part("local").path
    check_int8(path)
    found = fit(path, target, Bar())
    arena = "-" if found.arena_bytes is None else f"{found.arena_bytes}"
    total = sum(found.macs.values())
    by_kind = ", ".join(f"{kind} {number}" for kind, number in found.macs.items())
    print(f"target   {target.part}: {target.core} at {target.clock_hz / 1e6:.0f} MHz")
    print(
        f"flash    {found.flash_bytes} of {target.flash_bytes} bytes "
        f"(model {found.model_bytes}, runtime about {target.runtime_bytes})"
    )
    print(
        f"RAM      arena {arena} of {target.ram_bytes} bytes in one piece "
        f"({target.ram_total_bytes} in all; measured on 64 bits: an upper bound)"
    )
    print(f"work     {total} MAC: {by_kind}")
    print(f"time     about {found.latency_ms:.0f} ms ({found.cycles / 1e6:.1f} million cycles)")
    for source in target.sources:
        print(f"source   {source}")
    for problem in found.problems:
        print(f"WRONG    {problem}")
    fits = not found.problems
    print(f"{path}: {'fits' if fits else 'does not fit'} {target.part}")
    if args.json:
        document = {**asdict(found), "latency_ms": found.latency_ms, "problems": found.problems}
        write_json(args.json, document)
    return 0 if fits else 1
