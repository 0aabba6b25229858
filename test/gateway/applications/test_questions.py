"""Applications are asked in their own process, which may fail; that costs the answer alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest

from mastra_ros.errors import RecordError, StoreError
from mastra_ros.gateway.applications.figures import ApplicationFigures, families
from mastra_ros.gateway.applications.hosts import Applications
from mastra_ros.gateway.applications.keeping import Keeping
from mastra_ros.gateway.records import MemoryRecordStore, RecordBatch
from mastra_ros.pipeline.application import Figure
from mastra_ros.protocol.records import RecordItem
from mastra_ros.records import pack_body


class Site:
    """One application, `strange`, and the records that it sees."""

    def __init__(self, folder: Path, name: str, stack: ExitStack, silence_s: float = 60.0) -> None:
        self.records = MemoryRecordStore()
        self.applications = Applications([name], Keeping(folder), silence_s=silence_s)
        self.applications.start(self.records)
        stack.callback(self.applications.close)
        self._told = 0

    def tell(self, count: int) -> None:
        first = self._told + 1
        self._told += count
        items = tuple(
            RecordItem("event", n, 0, 5 * n, pack_body({"n": n}))
            for n in range(first, self._told + 1)
        )
        self.records.commit(RecordBatch("cam", "main", "0" * 16, items)).result()

    def get(self, path: str, **query: str) -> dict[str, Any]:
        answer = self.applications.ask("strange", {"get": [path, query, ""]})
        return answer.result(120)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def site(tmp_path: Path, strange: str, stack: ExitStack) -> Site:
    return Site(tmp_path / "state", strange, stack)


def test_an_answer_rests_on_all_records_that_were_there_when_the_process_began(site: Site) -> None:
    site.tell(700)
    assert json.loads(site.get("count")["json"]) == {"count": 700, "device": ""}


def test_questions_that_cannot_be_answered_are_told_apart(site: Site) -> None:
    assert site.get("count", at="x") == {"status": 400, "error": "at: as told"}
    assert site.get("count", of="me") == {"status": 404, "error": "nothing of me"}
    assert site.get("elsewhere")["status"] == 404
    assert site.get("nonsense")["status"] == 400  # JSON has no such number
    assert json.loads(site.get("count")["json"])["count"] == 0


def test_one_that_ends_at_a_question_is_started_again_from_its_records(site: Site) -> None:
    site.tell(3)
    with pytest.raises(StoreError, match="ended with status 4"):
        site.get("count", fail="now")
    assert json.loads(site.get("count")["json"])["count"] == 3


def test_one_that_hangs_at_a_question_is_ended(
    tmp_path: Path, strange: str, stack: ExitStack
) -> None:
    site = Site(tmp_path / "state", strange, stack, silence_s=2.0)
    site.tell(3)
    with pytest.raises(StoreError, match="does not answer within 2 s"):
        site.get("hang")


def test_who_asks_while_the_gateway_stops_is_told(site: Site) -> None:
    site.applications.close()
    with pytest.raises(StoreError, match="stops"):
        site.get("count")


def test_its_figures_stand_among_the_metrics_once_it_runs(site: Site) -> None:
    registry = CollectorRegistry()
    registry.register(ApplicationFigures(site.applications, within_s=60.0))
    assert b"strange" not in generate_latest(registry)  # type: ignore[no-untyped-call]
    site.tell(2)
    site.get("count")
    text = generate_latest(registry).decode()  # type: ignore[no-untyped-call]
    assert "mastra_strange_seen_total 2.0" in text
    assert 'mastra_strange_level{side="north"} 0.5' in text
    assert 'mastra_strange_level{side="south"} 0.25' in text


def test_figures_of_one_name_with_other_labels_do_not_break_the_page() -> None:
    (family,) = families(
        "my-app",
        [["a", "doc", 1, {"x": "1"}, False], ["a", "doc", 2, {"y": "2"}, False],
         ["a", "doc", 3, {"x": "1"}, False]],
    )  # fmt: skip
    told = [(sample.name, sample.labels, sample.value) for sample in family.samples]
    assert told == [("mastra_my_app_a", {"x": "1"}, 1.0), ("mastra_my_app_a", {"x": ""}, 2.0)]


@pytest.mark.parametrize(
    ("name", "value", "labels"),
    [("Bad", 1.0, {}), ("a b", 1.0, {}), ("a", float("nan"), {}), ("a", 1.0, {"Bad-label": "x"})],
)
def test_a_figure_needs_a_name_and_a_number(
    name: str, value: float, labels: dict[str, str]
) -> None:
    with pytest.raises(RecordError):
        Figure(name, "doc", value, labels)
