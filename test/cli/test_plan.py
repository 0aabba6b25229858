"""`mastra plan`, as a person calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mastra_ros.cli.main import main

MODELS = ["--local-accuracy", "0.93", "--cloud-accuracy", "0.97"]
TIMES = ["--local-ms", "20", "--cloud-ms", "60"]


def test_a_plan_is_printed_with_its_assumptions_and_its_verdict(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "plan.json"
    assert main(["plan", *MODELS, *TIMES, "--json", str(path)]) == 0
    text = capsys.readouterr().out
    for expected in (
        "all local",
        "USD a month",
        "assumptions, no vendor's quotation",
        "It holds at",
        "points of accuracy lost",
    ):
        assert expected in text
    told = json.loads(path.read_text())
    assert set(told["ways"]) == {"all local", "all cloud", "mastra"}
    assert len(told["sweep"]) == 60
    assert told["verdict"] in text


def test_one_site_alone_can_be_planned(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", *MODELS, *TIMES, "--no-sweep"]) == 0
    assert "It holds at" not in capsys.readouterr().out


def test_a_floor_of_accuracy_says_the_same_as_points_that_may_be_lost(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    assert (
        main(["plan", *MODELS, *TIMES, "--no-sweep", "--floor", "0.95", "--json", str(path)]) == 0
    )
    told = json.loads(path.read_text())
    assert told["needs"]["points_lost_max"] == pytest.approx(2.0)
    assert told["ways"]["mastra"]["sent_share"] == pytest.approx(0.5)


@pytest.mark.parametrize("floor", ["0.98", "-0.1", "nan"])
def test_a_floor_that_no_model_reaches_is_one_line(
    floor: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", *MODELS, *TIMES, "--floor", floor]) == 2
    assert capsys.readouterr().err.startswith("mastra: --floor: expected 0 to 0.97")


def test_wrong_needs_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", *MODELS, *TIMES, "--cameras", "0"]) == 2
    assert capsys.readouterr().err.startswith("mastra: needs: cameras: expected 1")


def test_a_bundle_that_was_not_measured_says_what_to_give(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["plan", "--bundle", str(tmp_path / "none")]) == 1
    assert "mastra:" in capsys.readouterr().err


def test_times_are_those_of_the_fastest_engine_that_was_measured(tmp_path: Path) -> None:
    rows = [
        ("local", "litert", 1, 1, 7.6),
        ("local", "openvino", 1, 1, 2.8),
        ("cloud", "onnxruntime", 1, 1, 48.0),
        ("cloud_int8", "openvino", 1, 1, 5.2),
        ("cloud_int8", "openvino", 2, 1, 3.0),
        ("cloud_int8", "openvino", 1, 8, 1.0),
    ]
    names = ("part", "engine", "threads", "batch", "p50_ms")
    table, out = tmp_path / "bench.json", tmp_path / "plan.json"
    table.write_text(json.dumps([dict(zip(names, row, strict=True)) for row in rows]))
    measured = ["plan", *MODELS, "--measured", str(table), "--no-sweep", "--json", str(out)]
    assert main(measured) == 0
    told = json.loads(out.read_text())["models"]
    assert (told["local_ms"], told["cloud_ms"]) == (2.8, 5.2)
    assert main([*measured, "--cloud-ms", "60"]) == 0
    assert json.loads(out.read_text())["models"]["cloud_ms"] == 60


def engines_json(folder: Path, *kinds: str) -> Path:
    """As bench.engines writes it: the first machine's times, then twice these, and so on."""
    machines = []
    for times, kind in enumerate(kinds, 1):

        def rows(times: int = times, **forms: float) -> dict[str, list[dict[str, object]]]:
            told = {name.replace("_", " "): {"p50_ms": ms * times} for name, ms in forms.items()}
            batched = {name: {"p50_ms": 0.1} for name in told}
            return {
                "rows": [
                    {"threads": 1, "batch": 1, "forms": told},
                    {"threads": 1, "batch": 8, "forms": batched},
                    {"threads": 2, "batch": 1, "forms": batched},
                ]
            }

        gateway = rows(float32_onnxruntime=48.0, int8_openvino=5.0)
        gateway["rows"][0]["forms"] |= {"float32 openvino, f32": {"p50_ms": 1.0}}  # type: ignore[operator]
        device = rows(litert=7.0, openvino=3.0)
        networks = {"gateway": gateway, "device": device}
        capped = {"gateway": rows(int8_openvino=0.1), "device": rows(litert=0.1)}
        machines.append(
            {
                "machine": {"name": f"Processor ({kind})", "kind": kind},
                "runs": [{"cap": "", "networks": networks}, {"cap": "X", "networks": capped}],
            }
        )
    path = folder / "engines.json"
    path.write_text(json.dumps({"machines": machines, "bars": []}))
    return path


def test_times_are_also_read_of_the_published_engines_a_view_each(tmp_path: Path) -> None:
    """The bundle's gateway model sees a frame twice, and what was timed once."""
    path, out = engines_json(tmp_path, "amx"), tmp_path / "plan.json"
    assert main(["plan", "--measured", str(path), "--no-sweep", "--json", str(out)]) == 0
    told = json.loads(out.read_text())["models"]
    assert (told["local_ms"], told["cloud_ms"]) == (3.0, 10.0)


def test_one_of_several_machines_is_named_behind_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = engines_json(tmp_path, "amx", "vnni"), tmp_path / "plan.json"
    command = ["plan", "--no-sweep", "--json", str(out), "--measured"]
    for name in ("vnni", "Processor (vnni)"):
        assert main([*command, f"{path}#{name}"]) == 0
        assert json.loads(out.read_text())["models"]["local_ms"] == 6.0
    for wrong in (str(path), f"{path}#arm"):
        capsys.readouterr()
        assert main([*command, wrong]) == 2
        error = capsys.readouterr().err
        assert "expected one machine behind a #" in error
        assert "'Processor (amx)' or 'amx'" in error
        assert error.count("\n") == 1


def test_each_end_may_have_a_file_of_its_own(tmp_path: Path) -> None:
    """The device and the server are two machines."""
    row = {"part": "local", "threads": 1, "batch": 1, "p50_ms": 31.0}
    device, out = tmp_path / "device.json", tmp_path / "plan.json"
    device.write_text(json.dumps([row]))
    server = engines_json(tmp_path, "amx")
    both = ["--measured", str(server), "--measured", str(device)]
    assert main(["plan", *both, "--no-sweep", "--json", str(out)]) == 0
    told = json.loads(out.read_text())["models"]
    assert (told["local_ms"], told["cloud_ms"]) == (31.0, 10.0)


def test_the_published_times_can_be_planned_with(tmp_path: Path) -> None:
    published = Path(__file__).parents[2] / "bench/results/engines.json"
    for machine in json.loads(published.read_text())["machines"]:
        told = f"{published}#{machine['machine']['name']}"
        assert main(["plan", "--measured", told, "--no-sweep"]) == 0


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '[{"part": 1}]',
        "null",
        '["x"]',
        '{"machines": []}',
        '{"machines": [{"machine": {"name": "a", "kind": "b"}, "runs": [{}]}]}',
        '[{"part": "local", "threads": 1, "batch": 1, "p50_ms": -1}]',
        '[{"part": "local", "threads": 1, "batch": 1, "p50_ms": NaN}]',
    ],
)
def test_a_file_that_is_no_table_of_times_is_one_line(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "bench.json"
    table.write_text(content)
    assert main(["plan", *MODELS, "--measured", str(table)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("mastra: --measured: ")
    assert error.count("\n") == 1
