"""The documents say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mastra_ros.config.files import check, load_parameters, to_markdown

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_the_table_of_parameters_is_up_to_date() -> None:
    """Made again by: mastra params --markdown > docs/parameters.md"""
    assert (ROOT / "docs/parameters.md").read_text(encoding="utf-8") == to_markdown()


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(ROOT.glob("config/*.yaml")) if "ros__parameters" in path.read_text()],
    ids=lambda path: str(path.name),
)
def test_a_parameter_file_that_we_ship_is_accepted_and_repeats_no_default(path: Path) -> None:
    values = load_parameters(path)
    defaults = check({})
    for stage, config in check(values).items():
        for name in values.get(stage, {}):
            assert getattr(config, name) != getattr(defaults[stage], name), f"{stage}.{name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), target
