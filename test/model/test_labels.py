"""The file of labels of `mastra model convert`."""

from __future__ import annotations

from pathlib import Path

import pytest

from mastra_ros.errors import ConfigError
from mastra_ros.model.description import read_labels


def test_labels_that_stand_twice_are_named_with_their_places(tmp_path: Path) -> None:
    """As the classes of ImageNet do: two of them are called crane, two maillot."""
    path = tmp_path / "labels.txt"
    path.write_text("crane\ndog\n\nmaillot\ncrane\nmaillot\n")
    with pytest.raises(ConfigError) as caught:
        read_labels(path)
    assert "'crane' at 0, 3; 'maillot' at 2, 4 (counted from 0)" in str(caught.value)
