"""The layers of the design hold: who may import whom, and how large a file may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "mastra_ros"

CONTRACTS = {"types", "config", "scheduling_config", "parameter", "errors", "share"}
"""Modules that every stage may import."""

EXCEPTIONS = {
    "bridge": {"protocol"},
    "gateway": {"protocol", "inference", "compression", "pipeline"},
    "model": {"inference", "compression", "scheduling"},
    "parameter_files": set(),
    "simulation": {"scheduling", "protocol", "bridge", "planning"},
}
"""What else a stage may import."""

UNBOUND = {"cli", "nodes"}
"""These tie the stages together and may import all of them, but not each other's insides."""

ROS = {"rclpy", "rcl_interfaces", "builtin_interfaces", "rosidl_runtime_py", "cv_bridge"}
ON_USE = {
    *("ai_edge_litert", "tflite_runtime", "onnxruntime", "av", "nicegui"),
    *("ai_edge_quantizer", "litert_torch", "matplotlib", "onnx", "onnx2torch", "tensorflow"),
    *("tflite_micro", "torch"),
}
"""Packages that a device may lack: imported where they are used, never with a module."""

LINES_MAX = 400


@dataclass(frozen=True)
class Import:
    """One name imported by one file."""

    path: Path  # below the root of the repository
    line: int
    module: str  # dotted, absolute
    name: str  # what is taken from it; empty for `import module`
    at_import: bool  # executed when the file itself is imported

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
    """Every import in a file; those for type checking only are left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    yield from _walk(path.relative_to(root), tree, True)


def _walk(path: Path, node: ast.AST, at_import: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(path, child.lineno, alias.name, "", at_import)
        elif isinstance(child, ast.ImportFrom):
            module = _absolute(path, child)
            for alias in child.names:
                yield Import(path, child.lineno, module, alias.name, at_import)
        else:
            inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from _walk(path, child, at_import and not inside)


def _absolute(path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    folders = path.parent.parts
    base = folders[: len(folders) - (node.level - 1)]
    return ".".join([*base, *([node.module] if node.module else [])])


FILES = sorted(PACKAGE.rglob("*.py"))
IMPORTS = [found for path in FILES for found in imports_of(path)]


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
    assert not wrong, complaints(wrong)


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    drawers = ("utils", "util", "common", "helpers", "misc")
    wrong = [path for path in FILES if path.stem in drawers or path.parent.name in drawers]
    assert not wrong


@pytest.mark.parametrize("folder", ["mastra_ros", "test", "train", "bench", "scripts", "launch"])
def test_files_stay_short(folder: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {lines} lines"
        for path in sorted((ROOT / folder).rglob("*.py"))
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LINES_MAX
    ]
    assert not wrong, "\n".join(wrong)


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
    ]
    assert found[0].name == "_Link"
