"""Writes the tables of measured numbers: all of them into docs/, the dozen that matter into README.

    python -m bench.table [--check]

Takes what the benchmarks left in bench/results/ and the measurements in the bundle; what was
not measured is left out. With --check nothing is written, and the status is 1 if a table is old.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import dozen
from bench.published import measurements, result

ROOT = Path(__file__).resolve().parents[1]
START, END = "<!-- measured: start -->", "<!-- measured: end -->"
PAGES = ("README.md", "README.zh.md", "docs/measured.md", "docs/measured.zh.md")


@dataclass(frozen=True)
class Row:
    """One number, in both languages."""

    english: str
    chinese: str
    value: str


def rows(root: Path = ROOT) -> list[Row]:
    """All that has been measured."""
    parts = (
        _models,
        _pipeline,
        _launch_ages,
        _compression,
        _switching,
        _policies,
        _plan,
        _faults,
        _build,
    )
    return [row for part in parts for row in part(root)]


def _models(root: Path) -> Iterator[Row]:
    names = {"local": ("device model", "设备端模型"), "cloud": ("gateway model", "网关模型")}
    for part, (english, chinese) in names.items():
        measured = measurements(root, part)
        if "f_score" in measured:
            yield Row(
                f"{english}: F on DeepPCB val.txt (class and IoU > 0.33)",
                f"{chinese}：DeepPCB val.txt 上的 F 值（类别正确且 IoU > 0.33）",
                f"{measured['f_score']:.3f}",
            )
        if "f_score_1_view" in measured:
            yield Row(
                f"{english}, one view of each frame: F on DeepPCB val.txt",
                f"{chinese}，每帧只看一次：DeepPCB val.txt 上的 F 值",
                f"{measured['f_score_1_view']:.3f}",
            )
        if "latency_ms_1_thread" in measured:
            yield Row(
                f"{english}: a frame on one core",
                f"{chinese}：单核每帧耗时",
                f"{measured['latency_ms_1_thread']:.1f} ms",
            )
    sizes: list[int] = [measurements(root, part).get("bytes", 0) for part in names]
    if all(sizes):
        yield Row("both models together", "两个模型合计大小", f"{sum(sizes) / 1e6:.2f} MB")


def _pipeline(root: Path) -> Iterator[Row]:
    for row in result(root, "pipeline").get("rows", []):
        size, ours, bare = row["size"], row["mastra"], row["bare"]
        size += ", engine auto" if row.get("engine") == "auto" else ""
        if row["load"] == "paced":
            yield Row(
                f"{size}: age of a result, p50 / p99 (bare engine loop p50)",
                f"{size}：结果时延 p50 / p99（裸引擎循环 p50）",
                f"{ours['age_p50_ms']:.1f} / {ours['age_p99_ms']:.1f} ms "
                f"({bare['age_p50_ms']:.1f} ms)",
            )
        else:
            yield Row(
                f"{size}: frames a second, saturated (bare engine loop)",
                f"{size}：满载帧率（裸引擎循环）",
                f"{ours['frames_per_s']:.1f} ({bare['frames_per_s']:.1f})",
            )


def _launch_ages(root: Path) -> Iterator[Row]:
    for row in result(root, "launch_ages").get("rows", []):
        together, apart = row["composed"], row["apart"]
        yield Row(
            f"ros2 launch, {row['size']}, {row['rate_hz']:g}/s: age of a result p50, one process / "
            "a process a node (times)",
            f"ros2 launch，{row['size']}，每秒 {row['rate_hz']:g} 帧：结果时延 p50，单进程 / "
            "每节点一进程（倍数）",
            f"{together['age_p50_ms']:.1f} / {apart['age_p50_ms']:.1f} ms ({row['ratio']:.2f})",
        )


def _compression(root: Path) -> Iterator[Row]:
    for row in result(root, "compression").get("rows", []):
        scene = row["scene"]
        yield Row(
            f"upload, {scene}: bytes a frame (JPEG of each frame)",
            f"上传，{scene}：每帧字节数（逐帧 JPEG）",
            f"{row['mastra']['bytes_per_frame']:,.0f} ({row['jpeg']['bytes_per_frame']:,.0f})",
        )


def _switching(root: Path) -> Iterator[Row]:
    told = result(root, "switching")
    layouts = {"one process": "单进程", "processes": "多进程"}
    names = {
        "down": ("link down without FIN", "链路中断（无 FIN）"),
        "reset": ("connection reset", "连接重置"),
        "stall": ("link stalls", "链路停滞"),
        "sigstop": ("gateway SIGSTOP", "网关 SIGSTOP"),
        "sigkill": ("gateway SIGKILL", "网关 SIGKILL"),
        "rate": ("rate falls to 20 kbit/s", "速率降至 20 kbit/s"),
    }
    for layout in told.get("layouts", []):
        name = layouts[layout["layout"]]
        for kind, row in layout["kinds"].items():
            english, chinese = names[kind]
            yield Row(
                f"{english}, {layout['layout']}, {row['cuts']} cuts: cut to first result of the "
                "device, p50 / p99",
                f"{chinese}，{name}，{row['cuts']} 次：从中断到设备端首个结果，p50 / p99",
                f"{row['first_local_ms']['p50']:.0f} / {row['first_local_ms']['p99']:.0f} ms",
            )
        yield Row(
            f"all {layout['cuts']} cuts, {layout['layout']}: frames / missing / counted twice",
            f"全部 {layout['cuts']} 次中断，{name}：帧数 / 丢失 / 重复",
            f"{layout['frames']} / {layout['missing']} / {layout['duplicates']}",
        )
    if "keep_alive" in told:
        slowest = max(row["first_local_ms"]["p50"] for row in told["keep_alive"]["kinds"].values())
        yield Row(
            "the same left to the WebSocket library's keep-alive, p50 of the slowest kind",
            "若只靠 WebSocket 库自带保活，最慢一类的 p50",
            f"{slowest / 1e3:.1f} s",
        )


def _policies(root: Path) -> Iterator[Row]:
    for told in result(root, "policies").get("results", []):
        policies = {row["policy"]: row for row in told["policies"]}
        best, dta = policies[told["bar"]["best"]], policies["dta"]
        place = f"{told['trace']}, {told['case']}"
        yield Row(
            f"{place}: frames in time, best policy / `dta` / optimum that knows the future",
            f"{place}：按时完成的帧占比，最佳策略 / `dta` / 预知未来的最优解",
            f"{best['hit_rate']:.1%} (`{best['policy']}`) / {dta['hit_rate']:.1%} / "
            f"{told['optimum']['hit_rate']:.1%}",
        )
        yield Row(
            f"{place}: USD for a million frames, best policy / `dta`",
            f"{place}：每百万帧成本（美元），最佳策略 / `dta`",
            f"{best['money']:.2f} / {dta['money']:.2f}",
        )


def _plan(root: Path) -> Iterator[Row]:
    """Of `mastra plan … --json bench/results/plan.json`."""
    told = result(root, "plan")
    if not told:
        return
    needs, ways, currency = told["needs"], told["ways"], told["prices"]["currency"]
    site = f"{needs['cameras']} x {needs['width_px']}x{needs['height_px']}, {needs['rate_hz']:g}/s"
    yield Row(
        f"planned, {site}: {currency} a month, all local / all cloud / Mastra",
        f"规划，{site}：每月成本（{currency}），全本地 / 全云端 / Mastra",
        " / ".join(f"{ways[w]['cost']:,.0f}" for w in ("all local", "all cloud", "mastra")),
    )
    yield Row(
        f"planned, {site}: expected accuracy, all local / all cloud / Mastra",
        f"规划，{site}：预期精度，全本地 / 全云端 / Mastra",
        " / ".join(f"{ways[w]['accuracy']:.3f}" for w in ("all local", "all cloud", "mastra")),
    )
    held = sum(cell["holds"] for cell in told["sweep"])
    yield Row(
        "planned: sites where Mastra costs 30 % less than all cloud at a point of accuracy",
        "规划：在精度损失不超过 1 个百分点时比全云端便宜 30 % 的场地数",
        f"{held} of {len(told['sweep'])}",
    )


def _faults(root: Path) -> Iterator[Row]:
    """Of `make demo`: its report, copied to bench/results/demo.json."""
    told = result(root, "demo")
    if not told:
        return
    yield Row(
        "demo, link cut for 10 s: frames / missing / counted twice",
        "演示，链路中断 10 秒：帧数 / 丢失 / 重复",
        f"{told['frames']} / {told['missing']} / {told['duplicates']}",
    )
    yield Row(
        "demo: spooled / delivered later / dropped",
        "演示：暂存 / 补传 / 放弃",
        f"{told['spooled']} / {told['delivered_late']} / {told['dropped']}",
    )
    falls = [s["latency_ms"] for s in told["switches"] if s["to"] == "local" and s["latency_ms"]]
    if falls:
        yield Row(
            "demo: slowest switch to the device, from the last sign of the gateway",
            "演示：最慢一次切换到设备端（自网关最后一次响应起）",
            f"{max(falls):.0f} ms",
        )


def _build(root: Path) -> Iterator[Row]:
    names = {
        "setup_s": ("set-up with build, fresh clone", "全新克隆：安装并构建"),
        "setup_again_s": ("set-up again, nothing changed", "无改动再次安装"),
        "build_s": ("build with colcon alone", "仅用 colcon 构建"),
        "test_s": ("all tests", "全部测试"),
    }
    times = result(root, "pipeline").get("build", {})
    for key, (english, chinese) in names.items():
        if key in times:
            yield Row(english, chinese, f"{times[key]:.0f} s")


def filled(text: str, page: str, root: Path = ROOT) -> str:
    """A page with the table between its marks made anew."""
    before, rest = text.split(START)
    _, after = rest.split(END)
    chinese = page.endswith(".zh.md")
    if page.startswith("README"):
        lines = dozen.table(root, chinese=chinese)
    else:
        lines = ["| 项目 | 测量值 |" if chinese else "| what | measured |", "| --- | --- |"]
        for row in rows(root):
            lines.append(f"| {row.chinese if chinese else row.english} | {row.value} |")
    return before + "\n".join([START, *lines, END]) + after


def main() -> int:
    """Write the tables, or look whether they are up to date."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    old = []
    for page in PAGES:
        path = ROOT / page
        text = path.read_text(encoding="utf-8")
        if (new := filled(text, page)) != text:
            old.append(page)
            if not options.check:
                path.write_text(new, encoding="utf-8")
    print(f"{'old' if options.check else 'written'}: {', '.join(old) or 'none'}")
    return 1 if options.check and old else 0


if __name__ == "__main__":
    sys.exit(main())
