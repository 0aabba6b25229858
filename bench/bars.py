"""The bars that each benchmark has to reach, and whether it does: `make bars`.

    python -m bench.bars [--write] [--results bench/results]

Each bench/results/NAME.json of a benchmark with bars has a list `bars` of `{name, value, bar,
holds}`; a name ends with the way its value is held against the bar. The benchmarks write it with
`judged`; here those that do not hold are printed, and how many do. Status 0: all of them hold.
--write works the lists out again from the numbers in the same files (after a bar was changed).
"""

from __future__ import annotations

import argparse
import json
import math
import operator
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.dashboard_bars import SEEN_WITHIN_S, grown_in_half_an_hour, slowest
from bench.gateway_bars import gateway_values, gpu_values
from bench.privacy_bars import privacy_values
from bench.records_bars import records_values
from bench.ultrasound_bars import ultrasound_values
from mastra_ros.config.compression import VIDEO_QUALITY

RESULTS = Path(__file__).resolve().parent / "results"

AT_LEAST, AT_MOST, BELOW, ABOVE = "at least", "at most", "below", "above"
COMPARE: dict[str, Callable[[float, float], bool]] = {
    AT_LEAST: operator.ge,
    AT_MOST: operator.le,
    BELOW: operator.lt,
    ABOVE: operator.gt,
}

Result = dict[str, Any]

SWITCHING_MS = 200.0
"""From a cut to the first result of the device."""

AGE_ADDED_MS = 2.5
"""Of `mastra run` to a result's age: 15 % of the 16.7 ms that the bundle's own engine takes."""


@dataclass(frozen=True)
class Bar:
    """A measured value, and the bar that it has to keep to. NaN, not measured, holds no bar."""

    what: str  # with its unit
    value: float
    way: str  # a key of COMPARE
    bar: float

    def __post_init__(self) -> None:
        if self.way not in COMPARE:
            raise ValueError(f"{self.what}: expected one of {', '.join(COMPARE)}, got {self.way!r}")
        if not math.isfinite(self.bar):
            raise ValueError(f"{self.what}: expected a finite bar, got {self.bar}")

    @property
    def holds(self) -> bool:
        return COMPARE[self.way](self.value, self.bar)

    def to_json(self) -> Result:
        """As it stands in a result; what was not measured is null."""
        return {
            "name": f"{self.what}, {self.way}",
            "value": None if math.isnan(self.value) else self.value,
            "bar": self.bar,
            "holds": self.holds,
        }


def models(result: Result) -> Iterator[Bar]:
    """The bundle that ships, as its own measurements say (`shipped`)."""
    local, cloud = (result.get("shipped", {}).get(part, {}) for part in ("local", "cloud"))
    on = "F on DeepPCB val.txt"
    yield Bar(f"gateway model: {on}", _number(cloud, "f_score"), AT_LEAST, 0.96)
    once = _number(cloud, "f_score_1_view")
    yield Bar(f"gateway model with one view: {on}", once, AT_LEAST, 0.958)
    yield Bar(f"device model: {on}", _number(local, "f_score"), AT_LEAST, 0.92)
    spent = _number(local, "latency_ms_1_thread")
    yield Bar("device model: a frame on one core, ms", spent, AT_MOST, 20.0)


def switching(result: Result) -> Iterator[Bar]:
    """Every kind of cut, with all in one process and apart."""
    for layout in result.get("layouts", ()):
        place = layout["layout"]
        for kind, row in layout["kinds"].items():
            taken = _number(row["first_local_ms"], "p99")
            what = f"{place}, {kind}: p99 from the cut to the device's first result, ms"
            yield Bar(what, taken, BELOW, SWITCHING_MS)
        for name in ("missing", "failed", "duplicates"):
            said = {"duplicates": "counted twice"}.get(name, name)
            yield Bar(f"{place}: frames {said}", _number(layout, name), AT_MOST, 0)


def policies(result: Result) -> Iterator[Bar]:
    """The best policy on every trace in every case, beside `dta` and the optimum."""
    for told in result.get("results", ()):
        place = f"{told['trace']}, {told['case']}"
        rows = {row["policy"]: row for row in told["policies"]}
        best, dta = rows[told["bar"]["best"]], rows["dta"]
        share = best["hit_rate"] / told["optimum"]["hit_rate"]
        what = f"{place}: frames in time of the best policy, share of the optimum's"
        yield Bar(what, round(share, 4), AT_LEAST, 0.9)
        more = best["hit_rate"] / dta["hit_rate"] - 1.0
        cheaper = 1.0 - best["money"] / dta["money"]
        what = f"{place}: lead of the best policy over dta, in frames in time or in cost, a share"
        yield Bar(what, round(max(more, cheaper), 4), ABOVE, 0.0)


