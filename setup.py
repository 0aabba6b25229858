"""Serves `pip install .` on a server without ROS; colcon builds from CMakeLists.txt instead."""

from __future__ import annotations

from pathlib import Path

from setuptools import find_packages, setup


def requirements(name: str) -> list[str]:
    """Lines of a file in requirements/ that are not blank or a comment."""
    lines = Path("requirements", f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def share_files() -> list[tuple[str, list[str]]]:
    """The files that `mastra_ros.share` looks for, folder by folder, below the prefix."""
    found: dict[Path, list[str]] = {}
    for top in ("config", "launch", "models"):
        for path in sorted(Path(top).rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                found.setdefault(path.parent, []).append(str(path))
    return [(f"share/mastra_ros/{folder}", files) for folder, files in found.items()]


setup(
    packages=find_packages(include=["mastra_ros", "mastra_ros.*"]),
    entry_points={"console_scripts": ["mastra = mastra_ros.cli.main:main"]},
    data_files=share_files(),
    install_requires=requirements("runtime"),
    extras_require={
        "bench": requirements("bench"),
        "convert": requirements("convert"),
        "plot": requirements("plot"),
        "record": requirements("record"),
        "openvino": requirements("openvino"),
        "nncf": requirements("nncf"),
        "dashboard": requirements("dashboard"),
        "gpu": requirements("gpu"),
        "grpc": requirements("grpc"),
        "medical": requirements("medical"),
        "sumo": requirements("sumo"),
        "torch": requirements("torch"),
        "tensorflow": ["tensorflow>=2.16"],
        "dev": requirements("test"),
    },
)
