"""What every test gets: a ROS domain of its own, and the data sets where they are installed."""

from __future__ import annotations

import faulthandler
import fcntl
import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def reserved_domain() -> Iterator[int]:
    """A ROS domain that no other test run of this user holds, for as long as the block runs.

    Domains above 101 would use ports that Linux gives to clients; 0 is everybody's default.
    """
    folder = Path(tempfile.gettempdir()) / f"mastra-domains-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for domain in random.sample(range(1, 101), 100):
        with (folder / str(domain)).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield domain
            return
    raise RuntimeError("all 100 ROS domains are in use by other test runs")


@pytest.fixture(scope="session", autouse=True)
def ros_domain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The domain in which this test process meets those that it starts, and no other."""
    with reserved_domain() as domain, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_DOMAIN_ID", str(domain))
        patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        patch.setenv("MASTRA_ENGINE", "bundle")  # what `auto` would choose depends on the machine
        patch.setenv("ROS_LOG_DIR", str(tmp_path_factory.mktemp("ros_log")))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield domain


OWN_STATE = Path("~/.local/state/mastra").expanduser()
"""Of whoever runs the tests, whose devices may be at work."""


@pytest.fixture(autouse=True)
def the_state_of_this_user_is_left_alone() -> Iterator[None]:
    """A test that makes something there fails: it wants a folder of its own, and leaves traces."""
    before = _names(OWN_STATE)
    yield
    made = _names(OWN_STATE) - before
    assert not made, f"made in {OWN_STATE}: {', '.join(sorted(made))}"


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


@pytest.fixture(scope="session", autouse=True)
def a_crash_is_told() -> Iterator[None]:
    """Where pytest prints. The executor of rclpy would turn it to what pytest has captured."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(faulthandler, "enable", lambda *_, **__: None)
        yield


@pytest.fixture
def fresh_ros_domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Another domain for one test, where what an earlier test left behind would disturb."""
    with reserved_domain() as domain:
        monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
        yield domain


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of public data sets that MASTRA_DATA names; the test is skipped without it."""
    folder = os.environ.get("MASTRA_DATA", "")
    if not folder:
        pytest.skip("MASTRA_DATA is not set: no data sets to test with")
    if not Path(folder).is_dir():
        pytest.skip(f"MASTRA_DATA is {folder}, which is not a folder")
    return Path(folder)
