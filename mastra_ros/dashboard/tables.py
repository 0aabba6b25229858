"""Tables that may be wider than the page: whoever has a keyboard alone can scroll them too."""

from __future__ import annotations

import json
from typing import Any

from nicegui import ui

# Quasar scrolls a box within the table, and has no property to let the keyboard get there
# (WCAG 2.1.1). What is set on it stays: Vue takes away only what it has set itself.
_REACHABLE = """vnode => {
  const box = vnode.el.querySelector('.q-table__middle');
  for (const [name, value] of [['tabindex', '0'], ['role', 'region'], ['aria-label', %s]])
    box.setAttribute(name, value);
}"""


def empty_table(columns: list[dict[str, Any]], key: str, label: str) -> ui.table:
    """A table without rows yet. key: the column that tells rows apart; label: what it lists."""
    table = ui.table(columns=columns, rows=[], row_key=key).classes("w-full")
    table.props[":onVnodeMounted"] = _REACHABLE % json.dumps(label)
    return table
