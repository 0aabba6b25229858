"""Every row of the matrix in its short form: nothing lost, nothing twice, memory within its bound.

The long form, with the latency of a healthy device beside the attack, is `make hostile`.
"""

from __future__ import annotations

import pytest

from bench.attacks.row import Row, all_rows
from bench.attacks.site import Sites


@pytest.mark.parametrize("row", all_rows(), ids=lambda row: f"{row.item}: {row.name}")
def test_a_row_holds(row: Row, sites: Sites) -> None:
    record = row.run(sites)
    sites.tidy()
    assert not record.complaints, "; ".join(record.complaints)


def test_rows_of_an_item_are_several_and_differ() -> None:
    items: dict[str, set[str]] = {}
    for row in all_rows():
        items.setdefault(row.item, set()).add(row.name)
    few = {item: names for item, names in items.items() if len(names) < 3}
    assert not few
