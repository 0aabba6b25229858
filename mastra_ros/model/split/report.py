"""What splitting a network would bring: as a table, as JSON, and as a plot."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .cuts import Cut, Profile
from .latency import CLOUD, LOCAL, Link, Option, Picture, best_cut, fastest, options
from .pictures import JpegPoint, equal_jpeg

FEWER = 0.9
"""The aim: so many fewer bytes than the network's input, and fewer than an equal JPEG."""

PLOT_UPLINKS_BPS = (1e6, 5e6, 20e6, 100e6)


@dataclass(frozen=True)
class SplitReport:
    """All that was measured and predicted, and what follows from it."""

    bundle: str
    link: Link
    profile: Profile
    picture: Picture
    jpegs: tuple[JpegPoint, ...]
    frames: int
    at: str  # as asked for: auto, best or the name of a cut
    local_part_ms: float = math.nan  # of the bundle's part local, another network; this machine

    @property
    def ways(self) -> list[Option]:
        """Cloud, the cuts, local."""
        return options(self.profile, self.picture, self.link)

    @property
    def winner(self) -> Option:
        """The fastest of all ways."""
        return fastest(self.ways)

    @property
    def chosen(self) -> Cut | None:
        """The cut to split at; None where another way is better and no cut was insisted on."""
        if self.at == "auto":
            won = self.winner.name
            return None if won in (LOCAL, CLOUD) else self.profile.cut(won)
        name = best_cut(self.ways).name if self.at == "best" else self.at
        return self.profile.cut(name)

    def equal(self, cut: Cut) -> JpegPoint | None:
        """The smallest JPEG of equal agreement."""
        return equal_jpeg(self.jpegs, cut.agreement)

    def reaches(self, cut: Cut) -> bool:
        """Whether a cut reaches the aim."""
        few = cut.coded_bytes <= (1 - FEWER) * self.picture.input_bytes
        equal = self.equal(cut)
        return few and (equal is None or cut.coded_bytes < equal.bytes)

    def lines(self) -> Iterator[str]:
        """The report for people."""
        link, picture = self.link, self.picture
        yield (
            f"{self.bundle}: {len(self.profile.cuts)} single-tensor cuts, measured on "
            f"{self.frames} frames; uplink {link.uplink_bps / 1e6:g} Mbit/s, round trip "
            f"{link.rtt_ms:g} ms, device {link.device_slowdown:g} times slower than this machine"
        )
        yield (
            f"{'way':45} {'levels':>6} {'bytes up':>9} {'agree':>6} {'JPEG':>7} "
            f"{'device':>7} {'link':>7} {'gateway':>7} {'total ms':>8}"
        )
        won = self.winner.name
        for way in self.ways:
            mark = " <- least" if way.name == won else ""
            yield f"{self._row(way)}{mark}"
        yield (
            f"a frame is {picture.raw_bytes:,.0f} bytes raw, {picture.input_bytes:,.0f} in the "
            f"network's size and colour, {picture.jpeg_bytes:,.0f} as JPEG of quality "
            f"{picture.jpeg_quality}; column JPEG: bytes of the smallest JPEG of equal agreement"
        )
        if math.isfinite(self.local_part_ms):
            ms = self.local_part_ms * link.device_slowdown
            yield (
                f"the bundle's part local, another network, answers on the device in {ms:.1f} ms; "
                "`mastra model evaluate` says how well"
            )
        yield from self._verdict()

    def _row(self, way: Option) -> str:
        levels = agree = jpeg = ""
        if way.name not in (LOCAL, CLOUD):
            cut = self.profile.cut(way.name)
            equal = self.equal(cut)
            levels, agree = str(cut.levels), f"{cut.agreement:.3f}"
            jpeg = f"{equal.bytes:.0f}" if equal else "none"
        elif way.name == CLOUD:
            point = next((p for p in self.jpegs if p.quality == self.picture.jpeg_quality), None)
            agree = f"{point.agreement:.3f}" if point else ""
        name = way.name if len(way.name) <= 45 else f"…{way.name[-44:]}"
        return (
            f"{name:45} {levels:>6} {way.bytes_up:9.0f} {agree:>6} {jpeg:>7} {way.device_ms:7.1f} "
            f"{way.transfer_ms:7.1f} {way.gateway_ms:7.1f} {way.total_ms:8.1f}"
        )

    def _verdict(self) -> Iterator[str]:
        good = [cut for cut in self.profile.cuts if self.reaches(cut)]
        aim = f"{FEWER:.0%} fewer bytes than the network's input and fewer than an equal JPEG"
        if good:
            yield f"{aim}: reached at {', '.join(cut.name for cut in good)}"
        else:
            least = min(self.profile.cuts, key=lambda cut: cut.coded_bytes)
            yield (
                f"{aim}: no cut reaches that; the smallest is {least.name} with "
                f"{least.coded_bytes:,.0f} bytes"
            )
        chosen = self.chosen
        if chosen is None:
            yield (
                f"no split: {self.winner.name} is predicted to be faster than every cut "
                f"({self.winner.total_ms:.0f} ms, the best cut {best_cut(self.ways).total_ms:.0f} "
                "ms); --at best or --at NODE splits nevertheless"
            )
            return
        fewer = 1 - chosen.coded_bytes / self.picture.input_bytes
        of_raw = 1 - chosen.coded_bytes / self.picture.raw_bytes
        yield (
            f"split at {chosen.name}: {chosen.coded_bytes:,.0f} bytes a frame, {fewer:.1%} fewer "
            f"than the network's input and {of_raw:.1%} fewer than the raw frame"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON. Times in ms, sizes in bytes."""
        chosen = self.chosen
        return {
            "bundle": self.bundle,
            "frames": self.frames,
            "link": vars(self.link),
            "picture": vars(self.picture),
            "jpeg": [vars(point) for point in self.jpegs],
            "whole_ms": self.profile.whole_ms,
            "local_part_ms": self.local_part_ms if math.isfinite(self.local_part_ms) else None,
            "cuts": [self._cut(cut) for cut in self.profile.cuts],
            "ways": [{**vars(way), "total_ms": way.total_ms} for way in self.ways],
            "fastest": self.winner.name,
            "chosen": chosen.name if chosen else None,
            "aim": {
                "fewer_bytes": FEWER,
                "reached_at": [cut.name for cut in self.profile.cuts if self.reaches(cut)],
            },
        }

    def _cut(self, cut: Cut) -> dict[str, Any]:
        equal = self.equal(cut)
        return {
            **{name: value for name, value in vars(cut).items() if not name.endswith("_at")},
            "shape": list(cut.shape),
            "bytes": cut.coded_bytes,
            "agreement": cut.agreement,
            "bytes_by_levels": {str(n): size for n, size in cut.bytes_at.items()},
            "agreement_by_levels": {str(n): value for n, value in cut.agreement_at.items()},
            "equal_jpeg": vars(equal) if equal else None,
        }

    def plot(self, path: Path) -> None:
        """Predicted latency over the cut, a line for each uplink. Needs matplotlib."""
        from ..judge.plots import figure

        rates = sorted({*PLOT_UPLINKS_BPS, self.link.uplink_bps})
        names = [_short(way.name) for way in self.ways]
        title = (
            f"{self.bundle}: latency by cut, round trip {self.link.rtt_ms:g} ms, "
            f"device x{self.link.device_slowdown:g}"
        )
        with figure(path, title) as axes:
            for rate in rates:
                ways = self._at(rate)
                line = axes.plot(
                    [way.total_ms for way in ways], "o-", ms=3, label=f"{rate / 1e6:g} Mbit/s"
                )[0]
                best = min(range(len(ways)), key=lambda i: ways[i].total_ms)
                axes.plot(best, ways[best].total_ms, "*", ms=11, color=line.get_color())
            axes.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=7)
            axes.set_ylabel("predicted latency, ms (star: least)")
            axes.set_yscale("log")
            axes.legend(fontsize=7)

    def _at(self, uplink_bps: float) -> Sequence[Option]:
        return options(self.profile, self.picture, replace(self.link, uplink_bps=uplink_bps))


def _short(name: str) -> str:
    parts = [part for part in name.removesuffix("_output_0").split("/") if part]
    return "/".join(parts[-2:])[-24:] or name
