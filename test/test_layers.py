"""The layers of the design hold: who may import whom, and how large a file may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "mastra_ros"

CONTRACTS = {
    *("types", "config", "errors", "pictures", "share"),
    *("redaction", "private_files", "leftovers", "sqlite_files", "figures", "records", "artefacts"),
    *("statuses", "sets", "packed_maps", "orphans"),
}
"""Modules that every stage may import."""

EXCEPTIONS = {
    "bridge": {"protocol"},
    "gateway": {"protocol", "inference", "compression", "pipeline"},
    "model": {"inference", "compression", "scheduling", "privacy"},
    "privacy": {"inference"},
    "compression": {"privacy"},
    "dashboard": {"protocol", "simulation"},
    "pipeline": {"privacy", "inference"},
    "simulation": {"scheduling", "protocol", "bridge", "planning", "pipeline"},
}
"""What else a stage may import."""

LEAVES = """
    bridge/artefacts bridge/records camera/drawn compression/codecs gateway/alarms gateway/apart
    gateway/door gateway/openinference gateway/records gateway/statuses gateway/steering
    inference/engines model/labels nodes/convert pipeline/volume privacy/finders
    scheduling/estimates
"""
"""Folders inside a stage that know nothing else of it."""
TRAFFIC = "counting device flow junction plates signals site tracks".split()  # noqa: SIM905
ROOMS: dict[str, set[str]] = {
    **{room: set() for room in LEAVES.split()},
    "cli/model": {"cli"},
    "cli/traffic": {"cli"},
    "gateway/applications": {"gateway/records", "gateway/sets"},
    "gateway/sets": {"gateway/records"},
    "gateway/tensors": {"gateway/openinference"},
    "inference/choosing": {"inference", "inference/engines"},
    "model/convert": {"model", "model/judge", "model/rebuild"},
    "model/fit": {"model"},
    "model/judge": {"model"},
    "model/rebuild": {"model"},
    "model/split": {"model", "model/judge"},
    "nodes/run": {"nodes", "nodes/convert"},
    "pipeline/casting": {"pipeline/volume"},
    "pipeline/factory": {"pipeline"},
    "pipeline/report": {"pipeline/volume"},
    "pipeline/ultrasound": {"pipeline"},
    "pipeline/ultrasound/cloud": {
        *("pipeline", "pipeline/report", "pipeline/ultrasound", "pipeline/volume"),
    },
    "pipeline/traffic/cloud": {"pipeline", "pipeline/traffic"},
    **{f"pipeline/traffic/{room}": {"pipeline/traffic"} for room in TRAFFIC},
    "pipeline/traffic": {"pipeline"},
    "scheduling/arbiter": {"scheduling/estimates"},
    "scheduling/policies": {"scheduling/estimates"},
    "simulation/traffic": {"simulation"},
}
"""Every folder inside a stage, and what of its own stage it may know; the rest of the stage may
know it, unless that makes a circle."""

UNBOUND = {"cli", "nodes"}
"""These tie the stages together and may import all of them, but not each other's insides."""

ROS = {"rclpy", "rcl_interfaces", "builtin_interfaces", "rosidl_runtime_py", "cv_bridge"}
ON_USE = {
    *("ai_edge_litert", "tflite_runtime", "onnxruntime", "av", "nicegui"),
    *("ai_edge_quantizer", "litert_torch", "matplotlib", "onnx", "onnx2torch", "tensorflow"),
    *("mcap", "nncf", "openvino", "tflite_micro", "torch", "grpclib", "h2", "google"),
    *("fhir", "highdicom", "pydicom", "pynetdicom", "reportlab", "scipy", "skimage", "jpeg_ls"),
    *("libsumo", "pyigtl", "sumolib"),
}
"""Packages that a device may lack: imported where they are used, never with a module."""

DRAWING = {
    *("pages.py", "settings_form.py", "gateway_panel.py", "live_charts.py", "preview_panel.py"),
    *("tables.py", "show.py", "rollout_page.py"),
}
"""Files that draw pages, and are themselves imported where the dashboard is served."""

REPORTING = {"nncf", "onnxruntime", "openvino"}
"""Packages that tell their makers that they are used, unless told not to first."""


