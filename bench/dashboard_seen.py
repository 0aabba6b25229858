"""How soon a cut is in the chart, and how soon a device decides by a parameter that was changed.

    python -m bench.dashboard_seen [--rounds 5] [--out bench/results/dashboard.json]

In Debian's Chromium. A cut: the link of a device (the real bridge, statuses made up) falls silent
in a relay, and the page shows the band. A parameter: `mastra run factory_inspection --dashboard`,
whose route is changed in the form; from the click on Apply to the first decision by it, as it is
heard on the topic `decision`. Both stand beside the parts of bench.dashboard. Takes two minutes;
needs ROS 2 for the second.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.dashboard import read, write
from bench.dashboard_scene import Scene, ScriptedDevice, browser, log_in, status
from mastra_ros.emulation.faults import Fault
from mastra_ros.emulation.proxy import ShapingProxy

HEARTBEAT_S = 0.1
"""Of a bridge, by default."""
CUTS = """wanted => [...document.querySelectorAll('[role=img]')]
  .some(one => (one.ariaLabel || '').includes('link down')) === wanted"""
DEADLINE_S = 120.0
PARTS = ("cut", "decision")


def cuts(chromium: Any, folder: Path, rounds: int) -> list[float]:
    """From the first silence of a link to the band in the page, s."""
    with Scene(folder, (), absent=("cam-1",)) as scene:
        upstream = urlsplit(scene.gateway.url)
        with ShapingProxy(str(upstream.hostname), int(upstream.port or 0)) as proxy:
            url = f"wss://127.0.0.1:{proxy.port}"
            device = ScriptedDevice(url, scene.keys, "cam-1", folder)
            device.start()
            stop = threading.Event()
            teller = threading.Thread(target=_tell, args=(device, stop))
            teller.start()
            try:
                context = chromium.new_context(locale="en-GB")
                page = context.new_page()
                page.set_default_timeout(1000 * DEADLINE_S)
                log_in(page, scene.url)
                page.goto(f"{scene.url}/device/cam-1")
                page.wait_for_selector("[role=img][aria-label*='p50']")
                return [_cut(page, proxy, n) for n in range(rounds)]
            finally:
                stop.set()
                teller.join()
                device.stop()


def _cut(page: Any, proxy: ShapingProxy, number: int) -> float:
    # At another moment of the second each time: what is asked for each second comes between.
    page.wait_for_timeout(3000 + 370 * number)
    page.wait_for_function(CUTS, arg=False)
    proxy.set_faults([Fault("stall", 0.0)])
    began = time.perf_counter()
    page.wait_for_function(CUTS, arg=True, polling=20)
    took_s = time.perf_counter() - began
    proxy.set_faults(())
    return took_s


def _tell(device: ScriptedDevice, stop: threading.Event) -> None:
    while not stop.wait(1.0):
        device.tell(status(time.time()))


def decisions(chromium: Any, folder: Path, rounds: int) -> list[float]:
    """From Apply to the first decision by the new value, s."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor

    from mastra_ros.msg import Decision

    command = [sys.executable, "-m", "mastra_ros.cli.main", "run", "factory_inspection"]
    command += ["--dashboard", "0", "--quiet", "--duration", "600"]
    # Its route is the declared one at first: that is what the form shows, and only what is changed
    # there is asked for.
    command += ["--set", "scheduling.policy=fixed"]
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("dashboard_seen", context=context)
    heard: list[tuple[float, str]] = []
    node.create_subscription(
        Decision, "decision", lambda told: heard.append((time.perf_counter(), told.reason)), 50
    )
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    spinner = threading.Thread(target=executor.spin, daemon=True)
    spinner.start()
    with (
        (folder / "run.log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as run,
    ):
        try:
            assert run.stdout is not None
            found = re.match(r"dashboard (\S+), name (\S+), password (\S+)", run.stdout.readline())
            if found is None:
                raise RuntimeError((folder / "run.log").read_text()[-2000:])
            return _changed(chromium, found.groups(), heard, rounds)
        finally:
            run.terminate()
            executor.shutdown()
            rclpy.shutdown(context=context)
            spinner.join()


def _changed(
    chromium: Any, entry: tuple[str, ...], heard: list[tuple[float, str]], rounds: int
) -> list[float]:
    url, name, password = entry
    page = chromium.new_context(locale="en-GB").new_page()
    page.set_default_timeout(1000 * DEADLINE_S)
    log_in(page, url, name, password)
    page.locator("tbody a").first.click()
    taken = []
    for number in range(rounds):
        route = ("cloud", "local")[number % 2]
        page.get_by_role("combobox", name="route", exact=True).click()
        page.get_by_role("option", name=route, exact=True).click()
        page.wait_for_timeout(1000 + 170 * number)
        began = time.perf_counter()
        page.get_by_role("button", name="Apply").click()
        taken.append(_await_first(heard, began, route) - began)
        page.get_by_text(f"On the device: {route}").wait_for()
    return taken


def _await_first(heard: list[tuple[float, str]], since_s: float, route: str) -> float:
    """When the first decision by this value came after a moment.

    A frame may take a route for other reasons, too: it is refined by the cloud, or falls back.
    """
    until_s = since_s + DEADLINE_S
    while time.perf_counter() < until_s:
        for at_s, reason in list(heard):
            if at_s > since_s and reason.startswith(f"fixed: {route}"):
                return at_s
        time.sleep(0.005)
    raise TimeoutError("the device does not decide by the new value")


def main() -> int:
    """Measure, and put it beside what bench.dashboard has measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("bench/results/dashboard.json"))
    args = parser.parse_args()
    told: dict[str, Any] = {**read(args.out).get("seen", {}), "heartbeat_s": HEARTBEAT_S}
    with tempfile.TemporaryDirectory() as name, browser() as chromium:
        for what in args.parts:
            measure = {"cut": cuts, "decision": decisions}[what]
            folder = Path(name) / what
            folder.mkdir()
            each = measure(chromium, folder, args.rounds)
            told[f"{what}_s"] = [round(one, 3) for one in each]
            told[f"{what}_median_s"] = round(statistics.median(each), 3)
            write(args.out, "seen", told)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
