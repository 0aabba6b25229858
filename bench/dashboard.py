"""What the dashboard costs the gateway and itself, and how soon its page is there.

    python -m bench.dashboard [--parts live maximum ages listed]
    python -m bench.dashboard --parts heap --long

Real processes: a gateway over TLS with a model that costs next to nothing, the dashboard, 50
devices that tell a status a second, 16 that send frames encoded beforehand (bench/serving), and
pages as clients of its socket (bench/dashboard_pages.py), half of them the list of devices, half
one device. Measured are

- ages: at half of the gateway's maximum, the p99 from sending to acknowledgement with 1 and with 20
  pages over that with none, in short slices that take turns (bench/dashboard_ages.py); the pages'
  clients stand for other machines, and run only where a processor is free;
- maximum: frames a second with 20 pages and with none, in turns, less the share of the processor
  that the dashboard and the pages' clients took, which on this machine compete with the gateway;
- live: the dashboard's share of a core while 50 devices are live and a browser shows the list and
  one device;
- heap: how the memory of its process (resident) and of that page (after each a collection of
  garbage) grow meanwhile, after a warm-up. --long watches for 30 minutes, and only that is held
  against the bars; the short form reckons the slope of two minutes up;
- listed: from the request of the list of 1,000 devices, all of which have told a status, to its
  table in the browser (without one: to the open socket).

All but heap together take about 15 minutes, and want a machine that does nothing else; heap takes
33 and may run beside other work. Each part is written when it is done, beside what other
parts have left in the file. Without Chromium the page's own memory is not measured.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from bench import dashboard_ages
from bench.bars import judged
from bench.dashboard_ages import PAGES, SETTLE_S
from bench.dashboard_rig import DEVICE, DEVICES, LISTED, LIVE, MARGIN_S, Rig, cpu_s, module
from bench.dashboard_scene import CHROMIUM, browser

PARTS = ("live", "maximum", "ages", "listed")
SHORT_S, LONG_S, WARM_S, EVERY_S = 120.0, 1800.0, 30.0, 5.0
HALF_HOUR_S = 1800.0


def ages(rig: Rig, rate: float, turns: int, slice_s: float) -> dict[str, Any]:
    """p99 with pages over p99 without, in slices that take turns."""
    out = rig.folder / "ages.npy"
    arguments = (rig.gateway.port, rig.keys, DEVICE, DEVICES, rate, out)
    long_s = turns * (len(PAGES) * slice_s + sum(SETTLE_S.values())) + 600.0
    with (
        module("bench.dashboard_load", *arguments, stdin=subprocess.PIPE) as load,
        rig.opened(PAGES[-1], long_s, idle=True, stdin=subprocess.PIPE) as pages,
    ):
        processes = {"gateway": psutil.Process(rig.gateway.pid), "dashboard": rig.dashboard}
        turned = dashboard_ages.measure(
            lambda count: _say(pages, str(count)),
            time.sleep,
            time.perf_counter,
            lambda: {name: cpu_s(process) for name, process in processes.items()},
            turns,
            slice_s,
        )
        _say(pages, "end")
        pages.communicate(timeout=60)
        refused, _ = load.communicate(timeout=60)
    told = dashboard_ages.told(dashboard_ages.read(out), turned, rate)
    return {**told, **json.loads(refused), "slice_s": slice_s}


def _say(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def maximum(rig: Rig, rounds: int, seconds: float) -> dict[str, Any]:
    """Frames a second without pages and with the most, in turns."""
    runs = [[rig.load(pages, seconds) for pages in (0, PAGES[-1])] for _ in range(rounds)]
    lost = [100 * (1 - one[1]["frames_per_s"] / one[0]["frames_per_s"]) for one in runs]
    shares = [one[1]["dashboard_percent"] + one[1]["clients_percent"] for one in runs]
    beyond = [loss - share for loss, share in zip(lost, shares, strict=True)]
    return {
        "frames_per_s": statistics.median(one[0]["frames_per_s"] for one in runs),
        "lost_percent": round(statistics.median(lost), 2),
        "share_percent": round(statistics.median(shares), 2),
        "beyond_percent": round(statistics.median(beyond), 2),
        "runs": runs,
    }


def live(rig: Rig, chromium: Any, seconds: float) -> dict[str, Any]:
    """A core's share while a list and a device are shown."""
    with _shown(rig, chromium, seconds) as pages:
        before, began = cpu_s(rig.dashboard), time.perf_counter()
        _wait(pages, seconds)
        spent_s = cpu_s(rig.dashboard) - before
        took_s = time.perf_counter() - began
    return {
        "devices": LIVE,
        "browser": bool(pages),
        "seconds": round(took_s, 1),
        "core_percent": round(100 * spent_s / took_s, 2),
    }


def heap(rig: Rig, chromium: Any, seconds: float) -> dict[str, Any]:
    """How memory grows while a list and a device are shown."""
    process: list[tuple[float, float]] = []
    page: list[tuple[float, float]] = []
    with _shown(rig, chromium, seconds) as pages:
        began = time.perf_counter()
        while (passed_s := time.perf_counter() - began) < seconds:
            process.append((passed_s, rig.dashboard.memory_info().rss))
            if pages:
                page.append((passed_s, _heap_bytes(pages[-1])))
            _wait(pages, EVERY_S)
    told = {"devices": LIVE, "seconds": round(passed_s, 1), "process": _growth(process)}
    return {**told, "page": _growth(page)} if page else told


