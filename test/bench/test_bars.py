"""The bars that the benchmarks have to reach are judged by one code, and what is missed is told."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench import bars
from bench.bars import (
    ABOVE,
    AT_LEAST,
    AT_MOST,
    BELOW,
    OF,
    RESULTS,
    Bar,
    judged,
    read_results,
    report,
)

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = read_results(RESULTS)


def run(folder: Path, *more: str) -> tuple[int, list[str]]:
    """Status and lines of the command."""
    command = [sys.executable, "-m", "bench.bars", "--results", str(folder), *more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()


@pytest.mark.parametrize(
    ("value", "way", "holds"),
    [
        (0.96, AT_LEAST, True),
        (0.9599, AT_LEAST, False),
        (0.96, AT_MOST, True),
        (0.9601, AT_MOST, False),
        (0.96, BELOW, False),
        (0.9599, BELOW, True),
        (0.96, ABOVE, False),
        (0.9601, ABOVE, True),
        (math.nan, AT_LEAST, False),
        (math.nan, AT_MOST, False),
    ],
)
def test_a_value_is_held_against_its_bar(value: float, way: str, holds: bool) -> None:
    told = Bar("F", value, way, 0.96).to_json()
    assert told == {
        "name": f"F, {way}",
        "value": None if math.isnan(value) else value,
        "bar": 0.96,
        "holds": holds,
    }


def test_a_bar_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of at least"):
        Bar("F", 1.0, "over", 0.96)
    with pytest.raises(ValueError, match="finite bar"):
        Bar("F", 1.0, AT_LEAST, math.nan)


def bars_of(name: str, result: dict[str, Any]) -> dict[str, tuple[float, float, bool]]:
    return {
        bar["name"]: (bar["value"], bar["bar"], bar["holds"])
        for bar in judged(name, result)["bars"]
    }


def test_models_are_those_that_ship() -> None:
    cloud = {"f_score": 0.959, "f_score_1_view": 0.958}
    local = {"f_score": 0.93, "latency_ms_1_thread": 20.4}
    assert bars_of("models", {"shipped": {"local": local, "cloud": cloud}}) == {
        "gateway model: F on DeepPCB val.txt, at least": (0.959, 0.96, False),
        "gateway model with one view: F on DeepPCB val.txt, at least": (0.958, 0.958, True),
        "device model: F on DeepPCB val.txt, at least": (0.93, 0.92, True),
        "device model: a frame on one core, ms, at most": (20.4, 20.0, False),
    }
    missing = judged("models", {})["bars"]
    assert [bar["value"] for bar in missing] == [None] * 4
    assert not any(bar["holds"] for bar in missing)


def test_switching_has_a_bar_for_every_kind_in_every_layout() -> None:
    kinds = {"down": {"first_local_ms": {"p99": 199.9}}, "stall": {"first_local_ms": {"p99": 200}}}
    layout = {"layout": "one process", "missing": 0, "failed": 0, "duplicates": 1, "kinds": kinds}
    assert bars_of("switching", {"layouts": [layout]}) == {
        "one process, down: p99 from the cut to the device's first result, ms, below": (
            *(199.9, 200, True),
        ),
        "one process, stall: p99 from the cut to the device's first result, ms, below": (
            *(200, 200, False),
        ),
        "one process: frames missing, at most": (0, 0, True),
        "one process: frames failed, at most": (0, 0, True),
        "one process: frames counted twice, at most": (1, 0, False),
    }


def policies_result(hits: float, money: float) -> dict[str, Any]:
    rows = [
        {"policy": "dta", "hit_rate": 0.8, "money": 0.5},
        {"policy": "latency", "hit_rate": hits, "money": money},
    ]
    told = {"trace": "LTE", "case": "traffic", "optimum": {"hit_rate": 0.95}, "policies": rows}
    return {"results": [told | {"bar": {"best": "latency"}}]}


@pytest.mark.parametrize(
    ("hits", "money", "near", "ahead"),
    [
        (0.86, 0.5, True, True),  # more in time for the same money
        (0.8, 0.4, False, True),  # as many for less
        (0.8, 0.5, False, False),
        (0.79, 0.6, False, False),
    ],
)
def test_a_policy_must_come_near_the_optimum_and_be_ahead_of_dta(
    hits: float, money: float, near: bool, ahead: bool
) -> None:
    told = bars_of("policies", policies_result(hits, money))
    assert [holds for _, _, holds in told.values()] == [near, ahead]


def test_the_pipeline_stands_beside_the_bare_loop() -> None:
    rows = [
        {
            "size": "640x480",
            "load": "paced",
            "mastra": {"age_p50_ms": 11.6},
            "bare": {"age_p50_ms": 10.0},
        },
        {"size": "640x480", "load": "saturated", "frames_per_s_ratio": 0.9},
        {"engine": "auto", "size": "640x480", "load": "paced", "age_p50_added_ms": 2.6},
        {"engine": "auto", "size": "640x480", "load": "saturated", "frames_per_s_ratio": 0.8},
    ]
    assert bars_of("pipeline", {"rows": rows}) == {
        "640x480: age of a result (p50), times the bare loop's, at most": (1.16, 1.15, False),
        "640x480: frames a second, share of the bare loop's, at least": (0.9, 0.9, True),
        "640x480, engine auto: age of a result (p50) more than the bare loop's, ms, at most": (
            *(2.6, 2.5, False),
        ),
        "640x480, engine auto: frames a second, share of the bare loop's, at least": (
            *(0.8, 0.9, False),
        ),
    }


@pytest.mark.parametrize("name", [name for name in OF if "bars" in PUBLISHED.get(name, {})])
def test_the_published_lists_are_those_that_the_numbers_give(name: str) -> None:
    """Made again by: python -m bench.bars --write"""
    told = read_results(RESULTS)[name]
    assert told["bars"] == judged(name, told)["bars"]
    assert told["bars"]


def test_the_published_numbers_of_the_models_are_the_bundles() -> None:
    """Made again by: python -m bench.models --only shipped"""
    path = ROOT / "models/board_defects/bundle.yaml"
    parts = yaml.safe_load(path.read_text(encoding="utf-8"))["parts"]
    shipped = {name: part["measurements"] for name, part in parts.items()}
    assert read_results(RESULTS)["models"]["shipped"] == shipped


def test_the_command_prints_what_does_not_hold_and_counts_what_does(tmp_path: Path) -> None:
    good = policies_result(0.9, 0.4)
    layout = {"layout": "one process", "missing": 2, "failed": 0, "duplicates": 0, "kinds": {}}
    results: dict[str, dict[str, Any]] = {
        "policies": good,
        "switching": {"layouts": [layout]},
        "models": {},
        "demo": {"frames": 600},
    }
    for name, told in results.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(told))
    status, lines = run(tmp_path, "--write")
    assert status == 1
    assert lines == [
        "models: gateway model: F on DeepPCB val.txt, at least: not measured, the bar is 0.96",
        (
            "models: gateway model with one view: F on DeepPCB val.txt, at least: not measured, "
            "the bar is 0.958"
        ),
        "models: device model: F on DeepPCB val.txt, at least: not measured, the bar is 0.92",
        "models: device model: a frame on one core, ms, at most: not measured, the bar is 20",
        "switching: one process: frames missing, at most: 2.0, the bar is 0",
        *(f"{name}: no bars in its result, or no result" for name in OF if name not in results),
        "4 of 9 bars hold; without bars: demo",
    ]
    assert json.loads((tmp_path / "demo.json").read_text()) == results["demo"]
    assert json.loads((tmp_path / "policies.json").read_text())["results"] == good["results"]


def test_all_that_hold_are_one_line_and_good(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"size": "1x1", "load": "saturated", "frames_per_s_ratio": 1.0}
    fine = {"f_score": 1.0, "f_score_1_view": 1.0, "latency_ms_1_thread": 1.0}
    layout = {"layout": "one", "missing": 0, "failed": 0, "duplicates": 0, "kinds": {}}
    results: dict[str, dict[str, Any]] = {
        "policies": policies_result(0.9, 0.4),
        "switching": {"layouts": [layout]},
        "models": {"shipped": {"local": fine, "cloud": fine}},
        "pipeline": {"rows": [row]},
        "engines": engines_of("vnni"),
        "hostile": {"rows": attacks(20, "locked out", "nested", "logs")},
        "gateway": gateway_result(),
    }
    monkeypatch.setattr(bars, "OF", {name: OF[name] for name in results})
    every = {name: judged(name, told) for name, told in results.items()}
    assert report(every) == (["31 of 31 bars hold"], True)


def run_of_gateway(devices: int, frames_per_s: float, beat_ms: float) -> dict[str, Any]:
    beats = {"heartbeat_ms": {"p99": beat_ms}}
    return {"devices": devices, "frames_per_s": frames_per_s, "refused": 0, **beats}


def gateway_result() -> dict[str, Any]:
    """All that `bench.gateway` measures, each figure at its bar or better."""

    def row(rate: float, *numbers: int, p50_ms: float = 1.2) -> list[dict[str, Any]]:
        return [{"clients": n, "per_s": rate, "p50_ms": p50_ms} for n in numbers]

    run = run_of_gateway(16, 3000.0, 15.0) | {"memory_mib": [[90, 100], [100, 110], [110, 115]]}
    rows = {
        "mastra stream, commit, TLS": row(3000.0, 1, 16, 64),
        "mastra /v2, infer, TLS": row(4500.0, 1, 16),
        "triton of 1, commit, TLS": row(2000.0, 1, 16, 64, p50_ms=2.0),
        "triton of 2, commit, TLS": row(3000.0, 1, 16, 64, p50_ms=1.0),
        "triton of 1, infer, TLS": row(4500.0, 1, 16, p50_ms=1.0),
    }
    board = {"share_of_alone": 0.95}
    return {"tiny": {"gateway": [run]}, "beside": {"rows": rows}, "board_defects": board}


def test_the_gateway_is_held_against_its_rate_and_its_heartbeats() -> None:
    runs = [run_of_gateway(1, 900.0, 1.0), run_of_gateway(16, 2999.0, 15.1)]
    told = bars_of("gateway", {"tiny": {"gateway": runs}})
    assert {name: bar for name, bar in told.items() if bar[0] is not None} == {
        "16 devices over TLS: frames committed a second, at least": (2999, 3000, False),
        "16 devices: round trip of another's heartbeat, p99, ms, at most": (15.1, 15, False),
        "frames refused, at most": (0, 0, True),
    }


@pytest.mark.parametrize("missing", ["tiny", "beside", "board_defects"])
def test_what_was_not_measured_of_the_gateway_is_named_and_does_not_hold(missing: str) -> None:
    whole = bars_of("gateway", gateway_result())
    some = bars_of("gateway", {k: v for k, v in gateway_result().items() if k != missing})
    assert some.keys() == whole.keys()
    unmeasured = [bar for bar in some.values() if bar[0] is None]
    assert unmeasured
    assert not any(bar[2] for bar in unmeasured)


def test_the_better_triton_counts_and_memory_is_held_against_the_second_round() -> None:
    told = bars_of("gateway", gateway_result())
    assert told["16 devices: frames kept a second, times Triton's on the equal work, at least"] == (
        1.0,
        1.0,
        True,
    )
    memory = "16 devices: memory after the last round, times that after the second, at most"
    assert told[memory] == (1.045, 1.05, True)


def test_a_gpu_that_was_not_to_be_had_leaves_its_bars_unmeasured() -> None:
    told = bars_of("gateway_gpu", {})
    assert len(told) == 7
    assert not any(holds for _, _, holds in told.values())


def attacks(each: int, *items: str) -> list[dict[str, Any]]:
    """Rows of the matrix that hold, so many an item."""
    good = {"holds": True, "lost": 0, "counted_twice": 0}
    return [{"item": item, **good} for item in items for _ in range(each)]


def test_the_matrix_of_attacks_is_held_against_its_size_and_every_row() -> None:
    rows = [*attacks(29, "locked out", "nested"), *attacks(2, "logs")]
    rows[0] |= {"holds": False, "lost": 3}
    rows[1] |= {"holds": False, "counted_twice": 1}
    assert bars_of("hostile", {"rows": rows}) == {
        "rows, at least": (60, 60, True),
        "rows of the item with the fewest, at least": (2, 3, False),
        "rows that do not hold, at most": (2, 0, False),
        "frames lost, at most": (3, 0, False),
        "frames counted twice, at most": (1, 0, False),
    }
    unmeasured = judged("hostile", {})["bars"]
    assert [bar["holds"] for bar in unmeasured] == [False, False, True, True, True]


def engines_of(kind: str, cap: str = "", **more: Any) -> dict[str, Any]:
    """A result of bench.engines with one processor."""

    def forms(**times: float) -> list[dict[str, Any]]:
        named = {name.replace("_", " "): {"p50_ms": ms} for name, ms in times.items()}
        return [{"threads": 1, "batch": 1, "forms": named}]

    gateway = {
        "rows": forms(float32_onnxruntime=40.0, int8_openvino=8.0, int8_onnxruntime=13.0),
        "auto": {"chosen": "int8 openvino", "ratio": 1.0},
        "f_score": {"float32 onnxruntime": 0.9598, "int8 openvino": 0.9595},
    }
    device = {
        "rows": forms(litert=7.6, openvino=2.8),
        "auto": {"chosen": "openvino", "ratio": 1.02},
    }
    networks = {"gateway": gateway | more, "device": device}
    runs = [{"cap": cap, "networks": networks}]
    return {"machines": [{"machine": {"kind": kind, "name": "X"}, "runs": runs}]}


@pytest.mark.parametrize(("kind", "bar"), [("amx", 3.0), ("bf16", 3.0), ("vnni", 2.0)])
def test_the_engine_chosen_is_held_against_float32_by_the_kind_of_processor(
    kind: str, bar: float
) -> None:
    bars = bars_of("engines", engines_of(kind))
    what = "X: gateway's network, engine chosen, times as fast as ONNX Runtime float32, at least"
    assert bars[what] == (5.0, bar, True)
    assert bars["X: points of F on DeepPCB val.txt lost by that, at most"] == (0.03, 0.2, True)
    device = "X: device's network on OpenVINO, times as fast as LiteRT, at least"
    assert (device in bars) == (kind == "amx")
    assert all(holds for _, _, holds in bars.values())


def test_what_stands_for_another_processor_is_held_against_that_ones_bar() -> None:
    bars = bars_of("engines", engines_of("amx", "AVX512_CORE_VNNI"))
    what = "X, of it vnni: gateway's network, engine chosen, times as fast as ONNX Runtime float32"
    assert bars[f"{what}, at least"] == (5.0, 2.0, True)


def test_a_choice_that_loses_to_another_engine_or_was_not_made_holds_no_bar() -> None:
    slow = {"auto": {"chosen": "int8 onnxruntime", "ratio": 1.6}, "f_score": {}}
    bars = bars_of("engines", engines_of("bf16", **slow))
    what = "X: gateway's network, time of what auto chose over the best installed, at most"
    assert bars[what] == (1.6, 1.05, False)
    none = judged("engines", engines_of("bf16", auto={"chosen": "", "problem": "no time"}))
    assert [bar["holds"] for bar in none["bars"] if "over the best" in bar["name"]] == [False, True]


def test_records_are_judged_part_by_part_and_what_was_not_measured_holds_no_bar() -> None:
    ages = {"nothing": (40.0, 50.0), "records": (43.0, 60.0), "artefact": (41.0, 61.0)}
    cost = [
        {"beside": name, "carried": 7, "age_ms": {"p50": p50, "p99": p99}}
        for name, (p50, p99) in ages.items()
    ]
    kills = {"kills": 1000, "records": 100_000, "lost": 0, "counted_twice": 1, "in_order": True}
    rate = [{"of": "other", "devices": 16, "records_per_s": 1.0}]
    rate += [{"of": "mastra", "devices": 16, "records_per_s": 5001.0}]
    told = bars_of("records", {"rate": rate, "cost": {"rows": cost}, "kills": kills})
    assert told["records committed over TLS from 16 devices, a second, at least"] == (
        *(5001.0, 5000.0, True),
    )
    beside = {name: bar for name, bar in told.items() if name.startswith("age of live frames")}
    assert [bar[2] for bar in beside.values()] == [True, False, False]
    assert told["records counted twice through them, at most"] == (1, 0, False)
    assert told["records lost through kills and cuts, at most"] == (0, 0, True)
    assert not told["frames of a set lost, at most"][2]
