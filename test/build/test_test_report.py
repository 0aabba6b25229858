"""The report of `make test`, made from JUnit files as pytest and ament write them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

PASSED = '<testcase classname="x" file="test/a/test_one.py" name="test_sees" time="0.5"/>'
FAILED = (
    '<testcase file="test/a/test_two.py" name="test_hears" time="1.0">'
    '<failure message="short">expected 3 ms, got 4 ms</failure></testcase>'
)
BROKEN = (
    '<testcase file="test/a/test_two.py" name="test_set_up"><error message="no camera"/></testcase>'
)
SKIPPED = (
    '<testcase file="test/b/test_three.py" name="test_launches">'
    '<skipped message="launch is not installed">test_three.py:7: launch</skipped></testcase>'
)


def run_report(folder: Path, **files: str) -> tuple[int, str]:
    for name, cases in files.items():
        text = f"<testsuites><testsuite>{cases}</testsuite></testsuites>"
        (folder / f"{name}.xunit.xml").write_text(text)
    script = ROOT / "scripts" / "test_report.py"
    done = subprocess.run(
        [sys.executable, script, folder], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_counts_each_file_and_closes_with_the_total(tmp_path: Path) -> None:
    status, text = run_report(tmp_path, a=PASSED + PASSED, b=SKIPPED)
    lines = text.splitlines()
    assert status == 0
    assert lines[-1] == "2 passed, 0 failed, 1 skipped"
    assert "test/a/test_one.py         2       0        0      1.0" in lines


def test_says_why_tests_were_skipped(tmp_path: Path) -> None:
    _, text = run_report(tmp_path, a=PASSED, b=SKIPPED + SKIPPED)
    assert "skipped 2 in test/b/test_three.py: launch is not installed" in text.splitlines()


def test_says_why_a_whole_file_was_skipped(tmp_path: Path) -> None:
    skipped = (
        '<testcase file="test/train/test_network.py" name="test.train.test_network">'
        "<skipped message=\"collection skipped\">('/x/test_network.py', 8, "
        "'Skipped: PyTorch is needed')</skipped></testcase>"
    )
    _, text = run_report(tmp_path, a=PASSED + skipped)
    assert "skipped 1 in test/train/test_network.py: PyTorch is needed" in text.splitlines()


def test_a_test_that_a_library_defines_counts_for_the_file_that_uses_it(tmp_path: Path) -> None:
    borrowed = (
        '<testcase file=".venv/lib/python3.11/site-packages/hypothesis/stateful.py" '
        'classname="mastra_ros.test.bridge.test_spool.TestSpool" name="runTest" time="1.5"/>'
    )
    _, text = run_report(tmp_path, a=borrowed)
    assert "test/bridge/test_spool.py       1       0        0      1.5" in text.splitlines()


def test_shows_the_message_of_a_failure_and_fails(tmp_path: Path) -> None:
    status, text = run_report(tmp_path, a=PASSED + FAILED + BROKEN)
    assert status == 1
    assert "FAILED test/a/test_two.py: test_hears\nexpected 3 ms, got 4 ms\n" in text
    assert "FAILED test/a/test_two.py: test_set_up\nno camera\n" in text
    assert text.splitlines()[-1] == "1 passed, 2 failed, 0 skipped"


def test_fails_when_no_test_ran(tmp_path: Path) -> None:
    status, text = run_report(tmp_path, b=SKIPPED)
    assert status == 1
    assert "no test ran" in text
    status, text = run_report(tmp_path / "nowhere")
    assert status == 1
    assert text.splitlines()[-1] == "0 passed, 0 failed, 0 skipped"


def test_a_damaged_result_counts_as_a_failed_test(tmp_path: Path) -> None:
    (tmp_path / "camera.xunit.xml").write_text("<testsuites><test")
    status, text = run_report(tmp_path, a=PASSED)
    assert status == 1
    assert "FAILED test/camera: camera.xunit.xml\nnot a test result: " in text
    assert text.splitlines()[-1] == "1 passed, 1 failed, 0 skipped"
