"""What a gateway may ask for: a closed list, typed, bounded, and no more often than is useful."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mastra_ros.bridge.settings import APPLY_NS, TELL_NS, TOLD_MAX, RemoteSettings, Trickle
from mastra_ros.config import REMOTE_STAGES, STAGES, check_remote, parameters_of
from mastra_ros.errors import ConfigError

S = 1_000_000_000
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
NAMES = st.sampled_from(
    [f"{stage}.{name}" for stage in STAGES for name in parameters_of(STAGES[stage])]
    + ["camera.use_sim_time", "x", "", ".", "camera.", "scheduling.qos_overrides.a"]
)


@given(NAMES, VALUES)
def test_whatever_is_accepted_is_live_and_what_its_node_would_take(name: str, value: Any) -> None:
    try:
        accepted = check_remote(name, value)
    except ConfigError:
        return
    stage, _, parameter = name.partition(".")
    assert stage in REMOTE_STAGES
    declared = parameters_of(STAGES[stage])[parameter]
    assert declared.live
    assert declared.check(accepted) == accepted


@given(st.dictionaries(NAMES, VALUES, max_size=8))
def test_no_value_makes_it_raise(values: dict[str, Any]) -> None:
    settings = RemoteSettings()
    settings.take(values, 0)
    for stage in settings.waiting(0):
        assert settings.pop(stage, 0)


def test_a_stage_is_changed_once_a_second_and_the_last_wish_counts() -> None:
    settings = RemoteSettings()
    settings.take({"compression.quality": 50}, 0)
    assert settings.waiting(0) == ["compression"]
    assert settings.pop("compression", 0) == {"quality": 50}
    for quality in range(1, 100):
        settings.take({"compression.quality": quality}, quality)
    assert settings.waiting(APPLY_NS - 1) == []
    assert settings.waiting(APPLY_NS) == ["compression"]
    assert settings.pop("compression", APPLY_NS) == {"quality": 99}
    assert settings.waiting(3 * APPLY_NS) == []


def test_a_complaint_is_told_once_a_minute_and_all_together_stay_few() -> None:
    settings = RemoteSettings()
    told = [settings.take({"nonsense": n}, n * S) for n in range(59)]
    assert [len(lines) for lines in told] == [1] + [0] * 58
    assert settings.take({"nonsense": 0}, TELL_NS) != []
    lines = [line for n in range(1000) for line in settings.take({f"name{n}": n}, TELL_NS + 1)]
    assert len(lines) <= TOLD_MAX
    assert settings.refused == 59 + 1 + 1000
    assert all("\n" not in line and len(line) <= 300 for line in lines)


@pytest.mark.parametrize("name", ["a" * 10_000, "line\nbreak", "\x1b[31mred"])
def test_a_name_of_the_other_side_cannot_forge_a_line(name: str) -> None:
    (line,) = RemoteSettings().take({name: 1}, 0)
    assert len(line) <= 300
    assert line.isprintable()


def test_a_trickle_passes_and_a_flood_is_seen() -> None:
    trickle = Trickle(per_s=10, burst=20, flood=100)
    assert all(trickle.passes(n * S // 10) for n in range(100))
    assert not trickle.flooded
    now_ns = 20 * S
    passed = sum(trickle.passes(now_ns) for _ in range(119))
    assert passed == 20
    assert not trickle.flooded
    assert not trickle.passes(now_ns + 1)
    trickle.passes(now_ns + 2)
    assert trickle.flooded
    assert trickle.passes(now_ns + 10 * S)
    assert not trickle.flooded
