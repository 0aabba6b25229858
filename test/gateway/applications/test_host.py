"""An application sees each committed record, and whatever it does costs its own answers alone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from mastra_ros.errors import ConfigError
from mastra_ros.gateway.applications.host import ApplicationHost
from mastra_ros.gateway.applications.hosts import Applications
from mastra_ros.gateway.applications.keeping import Keeping, KeptArtefact
from mastra_ros.gateway.applications.registry import check_names, known
from mastra_ros.gateway.records import MemoryRecordStore, RecordBatch
from mastra_ros.gateway.records.store import Query
from mastra_ros.protocol.records import RecordItem
from mastra_ros.records import pack_body

EPOCH = "0123456789abcdef"


class Site:
    """A store of records, what is kept of applications, and hosts that share them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._stack = stack
        self.records = MemoryRecordStore()
        self.keeping = Keeping(folder)
        stack.callback(self.keeping.close)
        self.outcomes: Counter[str] = Counter()
        self.told = 0

    def host(self, name: str, **options: Any) -> ApplicationHost:
        host = ApplicationHost(
            *(name, self.records, self.keeping),
            on_outcome=lambda _, what, count: self.outcomes.update({what: count}),
            **{"silence_s": 60.0, **options},
        )
        host.start()
        self._stack.callback(host.close)
        return host

    def tell(self, *bodies: dict[str, Any], kind: str = "event", device: str = "cam") -> None:
        items = []
        for body in bodies:
            self.told += 1
            items.append(
                RecordItem(kind, self.told, 0, 5 * self.told, pack_body({"n": self.told, **body}))
            )
        done = self.records.commit(RecordBatch(device, "main", EPOCH, tuple(items))).result()
        assert not done.refused

    def newest(self, kind: str, device: str = "") -> KeptArtefact | None:
        found = self.keeping.artefacts(device, kind=kind, most=1000)
        return found[-1] if found else None

    def text(self, kind: str) -> str:
        found = self.newest(kind)
        return self.keeping.data(found).read_text() if found else ""

    def await_text(self, kind: str, text: str, host: ApplicationHost) -> None:
        self.wait(lambda: self.text(kind) == text, f"{kind} {text}", host)

    def wait(self, condition: Callable[[], bool], what: str, host: ApplicationHost) -> None:
        until_s = time.monotonic() + 120
        host.wake()
        while not condition():
            assert time.monotonic() < until_s, f"{what}: {self.outcomes}"
            time.sleep(0.01)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path / "state", stack)


def test_each_record_is_seen_and_answered(site: Site, strange: str) -> None:
    site.tell({}, {}, {})
    host = site.host(strange)
    site.await_text("count", "3", host)
    site.tell({})
    site.await_text("count", "4", host)
    artefact = site.newest("count")
    assert artefact is not None
    assert (artefact.device, artefact.stream, artefact.size) == ("cam", "main", 1)
    assert len(site.keeping.artefacts(kind="count")) == 1, "the newest alone"
    # Answers to a record are kept one after the other, and the count is the first of them.
    site.wait(lambda: len(site.keeping.artefacts(kind="each")) == 4, "each of the four", host)
    own = site.records.page(Query(device="@strange"), 0, 100)
    assert [kept.body["count"] for kept in own] == [1, 2, 3, 4], "records for others"


@pytest.mark.parametrize("wrong", ["raise", "nonsense"])
def test_an_exception_costs_the_answers_to_that_record(
    site: Site, strange: str, wrong: str
) -> None:
    site.tell({}, {"do": wrong}, {})
    host = site.host(strange)
    site.await_text("count", "2", host)
    assert site.outcomes["failed"] == 1
    assert site.outcomes["restarted"] == 0


@pytest.mark.parametrize(("wrong", "silence_s"), [("hang", 3.0), ("die", 60.0)])
def test_one_that_hangs_or_dies_is_started_again_and_not_shown_that_record(
    site: Site, strange: str, wrong: str, silence_s: float
) -> None:
    site.tell({}, {"do": wrong}, {})
    host = site.host(strange, silence_s=silence_s)
    site.await_text("count", "2", host)
    assert site.outcomes["passed_over"] == 1
    site.tell({})
    site.await_text("count", "3", host)


def test_what_it_prints_disturbs_nobody(site: Site, strange: str) -> None:
    site.tell({"do": "print"})
    site.await_text("count", "1", site.host(strange))


def test_its_state_is_rebuilt_from_a_snapshot_and_what_came_after(site: Site, strange: str) -> None:
    site.tell({}, {}, {})
    host = site.host(strange, snapshot_records=2)
    site.await_text("count", "3", host)
    site.wait(lambda: site.keeping.snapshot(strange)[0] >= 3, "a snapshot", host)
    host.close()
    site.tell({})
    site.outcomes.clear()
    again = site.host(strange)
    site.await_text("count", "4", again)
    site.wait(lambda: len(site.keeping.artefacts(kind="each")) == 4, "its answers", again)
    site.wait(lambda: site.outcomes["seen"] > 0, "the count of what was shown", again)
    assert site.outcomes["seen"] == 1, "what is in the snapshot is not shown again"


def test_answers_that_are_given_again_count_once(site: Site, strange: str) -> None:
    """Without a snapshot all is rebuilt from the records, and all answers are given again."""
    site.tell({}, {}, {})
    host = site.host(strange)
    site.await_text("count", "3", host)
    host._take_snapshot = lambda: None  # type: ignore[method-assign]
    host.close()
    site.tell({})
    again = site.host(strange)
    site.await_text("count", "4", again)
    site.wait(lambda: len(site.keeping.artefacts(kind="each")) >= 4, "its answers", again)
    assert len(site.keeping.artefacts(kind="each")) == 4
    own = site.records.page(Query(device="@strange"), 0, 100)
    assert [kept.body["count"] for kept in own] == [1, 2, 3, 4]


def test_the_factory_tells_each_line_its_yield(site: Site) -> None:
    short = {"label": "short", "score": 0.9, "box": [0, 0, 1, 1]}
    site.tell({"verdict": "pass", "defects": []}, kind="verdict")
    site.tell({"verdict": "reject", "defects": [short, short]}, kind="verdict")
    site.tell({"verdict": "pass"}, kind="verdict", device="cam-2")
    site.tell({"verdict": ["?"], "defects": 7}, {"verdict": "pass", "defects": {}}, kind="verdict")
    host = site.host("factory")
    site.wait(lambda: site.outcomes["seen"] == 5, "all verdicts", host)
    site.wait(lambda: len(site.keeping.artefacts(kind="statistics")) == 2, "both lines", host)
    (one,) = site.keeping.artefacts("cam", kind="statistics")
    assert one.media_type == "application/json"
    told = site.keeping.data(one).read_text()
    assert '"boards": 3' in told
    assert '"yield": 0.6667' in told
    assert '"short": 2' in told


def test_applications_that_nobody_knows_are_refused(strange: str, tmp_path: Path) -> None:
    assert {"factory", strange} <= set(known())
    check_names(["factory", strange])
    for names in (["nobody"], ["factory", "factory"]):
        with pytest.raises(ConfigError, match="expected some of"):
            check_names(names)
    keeping = Keeping(tmp_path / "state")
    with pytest.raises(ConfigError, match="nobody"):
        Applications(["nobody"], keeping)
    keeping.close()