def gateway(result: Result) -> Iterator[Bar]:
    """The gateway itself, with a model that costs next to nothing, over TLS, and its network."""
    for what, value, way, bar in gateway_values(result):
        yield Bar(what, value, way, bar)


def gateway_gpu(result: Result) -> Iterator[Bar]:
    """A large model through the gateway on a GPU, beside PyTorch and Triton."""
    for what, value, way, bar in gpu_values(result):
        yield Bar(what, value, way, bar)


def pipeline(result: Result) -> Iterator[Bar]:
    """`mastra run` beside the bare loop: its age when paced, its rate when saturated.

    What is added to an age does not depend on the engine; a share of it does.
    """
    for row in result.get("rows", ()):
        auto = row.get("engine") == "auto"
        place = f"{row['size']}{', engine auto' if auto else ''}"
        if row["load"] == "paced" and auto:
            what = f"{place}: age of a result (p50) more than the bare loop's, ms"
            yield Bar(what, row["age_p50_added_ms"], AT_MOST, AGE_ADDED_MS)
        elif row["load"] == "paced":
            ratio = row["mastra"]["age_p50_ms"] / row["bare"]["age_p50_ms"]
            what = f"{place}: age of a result (p50), times the bare loop's"
            yield Bar(what, round(ratio, 4), AT_MOST, 1.15)
        else:
            what = f"{place}: frames a second, share of the bare loop's"
            yield Bar(what, _number(row, "frames_per_s_ratio"), AT_LEAST, 0.9)


def engines(result: Result) -> Iterator[Bar]:
    """What auto chose on each processor, beside ONNX Runtime's float32, LiteRT and the best."""
    for told in result.get("machines", ()):
        kind, name = told["machine"]["kind"], told["machine"]["name"]
        for run in told["runs"]:
            left = EFFECTIVE.get(run["cap"], kind)
            place = f"{name}{', of it ' + left if run['cap'] else ''}"
            yield from _engines_of(run, left, place)


def _engines_of(run: Result, kind: str, place: str) -> Iterator[Bar]:
    gateway, device = (run["networks"][name] for name in ("gateway", "device"))
    exact, best = "float32 onnxruntime", gateway["auto"].get("chosen", "")
    times = {form: one["p50_ms"] for form, one in gateway["rows"][0]["forms"].items()}
    if kind in GATEWAY_TIMES and best:
        what = f"{place}: gateway's network, engine chosen, times as fast as ONNX Runtime float32"
        yield Bar(what, round(times[exact] / times[best], 3), AT_LEAST, GATEWAY_TIMES[kind])
    if scores := gateway.get("f_score"):
        lost = round(100 * (scores[exact] - scores[best]), 3) if best else math.nan
        yield Bar(f"{place}: points of F on DeepPCB val.txt lost by that", lost, AT_MOST, 0.2)
    times = {form: one["p50_ms"] for form, one in device["rows"][0]["forms"].items()}
    if kind == "amx":
        what = f"{place}: device's network on OpenVINO, times as fast as LiteRT"
        yield Bar(what, round(times["litert"] / times["openvino"], 3), AT_LEAST, 2.0)
    for title, network in (("gateway", gateway), ("device", device)):
        what = f"{place}: {title}'s network, time of what auto chose over the best installed"
        yield Bar(what, _number(network["auto"], "ratio"), AT_MOST, 1.05)


EFFECTIVE = {"AVX512_CORE_BF16": "bf16", "AVX512_CORE_VNNI": "vnni", "AVX512_CORE": "avx512"}
"""The kind of processor that is left under a cap of OpenVINO's instructions."""

GATEWAY_TIMES = {"amx": 3.0, "bf16": 3.0, "vnni": 2.0}
"""By the kind of processor; the others are published without a bar."""


ROWS_WANTED, ROWS_AN_ITEM = 60, 3
"""Of the matrix of attacks: in all, and of each item, which differ in mechanism."""


