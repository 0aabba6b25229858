"""A crossroads of our own, made by SUMO's netconvert, with vehicles on it."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path

import pytest

NODES = """<nodes>
  <node id="c" x="0" y="0" type="traffic_light"/>
  <node id="n" x="0" y="200"/> <node id="s" x="0" y="-200"/>
  <node id="e" x="200" y="0"/> <node id="w" x="-200" y="0"/>
</nodes>"""
SECONDS = 200


@pytest.fixture(scope="session")
def sumocfg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its .sumocfg: two streets of a lane a direction, from second 100 on for 200 s."""
    for name in ("libsumo", "sumolib", "sumo"):
        if importlib.util.find_spec(name) is None:
            pytest.skip('SUMO is not installed: pip install ".[sumo]"')
    folder = tmp_path_factory.mktemp("crossroads")
    sides = "nsew"
    edges = "".join(
        f'<edge id="{side}-in" from="{side}" to="c"/><edge id="{side}-out" from="c" to="{side}"/>'
        for side in sides
    )
    (folder / "x.nod.xml").write_text(NODES)
    (folder / "x.edg.xml").write_text(f"<edges>{edges}</edges>")
    import sumo

    netconvert = Path(sumo.SUMO_HOME) / "bin" / "netconvert"
    subprocess.run(
        [netconvert, "-n", "x.nod.xml", "-e", "x.edg.xml", "-o", "x.net.xml"],
        *(),
        cwd=folder,
        check=True,
        capture_output=True,
    )
    trips = []
    for second in range(100, 100 + SECONDS - 60, 3):
        came_by, left_by = ("n", "s") if second % 4 else ("w", "e" if second % 5 else "n")
        trips.append(
            f'<trip id="{second}" depart="{second}" from="{came_by}-in" to="{left_by}-out"/>'
        )
    (folder / "x.rou.xml").write_text(f"<routes>{''.join(trips)}</routes>")
    (folder / "x.sumocfg").write_text(
        '<configuration><input><net-file value="x.net.xml"/><route-files value="x.rou.xml"/>'
        f'</input><time><begin value="100"/><end value="{100 + SECONDS}"/></time></configuration>'
    )
    return folder / "x.sumocfg"
