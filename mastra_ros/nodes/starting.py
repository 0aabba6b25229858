"""Starts ROS in a process, and says in one line why it cannot."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import rclpy
from rclpy.context import Context
from rclpy.exceptions import NameValidationException
from rclpy.signals import SignalHandlerOptions
from rclpy.validate_namespace import validate_namespace

from ..errors import ConfigError, MastraError
from ..leftovers import clear_shared_memory
from ..redaction import redact
from ..startup import check_clock, check_open_files
from .shared_memory import fit_profile

RCLError: type[Exception] = rclpy._rclpy_pybind11.RCLError  # rclpy gives it no public name

log = logging.getLogger(__name__)

DOMAIN_MAX = 232
"""Above it the numbers of the ports that DDS computes are none."""


def start_ros(
    *,
    args: Sequence[str] | None = None,
    context: Context | None = None,
    domain_id: int | None = None,
) -> None:
    """`rclpy.init` without handlers of signals; ConfigError says what is wrong around us.

    args: those of ROS; None means the command line of the process.
    """
    check_clock()
    check_open_files()
    freed = clear_shared_memory()
    if freed:
        log.info(
            "%d MB of shared memory that killed processes had left are free again", freed >> 20
        )
    if domain_id is None:
        check_domain()
    _ensure_log_folder()
    if warning := fit_profile():
        log.warning("%s", warning)
    with ros_errors():
        rclpy.init(
            args=None if args is None else list(args),
            context=context,
            domain_id=domain_id,
            signal_handler_options=SignalHandlerOptions.NO,
        )


@contextlib.contextmanager
def ros_errors() -> Iterator[None]:
    """Turns what rclpy raises where ROS or a node is started into a ConfigError of one line."""
    try:
        yield
    except NameValidationException as error:
        what, name, *_ = str(error).splitlines()
        raise ConfigError(f"{_in_a_line(what)} {_in_a_line(name)}") from None
    except UnicodeEncodeError as error:
        raise ConfigError(f"arguments of ROS: expected UTF-8, got {error.object!r}") from None
    except RCLError as error:
        raise ConfigError(f"ROS: {_in_a_line(str(error))}") from None


def check_namespace(namespace: str) -> None:
    """ConfigError unless nodes can be in this namespace; empty means the root."""
    if namespace:
        full = namespace if namespace.startswith("/") else f"/{namespace}"
        with ros_errors():
            validate_namespace(full)


def check_domain() -> None:
    """ConfigError unless ROS_DOMAIN_ID is one."""
    text = os.environ.get("ROS_DOMAIN_ID", "")
    if text and not (text.isascii() and text.isdecimal() and int(text) <= DOMAIN_MAX):
        raise ConfigError(
            f"ROS_DOMAIN_ID: expected a whole number of 0 to {DOMAIN_MAX}, got {text!r}"
        )


def _in_a_line(text: str) -> str:
    """An error of rcl without the places in its sources."""
    return redact(" ".join(re.sub(r", at /\S+\.\w+:[0-9]+", "", text).split()))


def _ensure_log_folder() -> None:
    """ROS does not start without a folder for its logs; a home may be missing or read-only."""
    folder = _log_folder()
    if folder is not None and _usable(folder):
        return
    spare = Path(tempfile.gettempdir()) / f"mastra-log-{os.getuid()}"
    if not (_usable(spare) and _ours(spare)):
        raise MastraError(
            f"no folder for the logs of ROS: {folder or 'HOME is not set'} and {spare} cannot be "
            "written; ROS_LOG_DIR names another one"
        )
    log.warning(
        "%s: the logs of ROS go to %s; ROS_LOG_DIR names another folder",
        f"{folder} cannot be written" if folder else "HOME is not set",
        spare,
    )
    os.environ["ROS_LOG_DIR"] = str(spare)


def _log_folder() -> Path | None:
    """Where ROS would write its logs (rcl_logging_interface's rule), None without a home."""
    chosen = os.environ.get("ROS_LOG_DIR", "")
    if chosen:
        return _at_home(chosen)
    home = os.environ.get("ROS_HOME", "") or "~/.ros"
    folder = _at_home(home)
    return None if folder is None else folder / "log"


def _at_home(text: str) -> Path | None:
    """As rcl does it: only a `~` in front counts, and only HOME says where that is."""
    if not text.startswith("~"):
        return Path(text)
    home = os.environ.get("HOME", "")
    return Path(home + text[1:]) if home else None


def _usable(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.access(folder, os.W_OK | os.X_OK)
    except OSError:
        return False


def _ours(folder: Path) -> bool:
    """Whether nobody else made this folder, whose name others can guess."""
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