@dataclass(frozen=True)
class Import:
    """One name imported by one file."""

    path: Path  # below the root of the repository
    line: int
    module: str  # dotted, absolute
    name: str  # what is taken from it; empty for `import module`
    at_import: bool  # executed when the file itself is imported

    @property
    def room(self) -> str:
        """Folder of the importing file below mastra_ros; empty at the top."""
        return "/".join(self.path.parts[1:-1])

    @property
    def stage(self) -> str:
        """Stage of the importing file: the folder or module below mastra_ros."""
        return self.path.parts[1].removesuffix(".py")

    @property
    def target(self) -> str:
        """Stage that is imported; empty when it is no module of ours."""
        parts = self.module.split(".")
        if parts[0] != "mastra_ros":
            return ""
        return parts[1] if len(parts) > 1 else self.name

    def __str__(self) -> str:
        what = f"{self.module}: {self.name}" if self.name else self.module
        return f"{self.path}:{self.line} imports {what}"


def imports_of(path: Path, root: Path = ROOT) -> Iterator[Import]:
    """Every import in a file; those for type checking only count too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    yield from _walk(path.relative_to(root), tree, True)


def _walk(path: Path, node: ast.AST, at_import: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(path, child.lineno, alias.name, "", at_import)
        elif isinstance(child, ast.ImportFrom):
            module = _absolute(path, child)
            for alias in child.names:
                yield Import(path, child.lineno, module, alias.name, at_import)
        else:
            later = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) or (
                isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            )
            yield from _walk(path, child, at_import and not later)


def _absolute(path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    folders = path.parent.parts
    base = folders[: len(folders) - (node.level - 1)]
    return ".".join([*base, *([node.module] if node.module else [])])


FILES = sorted(PACKAGE.rglob("*.py"))
IMPORTS = [found for path in FILES for found in imports_of(path)]

Graph = dict[str, set[str]]


def graph_of_files(root: Path, found: list[Import]) -> Graph:
    """Which file imports which, as paths below `root`; a package is its __init__.py."""

    def file_of(module: str) -> str | None:
        base = root.joinpath(*module.split("."))
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                return str(path.relative_to(root))
        return None

    graph: Graph = {}
    for one in found:
        path = str(one.path)
        target = file_of(f"{one.module}.{one.name}") if one.name else None
        target = target or file_of(one.module)
        if target and target != path:
            graph.setdefault(path, set()).add(target)
    return graph


def graph_of_rooms(files: Graph) -> Graph:
    """Which folder imports which; a file at the top of the package is a room of its own."""

    def room(path: str) -> str:
        folder = str(Path(path).parent)
        return path if folder == PACKAGE.name else folder

    graph: Graph = {}
    for path, targets in files.items():
        others = {room(target) for target in targets} - {room(path)}
        graph.setdefault(room(path), set()).update(others)
    return graph


def circles(graph: Graph) -> list[str]:
    """One way around for every node that can reach itself, once a circle."""
    known: set[frozenset[str]] = set()
    found = []
    for start in sorted(graph):
        ways = [[start]]
        seen = set()
        while ways:
            way = ways.pop(0)
            for after in sorted(graph.get(way[-1], ())):
                if after == start and frozenset(way) not in known:
                    known.add(frozenset(way))
                    found.append(" -> ".join([*way, start]))
                    ways = []
                    break
                if after not in seen:
                    seen.add(after)
                    ways.append([*way, after])
    return found


def complaints(found: list[Import]) -> str:
    return "\n".join(str(one) for one in found)


def test_the_scan_sees_the_package() -> None:
    assert {"camera", "nodes", "config"} <= {found.stage for found in IMPORTS}
    assert any(found.target == "types" for found in IMPORTS)


def test_only_nodes_know_ros() -> None:
    wrong = [
        found
        for found in IMPORTS
        if found.stage != "nodes"
        and (
            found.module.split(".")[0] in ROS
            or found.module.split(".")[0].endswith("_msgs")
            or found.target in ("msg", "srv", "action")
        )
    ]
    assert not wrong, complaints(wrong)


def test_stages_import_only_the_contracts_and_themselves() -> None:
    wrong = [
        found
        for found in IMPORTS
        if found.target
        and found.stage not in UNBOUND
        and found.target != found.stage
        and found.target not in CONTRACTS | EXCEPTIONS.get(found.stage, set())
    ]
    assert not wrong, complaints(wrong)


def test_a_room_knows_only_the_rooms_below_it() -> None:
    wrong = []
    for found in IMPORTS:
        parts = found.module.split(".")[1:]
        if "/" not in found.room or not parts or parts[0] != found.stage:
            continue
        inside = parts[:2] if (PACKAGE / Path(*parts[:2])).is_dir() else parts[:1]
        target = "/".join(inside)
        if target != found.room and target not in ROOMS[found.room]:
            wrong.append(found)
    assert not wrong, complaints(wrong)


def test_every_room_inside_a_stage_has_its_rule() -> None:
    rooms = {str(path.parent.relative_to(PACKAGE)) for path in FILES}
    assert {room for room in rooms if "/" in room} == set(ROOMS)


def test_no_circle_runs_between_files() -> None:
    assert not circles(graph_of_files(ROOT, IMPORTS))


def test_no_circle_runs_between_rooms() -> None:
    assert not circles(graph_of_rooms(graph_of_files(ROOT, IMPORTS)))


def test_every_folder_is_a_package() -> None:
    """Or `pip install .` leaves it out, while the build with colcon takes it along."""
    wrong = [path for path in FILES if not (path.parent / "__init__.py").is_file()]
    assert not wrong


def test_nodes_do_not_need_the_command_line() -> None:
    wrong = [found for found in IMPORTS if found.stage == "nodes" and found.target == "cli"]
    assert not wrong, complaints(wrong)


def test_what_is_private_stays_in_its_stage() -> None:
    wrong = [
        found
        for found in IMPORTS
        if found.target
        and found.target != found.stage
        and any(
            part.startswith("_") and not part.startswith("__")
            for part in [*found.module.split("."), found.name]
        )
    ]
    assert not wrong, complaints(wrong)


def test_optional_packages_are_imported_where_they_are_used() -> None:
    wrong = [found for found in IMPORTS if found.at_import and found.module.split(".")[0] in ON_USE]
    wrong = [found for found in wrong if found.path.name not in DRAWING]
    assert not wrong, complaints(wrong)


@pytest.mark.parametrize("folder", ["mastra_ros", "train", "bench", "scripts"])
def test_runtimes_that_report_home_are_imported_in_one_place(folder: str) -> None:
    """`inference.engines.reporting` switches that off first."""
    allowed = {"mastra_ros/inference/engines/reporting.py", "mastra_ros/model/convert/onnx_int8.py"}
    allowed.add("mastra_ros/model/convert/nncf_child.py")
    allowed.add("bench/serving/equal_work.py")  # runs where nothing of ours is installed
    wrong = [
        found
        for path in sorted((ROOT / folder).rglob("*.py"))
        for found in imports_of(path)
        if found.module.split(".")[0] in REPORTING and str(found.path) not in allowed
    ]
    assert not wrong, complaints(wrong)


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    drawers = ("utils", "util", "common", "helpers", "misc")
    wrong = [path for path in FILES if path.stem in drawers or path.parent.name in drawers]
    assert not wrong


def test_a_wrong_import_would_be_seen(tmp_path: Path) -> None:
    path = tmp_path / "mastra_ros" / "camera" / "source.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "from ..bridge.client import _Link\n"
        "from .. import scheduling\n"
        "import rclpy.node\n"
        "def later():\n    import av\n"
        "if TYPE_CHECKING:\n    from ..gateway import app\n"
    )
    found = list(imports_of(path, tmp_path))
    assert [(one.stage, one.target, one.at_import) for one in found] == [
        ("camera", "bridge", True),
        ("camera", "scheduling", True),
        ("camera", "", True),
        ("camera", "", False),
        ("camera", "gateway", False),
    ]
    assert found[0].name == "_Link"


WAYS = (
    *("from .b import Right", "from . import b", "import mastra_ros.camera.b"),
    *("def later():\n    from .b import Right", "if TYPE_CHECKING:\n    from .b import Right"),
)


@pytest.mark.parametrize("imported", WAYS)
def test_a_circle_between_files_would_be_seen(tmp_path: Path, imported: str) -> None:
    camera = tmp_path / "mastra_ros" / "camera"
    camera.mkdir(parents=True)
    (camera / "a.py").write_text(imported + "\n")
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
