"""The tutorial on applications runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs/applications.md"


def test_the_application_of_the_tutorial_passes_its_own_test() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    application, _, its_test = blocks
    names: dict[str, Any] = {}
    exec(application, names)
    exec(its_test, names)
    names["test_the_rate_goes_on_after_a_restart"]()
    made = names["PartsAnHour"]()
    (answer,) = made.on_record(names["seen"](1))
    assert answer.data == b'{"parts_an_hour": 1}'
