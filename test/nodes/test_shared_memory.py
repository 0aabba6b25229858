"""The profile of Fast DDS is chosen by the shared memory that is there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mastra_ros.nodes.shared_memory import VARIABLE, Room, fit_profile, segment_bytes

ROOT = Path(__file__).resolve().parents[2]
MB = 1_048_576
PROFILES = [
    f"{name}{size}.xml" for name in ("fastdds", "fastdds_network") for size in ("", "_small")
]


def fitted(
    monkeypatch: pytest.MonkeyPatch, profile: str, total_mb: float, free_mb: float
) -> tuple[str, str]:
    """The profile that then counts, and the warning."""
    monkeypatch.setenv(VARIABLE, profile)
    monkeypatch.delenv("RMW_IMPLEMENTATION", raising=False)
    room = Room(int(total_mb * MB), int(free_mb * MB))
    monkeypatch.setattr(Room, "of", classmethod(lambda *_: room))
    warning = fit_profile(ROOT / "nothing")
    return Path(os.environ[VARIABLE]).name, warning


@pytest.mark.parametrize("name", ["fastdds", "fastdds_network"])
@pytest.mark.parametrize("given", ["", "_small"])
@pytest.mark.parametrize(
    ("total_mb", "free_mb", "size", "said"),
    [
        (24_000, 23_000, "", ""),
        (288, 280, "", ""),
        (256, 250, "_small", "7 MB a process instead of 32 MB"),
        (64, 64, "_small", "64 MB free of 64 MB: 7 MB a process"),
        (24_000, 20, "_small", "20 MB free of 24000 MB: 7 MB a process"),
        (64, 4, "_small", "less than the 7 MB that a process needs: images go over UDP"),
        (0, 0, "_small", "images go over UDP"),
    ],
)
def test_the_segments_fit_what_is_there(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    given: str,
    total_mb: float,
    free_mb: float,
    size: str,
    said: str,
) -> None:
    profile = str(ROOT / "config" / f"{name}{given}.xml")
    chosen, warning = fitted(monkeypatch, profile, total_mb, free_mb)
    assert chosen == f"{name}{size}.xml"
    assert said in warning
    assert bool(warning) == bool(said)
    if said:
        assert "--shm-size=512m" in warning
        assert "\n" not in warning


def test_a_profile_of_somebody_else_is_checked_and_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = tmp_path / "fastdds.xml"
    own.write_text("<segment_size> 67108864 </segment_size>")
    chosen, warning = fitted(monkeypatch, str(own), 64, 60)
    assert chosen == "fastdds.xml"
    assert "less than the 64 MB" in warning
    assert fitted(monkeypatch, str(own), 128, 120)[1] == ""
    assert fitted(monkeypatch, str(tmp_path / "gone.xml"), 64, 60) == ("gone.xml", "")


def test_another_middleware_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(ROOT / "config" / "fastdds.xml"))
    monkeypatch.setenv("RMW_IMPLEMENTATION", "rmw_cyclonedds_cpp")
    assert fit_profile(ROOT / "nothing") == ""


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_holds_a_1080p_image_and_nine_small_ones_fit_a_container(name: str) -> None:
    wanted = segment_bytes(ROOT / "config" / name)
    assert wanted > 1920 * 1080 * 3 + 65536
    assert Room(64 * MB, 64 * MB).holds(wanted) == name.endswith("_small.xml")


def test_env_sh_chooses_as_the_nodes_do() -> None:
    """In a mount namespace with a container's /dev/shm."""
    mount = "mount -t tmpfs -o size=64m tmpfs /dev/shm"
    if subprocess.run(["unshare", "-m", "sh", "-c", mount], check=False).returncode:
        pytest.skip("mount namespaces are not permitted here")
    script = f"{mount}; . {ROOT}/env.sh; echo $FASTRTPS_DEFAULT_PROFILES_FILE"
    done = subprocess.run(
        ["unshare", "-m", "env", "-i", "PATH=/usr/bin:/bin", "bash", "-c", script],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{ROOT}/config/fastdds_small.xml\n"
