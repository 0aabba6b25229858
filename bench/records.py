"""Records up and artefacts down: how fast, at what cost to live frames, and whether any is lost.

    python -m bench.records [--parts rate cost kills artefact sets] [--seconds 8]
                            [--kills 20 --records 20000] [--long] [--out bench/results/records.json]

rate   records committed a second over TLS, from 1 and 16 devices that keep two messages of 64
       records each in flight; beside it NATS JetStream, told to sync always, where it is installed
       (MASTRA_EXTRAS=bench make setup), and SQLite alone, which commits the same groups in this
       process; in three rounds, after each other
cost   ages of live frames over a link of 5 Mbit/s: alone, with a backlog of records, and with a
       large artefact on its way down
kills  devices and gateway are killed (SIGKILL) in turn while records go up over a link that is cut
       again and again: none may be lost, none counted twice, and each kind in order
artefact  20 MB over 5 Mbit/s with cuts, beside live frames and their ages alone
sets   2,000 frames of a set through kills of both sides and cuts

--long is what is published: 1,000 kills and 100,000 records (20 minutes), 200 kills for a set (3),
an artefact of 200 MB (10, and 4 for the ages of live frames alone). rate takes 2 minutes, cost 1;
these two and artefact want a quiet machine, the others assert that nothing is lost, wherever they
run.

Parts that are not named keep what `--out` has of them. The tables in docs/architecture.md are
written by `python -m bench.records_table`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bench.pinned  # noqa: F401
from bench.bars import judged
from bench.records_artefact import artefact
from bench.records_bars import BYTES, FRAMES, KILLS, RECORDS
from bench.records_cost import cost
from bench.records_kills import kills
from bench.records_rate import BODY, GROUP, rate
from bench.records_sets import sets
from mastra_ros.records import pack_body

PARTS = ("rate", "cost", "kills", "artefact", "sets")
ARTEFACT = 20_000_000


def main() -> int:
    """Measure and write the report, after each part."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seconds", type=float, default=8.0, help="of each run")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--records", type=int, default=20_000, help="told between the kills")
    parser.add_argument("--frames", type=int, default=FRAMES, help="of the set")
    parser.add_argument("--artefact-bytes", type=int, default=ARTEFACT)
    parser.add_argument("--long", action="store_true", help="what is published")
    parser.add_argument("--out", type=Path, default=Path("bench/results/records.json"))
    args = parser.parse_args()
    if args.long:
        args.kills, args.records, args.frames, args.artefact_bytes = KILLS, RECORDS, FRAMES, BYTES
    measure: dict[str, Callable[[], Any]] = {
        "rate": lambda: rate(args.seconds),
        "cost": lambda: cost(args.seconds),
        "kills": lambda: kills(args.kills, args.records),
        "artefact": lambda: artefact(args.artefact_bytes, (15 if args.long else 3) * args.seconds),
        "sets": lambda: sets(args.frames, max(2, args.kills // 5)),
    }
    result = json.loads(args.out.read_text()) if args.out.exists() else {}
    result |= {
        "machine": {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "group": GROUP,
        "body_bytes": len(pack_body(BODY)),
    }
    for part in PARTS:
        if part in args.parts:
            loads = result.setdefault("load_average", {})
            loads[part] = round(os.getloadavg()[0], 2)  # before
            result[part] = measure[part]()
            result = judged("records", result)
            args.out.parent.mkdir(parents=True, exist_ok=True)
            args.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
