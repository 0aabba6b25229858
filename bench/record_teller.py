"""A device in a process of its own that tells records: to be killed, and started again.

    python -m bench.record_teller GATEWAY KEYS FOLDER COUNT DEVICE

It tells COUNT records, numbered, of two kinds. FOLDER holds its spool and how many it has told:
started again, it tells the last ones once more under their ids, as a node of ROS would.
"""

from __future__ import annotations

import sys
import time

from bench.teller import open_teller
from mastra_ros.records import Record

AGAIN = 400
"""So many are told once more: fewer than the ids that a spool remembers."""
PAUSE_S = 0.0005


def kind_of(number: int) -> str:
    """Of the record of this number."""
    return "verdict" if number % 3 else "event"


def tell(gateway: str, keys: str, folder: str, count: int, device: str) -> None:
    """Tell them, say so, and stay until killed."""
    client, said = open_teller(gateway, keys, folder, device)
    client.start()
    told = len(said.read_bytes()) if said.exists() else 0
    with said.open("ab", buffering=0) as log:
        for number in range(max(0, told - AGAIN), count):
            client.send_record(Record(kind_of(number), number, {"n": number}, f"id-{number}"))
            if number >= told:
                log.write(b".")
            time.sleep(PAUSE_S)
    print("told", flush=True)
    while True:
        time.sleep(60.0)


def main() -> int:
    """Tell what the command line asks for."""
    gateway, keys, folder, count, device = sys.argv[1:]
    tell(gateway, keys, folder, int(count), device)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
