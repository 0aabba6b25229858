"""Enters the sizes of frames from bench/results/compression.json into the assumptions of
`mastra simulate` (config/simulation/stages.yaml) and `mastra plan` (config/prices.yaml).

    python -m bench.compression_sizes [--check]

Of the synthetic line, video as by default: the mean of all frames, and the largest key frame. With
--check nothing is written, and the status is 1 if they are old.
"""

from __future__ import annotations

import re
import sys

from bench import page
from bench.policies import sizes_of

SCENE, SIDE_PX = "line", 640
STAGES, PRICES = "config/simulation/stages.yaml", "config/prices.yaml"


def entered(text: str, values: dict[str, float]) -> str:
    """A YAML text with other numbers under these names, each on a line of its own; what is said
    behind them stays. ValueError for a name that is not there just once."""
    for name, value in values.items():
        line = re.compile(rf"^(\s*{re.escape(name)}:) *[-+.\deE]+", re.MULTILINE)
        text, count = line.subn(rf"\g<1> {value}", text)
        if count != 1:
            raise ValueError(f"expected one line {name!r}, got {count}")
    return text


def main() -> int:
    """Bring both files up to date, or say that they are old."""
    check = page.asked_to_check(__doc__)
    delta, key = sizes_of(SCENE, "video")
    pixels = SIDE_PX * SIDE_PX
    stages = {"delta_bytes": round(delta, 1), "key_bytes": round(key, 1)}
    prices = {
        "stream_bytes_per_px": round(delta / pixels, 4),
        "single_bytes_per_px": round(key / pixels, 4),
    }
    old = 0
    for path, values in ((STAGES, stages), (PRICES, prices)):
        old |= page.write(path, entered(page.read(path), values), check=check)
    return old


if __name__ == "__main__":
    sys.exit(main())