def hostile(result: Result) -> Iterator[Bar]:
    """The matrix of attacks: as many rows as are wanted, and all of them hold."""
    rows = result.get("rows", ())
    fewest = min(Counter(row["item"] for row in rows).values(), default=0)
    yield Bar("rows", len(rows), AT_LEAST, ROWS_WANTED)
    yield Bar("rows of the item with the fewest", fewest, AT_LEAST, ROWS_AN_ITEM)
    yield Bar("rows that do not hold", sum(not row["holds"] for row in rows), AT_MOST, 0)
    yield Bar("frames lost", sum(row["lost"] for row in rows), AT_MOST, 0)
    yield Bar("frames counted twice", sum(row["counted_twice"] for row in rows), AT_MOST, 0)


DEFAULT = f"quality {VIDEO_QUALITY}"
"""Of video, where nothing else is asked for."""

OF_JPEG = {"cars": 0.15, "bottles": 0.1, "line": 0.1}
"""Share of the bytes of JPEG q85, at its F less the points of the scene."""


def compression(result: Result) -> Iterator[Bar]:
    """Ours beside the best codec of each scene and beside JPEG, and the time that it takes."""
    for name, told in result.get("scenes", {}).items():
        if "compared" not in told:  # its curves are still to come
            continue
        found = told["compared"]
        unit = f"F {found['at']:g}" if found["unit"] == "f" else f"{found['at']:g} dB"
        what = f"{name}: bytes of auto about {unit}, times those of the best codec"
        yield Bar(what, _number(found, "ratio"), AT_MOST, 1.0)
        if name in OF_JPEG:
            what = f"{name}: bytes of auto at {unit}, share of JPEG q85's"
            yield Bar(what, _number(found, "of_jpeg"), AT_MOST, OF_JPEG[name])
        ours = [p for p in told["points"] if p["curve"] == "auto" and p["quality"] == DEFAULT]
        for point in ours:
            for share, bar in (("p50", 3.0), ("p99", 10.0)):
                spent = _number(point, f"vga_{share}_ms")
                yield Bar(f"{name}: encoding a VGA frame, {share}, ms", spent, AT_MOST, bar)


def privacy(result: Result) -> Iterator[Bar]:
    """What the finders of faces and plates find, and what that costs."""
    for what, value, way, bar in privacy_values(result):
        yield Bar(what, value, way, bar)


def records(result: Result) -> Iterator[Bar]:
    """Records, sets and artefacts: rates, what they cost live frames, and that none is lost."""
    for what, value, way, bar in records_values(result):
        yield Bar(what, value, way, bar)


def ultrasound(result: Result) -> Iterator[Bar]:
    """Volumes beside PLUS's and drawn truth, and the live picture."""
    for what, value, way, bar in ultrasound_values(result):
        yield Bar(what, value, way, bar)


SAVED_PERCENT = {
    "perfect": {"cologne1": 5.0, "cologne3": 20.0, "ingolstadt1": 0.0},
    "camera": {"cologne1": 0.0, "cologne3": 15.0, "ingolstadt1": 0.0},
}
"""Less delay than the better of tuned fixed time and tuned actuated control, by sensing."""


def traffic_signals(result: Result) -> Iterator[Bar]:
    """Our policy of signal timing beside the better of the two that are tuned."""
    rows = {(row["scenario"], row["policy"], row["sensing"]): row for row in result.get("rows", ())}
    for sensing, bars in SAVED_PERCENT.items():
        for name, bar in bars.items():
            row = rows.get((name, "ours", sensing), {})
            what = f"{name}, {sensing} sensing: less delay than the better tuned one, %"
            yield Bar(what, _number(row, "saved_percent"), AT_LEAST, bar)
            what = f"{name}, {sensing} sensing: seeds of {row.get('seeds', 0)} that gridlock"
            yield Bar(what, _number(row, "gridlocked"), AT_MOST, 0)


def traffic(result: Result) -> Iterator[Bar]:
    """Plates of single photographs, and counts of a video by rate."""
    rows = result.get("plates", ())
    own = [row for row in rows if (row["reader"], row["finder"]) == ("own", "plates_and_heads")]
    for name in ("eu", "us"):
        place = f"plates, {name}"
        recall = max((row[name]["recall"] for row in own), default=math.nan)
        yield Bar(f"{place}: recall of the default finder", recall, AT_LEAST, 0.93)
        recall = max((row[name]["recall"] for row in rows), default=math.nan)
        yield Bar(f"{place}: recall of the best finder", recall, AT_LEAST, 0.97)
        exact = max((row[name]["exact_folded"] for row in rows), default=math.nan)
        yield Bar(f"{place}: read exactly by the best reader, folded", exact, AT_LEAST, 0.85)
    counts = result.get("counts", {})
    for fps in (30, 10, 5):
        got, by_eye = counts.get(f"fps_{fps}", {}), counts.get("by_eye", {})
        keys = {*got, *by_eye}
        apart = sum(abs(got.get(key, 0) - by_eye.get(key, 0)) for key in keys)
        what = f"crossing.mp4 at {fps} frames/s: vehicles more or fewer than by eye, lane by lane"
        yield Bar(what, apart if keys else math.nan, AT_MOST, 0)


