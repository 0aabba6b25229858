"""What package.xml, setup.cfg, requirements/ and CHANGELOG.rst say agrees with the code."""

from __future__ import annotations

import ast
import configparser
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def package_xml() -> ElementTree.Element:
    return ElementTree.parse(ROOT / "package.xml").getroot()


def entry_points() -> list[tuple[str, str]]:
    lines = setup_cfg()["options.entry_points"]["console_scripts"].split("\n")
    pairs = [line.split("=") for line in lines if line.strip()]
    return [(name.strip(), target.strip()) for name, target in pairs]


@pytest.mark.parametrize(("name", "target"), entry_points())
def test_each_executable_names_a_function_that_exists(name: str, target: str) -> None:
    module, function = target.split(":")
    source = ROOT / (module.replace(".", "/") + ".py")
    assert source.is_file(), f"{name}: no {source.relative_to(ROOT)}"
    names = {
        node.name
        for node in ast.parse(source.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }
    imported = re.search(rf"^from .* import .*\b{function}\b", source.read_text(), re.MULTILINE)
    assert function in names or imported


def test_the_version_is_the_same_everywhere() -> None:
    assert package_xml().findtext("version") == setup_cfg()["metadata"]["version"]


def test_the_messages_depend_on_packages_that_package_xml_names() -> None:
    depends = {element.text for element in package_xml() if element.tag.endswith("depend")}
    used = {
        package
        for path in (ROOT / "msg").glob("*.msg")
        for package in re.findall(r"^(\w+)/\w+", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert used <= depends
    assert used, "no message uses another package: has the pattern grown stale?"


def test_the_code_imports_no_ros_package_that_package_xml_lacks() -> None:
    depends = {element.text for element in package_xml() if element.tag.endswith("depend")}
    ros = r"\w+_msgs(?:_py)?|\w+_interfaces|std_srvs|cv_bridge|rclpy"
    pattern = re.compile(rf"^\s*(?:from|import) ({ros})\b", re.MULTILINE)
    used = {
        package
        for path in (ROOT / "mastra_ros" / "nodes").rglob("*.py")
        for package in pattern.findall(path.read_text(encoding="utf-8"))
    }
    assert used <= depends


def test_what_package_xml_names_of_ros_is_used() -> None:
    code = "\n".join(
        path.read_text(encoding="utf-8")
        for folder in ("mastra_ros", "launch", "test")
        for path in (ROOT / folder).rglob("*.py")
    )
    named = [element.text for element in package_xml() if element.tag in ("exec_depend", "depend")]
    ros = [name for name in named if name and not name.startswith("python3-")]
    used = {name for name in ros if re.search(rf"^\s*(from|import) {name}\b", code, re.MULTILINE)}
    by_others = {
        "rosidl_default_runtime",  # the messages
        "ros2launch",  # `ros2 launch`
        "sensor_msgs_py",  # point clouds to come
        "cv_bridge",  # where it is installed
    }
    assert set(ros) - used <= by_others


def test_a_device_without_a_screen_gets_no_desktop() -> None:
    depends = {element.text for element in package_xml() if element.tag.endswith("depend")}
    assert not depends & {"rviz2", "rviz_common", "rviz_default_plugins", "rqt"}


def test_the_changelog_has_the_form_that_catkin_reads() -> None:
    text = (ROOT / "CHANGELOG.rst").read_text(encoding="utf-8")
    assert re.search(r"^Changelog for package mastra_ros$", text, re.MULTILINE)
    assert re.search(r"^(Forthcoming|\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d\))\n-+$", text, re.MULTILINE)
