"""The READMEs name what there is: topics, launch arguments, verbs, and the numbers measured."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mastra_ros.cli.main import VERBS

ROOT = Path(__file__).resolve().parents[2]
BOTH = pytest.mark.parametrize("page", ["README.md", "README.zh.md"])


def section(page: str, column: str) -> list[list[str]]:
    """Cells of the table whose head has this column first."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {column} |"))
    found = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return found


def names(cells: list[list[str]]) -> set[str]:
    return {name for row in cells for name in re.findall(r"`([^`]+)`", row[0])}


def shape(page: str) -> list[str]:
    """Headings by level, tables by rows, commands: what a translation leaves alone."""
    found, code = [], False
    for line in (ROOT / page).read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            code = not code
        elif code:
            found.append(line.partition("#")[0].strip())
        elif line.startswith("#"):
            found.append(line.split()[0])
        elif line.startswith("|"):
            found.append("|" * line.count("|"))
    return found


def test_both_languages_have_the_same_sections_tables_and_commands() -> None:
    assert shape("README.zh.md") == shape("README.md")


@BOTH
def test_every_topic_stands_in_the_table(page: str) -> None:
    nodes = [p.read_text(encoding="utf-8") for p in ROOT.glob("mastra_ros/nodes/**/*.py")]
    topic = r'(?:advertise\(|FramePublisher\(|create_publisher\()\s*\w+,\s*"([^"]+)"'
    published = set(re.findall(topic, "\n".join(nodes))) | {"detections", "/diagnostics"}
    beside = re.findall(r'compressed_topic\(\w+, "([^"]+)"\)', "\n".join(nodes))
    published |= {f"{topic}/compressed" for topic in beside}
    assert names(section(page, "topic" if page == "README.md" else "话题")) == published


@BOTH
def test_every_launch_argument_stands_in_the_table(page: str) -> None:
    files = [*ROOT.glob("launch/*.py"), ROOT / "mastra_ros/nodes/run/launching.py"]
    code = "\n".join(path.read_text(encoding="utf-8") for path in files)
    declared = set(re.findall(r'\n        \("(\w+)", (?:"|str\()', code))
    declared |= set(re.findall(r'DeclareLaunchArgument\("(\w+)"', code))
    declared |= set(re.findall(r'(\w+)="(?:camera|bridge|gateway)\.\w+"', code))
    assert names(section(page, "argument" if page == "README.md" else "参数")) == declared


@BOTH
def test_every_verb_stands_in_the_table(page: str) -> None:
    assert names(section(page, "`mastra …`")) >= set(VERBS)
    first = {re.findall(r"`([^`]+)`", row[0])[0] for row in section(page, "`mastra …`")}
    assert first == set(VERBS)


@pytest.fixture(scope="module")
def table() -> Any:
    spec = importlib.util.spec_from_file_location("bench_table", ROOT / "bench/table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "page", ["README.md", "README.zh.md", "docs/measured.md", "docs/measured.zh.md"]
)
def test_the_numbers_are_those_that_were_measured(page: str, table: Any) -> None:
    """Made again by: python -m bench.table"""
    text = (ROOT / page).read_text(encoding="utf-8")
    assert table.filled(text, page) == text


@BOTH
def test_the_readme_has_a_dozen_numbers_each_beside_what_it_is_compared_to(page: str) -> None:
    rows = section(page, "what" if page == "README.md" else "项目")
    assert len(rows) == 12
    for row in rows:
        assert len(row) == 3
        assert all(cell.strip(" |-") for cell in row), row


def test_every_number_stands_in_both_languages(table: Any) -> None:
    english, chinese = (
        (ROOT / page).read_text(encoding="utf-8").split("<!-- measured: start -->")[1]
        for page in ("docs/measured.md", "docs/measured.zh.md")
    )
    rows = len(table.rows())
    assert english.count("\n| ") == chinese.count("\n| ") == rows + 2


@BOTH
def test_the_pictures_of_the_readme_are_there_and_small(page: str) -> None:
    """Made again by: python -m bench.images"""
    text = (ROOT / page).read_text(encoding="utf-8")
    shown = re.findall(r"!\[[^\]]{10,}\]\((\S+)\)", text)
    names = ("board", "cut", "dashboard_fleet")
    assert shown == [f"docs/images/{name}.png" for name in names]
    for name in shown:
        content = (ROOT / name).read_bytes()
        assert content.startswith(b"\x89PNG")
        assert len(content) < 200_000


@pytest.mark.parametrize(
    "module",
    [
        "bench.models_table",
        "bench.policies_table",
        "bench.privacy_table",
        "bench.compression_table",
        "bench.gateway_table",
        "bench.records_table",
        "bench.ultrasound_table",
        "bench.dashboard_table",
    ],
)
def test_the_tables_of_the_pages_are_those_that_were_measured(module: str) -> None:
    """Made again by: make docs"""
    command = [sys.executable, "-m", module, "--check"]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def test_what_was_not_measured_is_left_out(table: Any, tmp_path: Path) -> None:
    assert table.rows(tmp_path) == []
    page = f"a\n{table.START}\nold\n{table.END}\nb"
    filled = table.filled(page, "README.md", tmp_path).splitlines()
    assert filled[2:4] == ["| what | measured | compared to |", "| --- | --- | --- |"]
    assert filled[4] == table.END


def test_a_result_of_the_pipeline_becomes_rows(table: Any, tmp_path: Path) -> None:
    results = tmp_path / "bench/results"
    results.mkdir(parents=True)
    figures = {"age_p50_ms": 11.04, "age_p99_ms": 15.0, "frames_per_s": 80.0}
    told = {
        "rows": [
            {"size": "640x480", "load": "paced", "mastra": figures, "bare": figures},
            {"size": "640x480", "load": "saturated", "mastra": figures, "bare": figures},
        ],
        "build": {"setup_s": 61.2},
    }
    (results / "pipeline.json").write_text(json.dumps(told))
    assert [row.value for row in table.rows(tmp_path)] == [
        "11.0 / 15.0 ms (11.0 ms)",
        "80.0 (80.0)",
        "61 s",
    ]
