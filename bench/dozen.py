"""The dozen numbers that matter, each beside what it is compared to: the table of the READMEs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.published import measurements, result

REFERENCE_F = 0.982
"""Of DeepPCB's authors, on pairs of tested and template image."""

SIZE = "1920x1080"
"""The larger of the sizes that were measured; all are in docs/measured.md."""

HEADS = {
    False: "| what | measured | compared to |",
    True: "| 项目 | 测量值 | 对照 |",
}


@dataclass(frozen=True)
class Number:
    """One number and what it is compared to, in both languages."""

    english: str
    chinese: str
    value: str
    compared: str
    compared_chinese: str


def table(root: Path, *, chinese: bool) -> list[str]:
    """The lines of the table; what was not measured is left out."""
    lines = [HEADS[chinese], "| --- | --- | --- |"]
    for one in numbers(root):
        cells = (
            (one.chinese, one.value, one.compared_chinese)
            if chinese
            else (one.english, one.value, one.compared)
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def numbers(root: Path) -> list[Number]:
    """All of them that have been measured."""
    parts = (_models, _pipeline, _launch, _compression, _switching, _policies, _demo, _setup)
    return [one for part in parts for one in part(root)]


def _models(root: Path) -> Iterator[Number]:
    reference = f"{REFERENCE_F:g}, published, on pairs with a template"
    reference_chinese = f"{REFERENCE_F:g}，文献值，使用带模板的图像对"
    names = {
        "local": ("defects found by the device's model", "设备端模型检出缺陷"),
        "cloud": ("defects found by the gateway's model", "网关模型检出缺陷"),
    }
    for part, (english, chinese) in names.items():
        told = measurements(root, part)
        if "f_score" in told:
            yield Number(
                f"{english}: F on DeepPCB val.txt; a frame on one core",
                f"{chinese}：DeepPCB val.txt 上的 F 值；单核每帧耗时",
                f"{told['f_score']:.3f}; {told['latency_ms_1_thread']:.0f} ms",
                reference,
                reference_chinese,
            )


def _pipeline(root: Path) -> Iterator[Number]:
    for row in result(root, "pipeline").get("rows", []):
        ours, bare, size = row["mastra"], row["bare"], row["size"]
        if size != SIZE or row.get("engine") == "auto":
            continue
        if row["load"] == "paced":
            yield Number(
                f"age of a result at {size}, p50",
                f"{size} 的结果时延，p50",
                f"{ours['age_p50_ms']:.1f} ms",
                f"{bare['age_p50_ms']:.1f} ms, a bare loop around the model",
                f"{bare['age_p50_ms']:.1f} ms，直接循环调用模型",
            )
        else:
            yield Number(
                f"frames a second at {size}",
                f"{size} 的每秒帧数",
                f"{ours['frames_per_s']:.1f}",
                f"{bare['frames_per_s']:.1f}, the bare loop",
                f"{bare['frames_per_s']:.1f}，直接循环",
            )


def _launch(root: Path) -> Iterator[Number]:
    for row in result(root, "launch_ages").get("rows", []):
        if row["size"] == SIZE:
            one, apart = (row[way]["age_p50_ms"] for way in ("composed", "apart"))
            yield Number(
                f"age of a result under `ros2 launch` at {SIZE}, 10/s, in one process, p50",
                f"`ros2 launch` 下 {SIZE}、每秒 10 帧、单进程的结果时延，p50",
                f"{one:.1f} ms",
                f"{apart:.1f} ms, a process a node",
                f"{apart:.1f} ms，每个节点一个进程",
            )


SCENES = {"line": "synthetic line 640x640", "cars": "car-detection.mp4"}
"""Of the benchmark of codecs, those that stand among the few."""


def _compression(root: Path) -> Iterator[Number]:
    for row in result(root, "compression").get("rows", []):
        scene = SCENES.get(row["scene"])
        if scene is not None:
            plain = f"{row['jpeg']['bytes_per_frame']:,.0f}"
            yield Number(
                f"bytes sent a frame, {scene}",
                f"每帧上传字节数，{scene}",
                f"{row['mastra']['bytes_per_frame']:,.0f}",
                f"{plain}, a JPEG of each frame",
                f"{plain}，逐帧 JPEG",
            )


def _switching(root: Path) -> Iterator[Number]:
    told = result(root, "switching")
    layouts: list[dict[str, Any]] = told.get("layouts", [])
    if not layouts:
        return
    slowest = max(k["first_local_ms"]["p99"] for one in layouts for k in one["kinds"].values())
    alone = told.get("keep_alive", {}).get("kinds", {}).values()
    waits = max((row["first_local_ms"]["p50"] for row in alone), default=None)
    yield Number(
        "link or gateway lost: until the device's first result, p99 of the slowest of six ways",
        "链路或网关丢失：到设备端首个结果的时间，六种方式中最慢者的 p99",
        f"{slowest:.0f} ms",
        "-" if waits is None else f"{waits / 1e3:.0f} s, left to the WebSocket library",
        "-" if waits is None else f"{waits / 1e3:.0f} s，仅靠 WebSocket 库",
    )
    cuts, frames, missing, twice = (
        sum(one[name] for one in layouts) for name in ("cuts", "frames", "missing", "duplicates")
    )
    yield Number(
        f"frames missing / counted twice in {cuts} such cuts",
        f"{cuts} 次此类中断中丢失 / 重复的帧数",
        f"{missing} / {twice}",
        f"none may be, of {frames:,}",
        f"应为零，共 {frames:,} 帧",
    )


def _policies(root: Path) -> Iterator[Number]:
    for told in result(root, "policies").get("results", []):
        if (told["trace"], told["case"]) != ("ATT-LTE-driving-2016", "traffic"):
            continue
        rows = {row["policy"]: row for row in told["policies"]}
        best, dta = rows[told["bar"]["best"]], rows["dta"]
        ideal = told["optimum"]["hit_rate"]
        yield Number(
            f"frames in time on a recorded LTE drive, policy `{best['policy']}`",
            f"实录 LTE 行车链路上按时完成的帧，策略 `{best['policy']}`",
            f"{best['hit_rate']:.1%}",
            f"{dta['hit_rate']:.1%}, `dta` as published; {ideal:.1%}, knowing the future",
            f"{dta['hit_rate']:.1%}，文献中的 `dta`；{ideal:.1%}，预知未来",
        )


def _demo(root: Path) -> Iterator[Number]:
    told = result(root, "demo")
    if told:
        yield Number(
            "`make demo`, link cut for 10 s: frames without a result",
            "`make demo`，链路中断 10 秒：没有结果的帧数",
            f"{told['missing']} of {told['frames']}",
            f"{told['delivered_late']} of {told['spooled']} spooled frames delivered afterwards",
            f"暂存的 {told['spooled']} 帧中事后送达 {told['delivered_late']} 帧",
        )


def _setup(root: Path) -> Iterator[Number]:
    times = result(root, "pipeline").get("build", {})
    if "setup_s" in times:
        yield Number(
            "`make setup` in a fresh clone",
            "全新克隆中的 `make setup`",
            f"{times['setup_s']:.0f} s",
            f"{times['setup_again_s']:.0f} s when nothing has changed",
            f"{times['setup_again_s']:.0f} s，无改动时",
        )
