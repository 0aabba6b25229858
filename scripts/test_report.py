"""Prints the result of each test file and a total, read from the JUnit files of a test run.

Usage: python scripts/test_report.py FOLDER
The exit status is 0 only when at least one test ran and none failed.
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_OUTCOMES = {"failure": "failed", "error": "failed", "skipped": "skipped"}


@dataclass(frozen=True)
class Case:
    """One test: where it stands, how it ended (passed, failed, skipped), how long, and why."""

    file: str
    name: str
    outcome: str
    seconds: float
    message: str = ""


def _file(element: ElementTree.Element, suite: str) -> str:
    """The test file; a test that a library defines (hypothesis) is told by its class name."""
    file = element.get("file", "")
    if not file.startswith("test/"):
        module = re.search(r"\btest\.(\w+\.)*?test_\w+", element.get("classname", ""))
        file = module[0].replace(".", "/") + ".py" if module else suite
    return file


def _case(element: ElementTree.Element, suite: str) -> Case:
    name = element.get("name", "?")
    file = _file(element, suite)
    seconds = float(element.get("time", "0"))
    for child in element:
        if outcome := _OUTCOMES.get(child.tag):
            short, long = child.get("message", "").strip(), (child.text or "").strip()
            if outcome == "skipped":
                # A file that was skipped whole has its reason in the text: "(path, line, reason)".
                reason = re.search(r"Skipped: (.*?)['\"]\)$", long, re.DOTALL)
                message = reason[1] if reason and short == "collection skipped" else short
            else:
                message = long or short
            return Case(file, name, outcome, seconds, message or "no message")
    return Case(file, name, "passed", seconds)


def read_cases(path: Path) -> list[Case]:
    """The tests in one JUnit file; a file that cannot be read is itself a failed test."""
    suite = f"test/{path.name.removesuffix('.xunit.xml')}"
    try:
        root = ElementTree.parse(path).getroot()  # noqa: S314 - written by pytest, just now
    except (ElementTree.ParseError, OSError) as error:
        return [Case(suite, path.name, "failed", 0.0, f"not a test result: {error}")]
    return [_case(element, suite) for element in root.iter("testcase")]


def table(cases: Iterable[Case]) -> str:
    """One line per test file: passed, failed, skipped, seconds."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    seconds: defaultdict[str, float] = defaultdict(float)
    for case in cases:
        counts[case.file][case.outcome] += 1
        seconds[case.file] += case.seconds
    width = max(map(len, counts), default=0)
    lines = [f"{'file':<{width}}  passed  failed  skipped  seconds"]
    for file, n in sorted(counts.items()):
        numbers = f"{n['passed']:6}  {n['failed']:6}  {n['skipped']:7}  {seconds[file]:7.1f}"
        lines.append(f"{file:<{width}}  {numbers}")
    return "\n".join(lines)


def report(cases: Sequence[Case]) -> tuple[str, int]:
    """The text to print and the exit status."""
    total = Counter(case.outcome for case in cases)
    blocks = [
        f"FAILED {case.file}: {case.name}\n{case.message}"
        for case in cases
        if case.outcome == "failed"
    ]
    blocks.append(table(cases))
    reasons = Counter((case.file, case.message) for case in cases if case.outcome == "skipped")
    if reasons:
        lines = [f"skipped {n} in {file}: {why}" for (file, why), n in sorted(reasons.items())]
        blocks.append("\n".join(lines))
    ran = total["passed"] + total["failed"]
    if not ran:
        blocks.append("no test ran")
    blocks.append(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return "\n\n".join(blocks), int(total["failed"] > 0 or not ran)


def main(arguments: Sequence[str]) -> int:
    """Reports the `*.xunit.xml` in the folder that the one argument names."""
    if len(arguments) != 1:
        print("usage: test_report.py FOLDER", file=sys.stderr)
        return 2
    paths = sorted(Path(arguments[0]).glob("*.xunit.xml"))
    text, status = report([case for path in paths for case in read_cases(path)])
    print(text)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
