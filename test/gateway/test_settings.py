"""What a gateway asks of its devices: checked before it starts, said in the welcome."""

from __future__ import annotations

import pytest

from mastra_ros.errors import ConfigError
from mastra_ros.gateway.settings import device_settings


def test_values_have_the_types_of_their_parameters() -> None:
    texts = ["compression.quality=60", "scheduling.deadline_ms = 200", "scheduling.policy=dta"]
    assert device_settings(texts) == {
        "compression.quality": 60,
        "scheduling.deadline_ms": 200.0,
        "scheduling.policy": "dta",
    }
    assert device_settings([]) == {}


def test_values_are_read_as_in_parameter_files() -> None:
    assert device_settings(["scheduling.deadline_ms=1e3"]) == {"scheduling.deadline_ms": 1000.0}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("compression.quality", "expected stage.parameter=value"),
        ("compression.quality=-1", "compression.quality: expected 0 to 100, got -1"),
        ("compression.quality={", "compression.quality: expected a YAML value"),
        ("compression.codec=png", "a live parameter"),
        ("compression.colour=red", "a live parameter"),
        ("bridge.device=other", "a live parameter of camera, inference"),
        ("quality=60", "expected stage.parameter=value"),
    ],
)
def test_what_no_device_would_take_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match="device_settings: ") as refused:
        device_settings(["compression.quality=50", text])
    assert complaint in str(refused.value)