@contextlib.contextmanager
def _shown(rig: Rig, chromium: Any, seconds: float) -> Iterator[list[Any]]:
    """A list and a device, warm, in a browser; without one, clients of their sockets."""
    with contextlib.ExitStack() as stack:
        pages: list[Any] = []
        if chromium is None:
            stack.enter_context(rig.looking(2, seconds + WARM_S + MARGIN_S))
        else:
            context = _context(rig, chromium)
            stack.callback(context.close)
            for path, mark in (("/", "tbody tr"), ("/device/live-0", "canvas")):
                pages.append(context.new_page())
                pages[-1].goto(rig.url + path)
                pages[-1].wait_for_selector(mark)
        _wait(pages, WARM_S)
        yield pages


def _growth(samples: list[tuple[float, float]]) -> dict[str, float]:
    """The slope of a straight line through all samples, reckoned up to half an hour."""
    at_s, values = np.asarray(samples).T
    slope, _ = np.polyfit(at_s, values, 1)
    return {
        "mib": round(float(values[-1]) / 2**20, 2),
        "growth_30_min_percent": round(float(100 * slope * HALF_HOUR_S / values.mean()), 2),
    }


def _context(rig: Rig, chromium: Any) -> Any:
    context = chromium.new_context(locale="en-GB")
    context.set_default_timeout(120_000)
    context.add_cookies([{"name": "mastra_session", "value": rig.cookie, "url": rig.url}])
    return context


def _heap_bytes(page: Any) -> float:
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    used = float(session.send("Runtime.getHeapUsage")["usedSize"])
    session.detach()
    return used


def _wait(pages: list[Any], seconds: float) -> None:
    """Playwright looks after its pages only while it is waited with."""
    if pages:
        pages[-1].wait_for_timeout(1000 * seconds)
    else:
        time.sleep(seconds)


def listed(rig: Rig, chromium: Any) -> dict[str, Any]:
    """How soon the list of many devices is there, the first time and then."""
    rig.list_many()
    taken: list[float] = []
    for _ in range(5):
        if chromium is None:
            with rig.looking(2, 1.0) as seen:
                pass
            taken.append(seen["told"]["ready_s"][0])
            continue
        context = _context(rig, chromium)
        page = context.new_page()
        began = time.perf_counter()
        page.goto(rig.url)
        page.wait_for_selector("tbody tr")
        page.get_by_text(f"of {LISTED} devices").wait_for()
        taken.append(time.perf_counter() - began)
        context.close()
    return {
        "devices": LISTED,
        "browser": chromium is not None,
        "ready_s": round(statistics.median(taken), 3),
        "each_s": [round(one, 3) for one in taken],
    }


def main() -> int:
    """Measure, and write the report."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--long", action="store_true", help="watch memory for 30 minutes")
    parser.add_argument("--parts", nargs="+", choices=(*PARTS, "heap"), default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each load")
    parser.add_argument("--turns", type=int, default=20, help="of ages: 0, 1 and 20 pages each")
    parser.add_argument("--slice", type=float, default=5.0, help="s of ages that are counted")
    parser.add_argument("--watch", type=float, default=SHORT_S, help="s of live, and short heap")
    parser.add_argument("--out", type=Path, default=Path("bench/results/dashboard.json"))
    args = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        rig = stack.enter_context(Rig(folder).running())
        chromium = stack.enter_context(browser()) if Path(CHROMIUM).exists() else None
        measures: dict[str, Callable[[], dict[str, Any]]] = {
            "heap": lambda: heap(rig, chromium, LONG_S if args.long else args.watch),
            "live": lambda: live(rig, chromium, args.watch),
            "maximum": lambda: maximum(rig, args.rounds, args.seconds),
            "ages": lambda: ages(rig, _most(args.out) / 2, args.turns, args.slice),
            "listed": lambda: listed(rig, chromium),
        }
        for name in [one for one in measures if one in args.parts]:
            load = os.getloadavg()[0]
            write(args.out, name, {**measures[name](), "load_average_before": round(load, 2)})
    return 0


def _most(out: Path) -> float:
    """Frames a second of the gateway, as the part `maximum` has found last."""
    found = read(out).get("maximum", {}).get("frames_per_s")
    if found is None:
        raise SystemExit(f"{out}: ages are held against the maximum: --parts maximum ages")
    return float(found)


def read(out: Path) -> dict[str, Any]:
    """What was measured before; nothing where nothing was."""
    return dict(json.loads(out.read_text())) if out.exists() else {}


def write(out: Path, name: str, told: dict[str, Any]) -> None:
    """Put a part beside the others, and judge all of them."""
    print(f"{name}: {json.dumps(told)}", flush=True)
    machine = {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    about = {"machine": machine, "python": platform.python_version()}
    report = {**read(out), **about, name: told}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(judged("dashboard", report), indent=2) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
