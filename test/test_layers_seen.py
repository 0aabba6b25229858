"""The checks of the layers see what they look for: circles that are made on purpose."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_layers import circles, graph_of_files, graph_of_rooms, imports_of


@pytest.mark.parametrize(
    "imported",
    [
        "from .b import Right\n",
        "def later():\n    from .b import Right\n",
        "if TYPE_CHECKING:\n    from .b import Right\n",
        "from . import b\n",
        "import mastra_ros.camera.b\n",
    ],
)
def test_a_circle_between_files_would_be_seen(tmp_path: Path, imported: str) -> None:
    camera = tmp_path / "mastra_ros" / "camera"
    camera.mkdir(parents=True)
    (camera / "a.py").write_text(imported)
    (camera / "b.py").write_text("from .c import Middle\n")
    (camera / "c.py").write_text("from .a import Left\n")
    found = [one for path in sorted(camera.iterdir()) for one in imports_of(path, tmp_path)]
    way = (f"mastra_ros/camera/{name}.py" for name in "abca")
    assert circles(graph_of_files(tmp_path, found)) == [" -> ".join(way)]


def test_a_circle_between_rooms_would_be_seen(tmp_path: Path) -> None:
    camera = tmp_path / "mastra_ros" / "camera"
    (camera / "drawn").mkdir(parents=True)
    (camera / "a.py").write_text("from .drawn.line import Line\n")
    (camera / "b.py").write_text("")
    (camera / "drawn" / "line.py").write_text("from ..b import Left\n")
    found = [one for path in sorted(camera.rglob("*.py")) for one in imports_of(path, tmp_path)]
    files = graph_of_files(tmp_path, found)
    assert not circles(files)
    assert circles(graph_of_rooms(files)) == [
        "mastra_ros/camera -> mastra_ros/camera/drawn -> mastra_ros/camera"
    ]