def dashboard(result: Result) -> Iterator[Bar]:
    """What the page costs the gateway and itself, and how soon it is there."""
    for pages in (1, 20):
        what = f"half of the gateway's maximum, {pages} pages: age p99 above that without, %"
        yield Bar(what, _number(result.get("ages", {}), f"pages_{pages}_percent"), AT_MOST, 3.0)
    what = "gateway's maximum, 20 pages: frames lost beyond the share of the processor, %"
    yield Bar(what, _number(result.get("maximum", {}), "beyond_percent"), AT_MOST, 3.0)
    live = result.get("live", {})
    yield Bar("50 live devices: of a core, %", _number(live, "core_percent"), AT_MOST, 20.0)
    ready = result.get("listed", {})
    yield Bar("1,000 devices listed: page ready, s", _number(ready, "ready_s"), AT_MOST, 2.0)
    for name in ("process", "page"):
        grown = _number(grown_in_half_an_hour(result, name), "growth_30_min_percent")
        yield Bar(f"{name}: growth of its memory in 30 min, %", grown, BELOW, 10.0)
    for name, most_s in SEEN_WITHIN_S.items():
        yield Bar(f"{name} seen, slowest, s", _number(slowest(result, name), "s"), AT_MOST, most_s)


OF: dict[str, Callable[[Result], Iterator[Bar]]] = {
    "dashboard": dashboard,
    "engines": engines,
    "gateway": gateway,
    "gateway_gpu": gateway_gpu,
    "hostile": hostile,
    "models": models,
    "switching": switching,
    "policies": policies,
    "pipeline": pipeline,
    "compression": compression,
    "privacy": privacy,
    "records": records,
    "traffic": traffic,
    "traffic_signals": traffic_signals,
    "ultrasound": ultrasound,
}
"""The bars of each result, by the name of its file."""


def _number(values: Result, name: str) -> float:
    value = values.get(name)
    return math.nan if value is None else float(value)


def judged(name: str, result: Result) -> Result:
    """The result with its list of bars, worked out from its own numbers."""
    return {**result, "bars": [bar.to_json() for bar in OF[name](result)]}


def leave(path: Path, name: str, result: Result, began_s: float) -> None:
    """Write a result with its bars, and how long it took since a time of `time.monotonic`."""
    result["took_s"] = round(time.monotonic() - began_s)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(judged(name, result), indent=2) + "\n", encoding="utf-8")
    print(f"wrote {path} after {result['took_s']} s")


def read_results(folder: Path) -> dict[str, Result]:
    """Every result of a folder by its name."""
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.json"))
    }


def report(results: dict[str, Result]) -> tuple[list[str], bool]:
    """A line for each bar that does not hold and one for all, and whether all hold."""
    every = [(name, bar) for name, told in results.items() for bar in told.get("bars", ())]
    missed = [(name, bar) for name, bar in every if not bar["holds"]]
    lines = [
        f"{name}: {bar['name']}: {'not measured' if bar['value'] is None else bar['value']}, "
        f"the bar is {bar['bar']:g}"
        for name, bar in missed
    ]
    unjudged = [name for name in OF if not results.get(name, {}).get("bars")]
    lines += [f"{name}: no bars in its result, or no result" for name in unjudged]
    without = [name for name, told in results.items() if not told.get("bars")]
    rest = [name for name in without if name not in OF]
    lines.append(
        f"{len(every) - len(missed)} of {len(every)} bars hold"
        + (f"; without bars: {', '.join(rest)}" if rest else "")
    )
    return lines, not missed and not unjudged


def main() -> int:
    """Print what does not hold; status 1 where anything does not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="work the lists out again")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    options = parser.parse_args()
    results = read_results(options.results)
    for name in OF if options.write else ():
        if name in results:
            results[name] = judged(name, results[name])
            text = json.dumps(results[name], indent=2) + "\n"
            (options.results / f"{name}.json").write_text(text, encoding="utf-8")
    lines, good = report(results)
    print("\n".join(lines))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
