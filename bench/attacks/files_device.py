"""Rows of a device's files: links, strangers, old modes, full disks, and disks that fail."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from .row import Record, row
from .scene import NOWHERE, Scene, scene
from .site import Sites, wait_until

ITEM = "10 files"
STRANGER = 4242
SPOOL = "8 spool"


def _refused(at: Scene, record: Record, said: str) -> None:
    """The device started on this spool says what is wrong with it, and sends live frames."""
    logged = len(at.device.log)
    at.device.start(at.gateway.uri)
    wait_until(at.connected)
    wait_until(lambda: said in at.device.log[logged:])
    stamps = at.device.do("send", count=2, late=False, deadline_ms=20_000.0)
    record.lost += at.settle(stamps)
    record.attempts += 1
    at.device.stop()


@row(ITEM, "links where the spool and its companions should be")
def links(sites: Sites, record: Record) -> None:
    """None is followed; what they point to stays as it is."""
    at = scene(sites)
    with at.watched(sites, record):
        for name in ("", "-wal", ".mark", ".reserve"):
            path = at.fresh_spool()
            path.parent.mkdir(mode=0o700)
            victim = at.device.folder / f"victim-{path.parent.name}"
            victim.write_text("precious")
            Path(f"{path}{name}").symlink_to(victim)
            _refused(at, record, "symbolic link")
            record.expect(victim.read_text() == "precious", f"what {name} points to has changed")


@row(ITEM, "dangling links, folders and pipes where the spool should be")
def odd(sites: Sites, record: Record) -> None:
    """Nothing is made elsewhere, nothing hangs."""
    at = scene(sites)
    with at.watched(sites, record):
        path = at.fresh_spool()
        path.parent.mkdir(mode=0o700)
        path.symlink_to(at.device.folder / "made")
        _refused(at, record, "symbolic link")
        record.expect(not (at.device.folder / "made").exists(), "a file was made by way of a link")
        path = at.fresh_spool()
        path.mkdir(mode=0o700, parents=True)
        _refused(at, record, str(path))
        path = at.fresh_spool()
        path.parent.mkdir(mode=0o700)
        os.mkfifo(path, 0o600)
        _refused(at, record, str(path))


@row(ITEM, "files and folders of a stranger")
def strangers(sites: Sites, record: Record) -> None:
    """Only root can give files away: elsewhere this row attempts nothing."""
    if os.geteuid() != 0:
        return
    at = scene(sites)
    with at.watched(sites, record):
        for whole_folder in (False, True):
            path = at.fresh_spool()
            at.fill(3)
            os.chown(path.parent if whole_folder else path, STRANGER, STRANGER)
            _refused(at, record, f"it is of user {STRANGER}")


@row(ITEM, "an old spool that everybody could read, with its log")
def old_modes(sites: Sites, record: Record) -> None:
    """It is closed to others, and delivered."""
    at = scene(sites)
    with at.watched(sites, record):
        path = at.fresh_spool()
        at.device.start(NOWHERE)
        stamps = at.device.keep(10)
        at.device.kill()
        for file in path.parent.iterdir():
            file.chmod(0o666)
        at.device.start(at.gateway.uri)
        record.lost += at.settle(stamps)
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        record.expect(set(modes.values()) == {0o600}, f"modes are {modes}")
        record.attempts += 1
        at.check_usable()


@contextlib.contextmanager
def _small_disk(folder: Path, size: str) -> Iterator[bool]:
    """A file system that is soon full; whether one could be mounted, which needs root."""
    folder.mkdir(mode=0o700)
    options = f"size={size},mode=0700"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    unmount = ["umount", "-l", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(unmount, check=False)


@row(SPOOL, "a disk that is full")
def full_disk(sites: Sites, record: Record) -> None:
    """What is kept is delivered, and forgotten with the room of the reserve."""
    at = scene(sites)
    with at.watched(sites, record):
        path = at.fresh_spool()
        with _small_disk(path.parent, "3m") as mounted:
            if not mounted:
                return
            at.device.start(NOWHERE)
            stamps = at.device.keep(20)
            at.device.do("send", count=600, late=True)
            # The error is gone again where a smaller frame still fits; what was dropped stays told.
            wait_until(
                lambda: (
                    "full" in at.device.status.get("error", "") or bool(at.device.status["dropped"])
                )
            )
            other = (path.parent / "other").open("wb", buffering=0)
            with other, contextlib.suppress(OSError):
                while other.write(bytes(4096)):
                    pass
            kept = at.device.status["link"]["spooled"]
            at.device.stop()
            before = len(at.committed.keys)
            at.device.start(at.gateway.uri)
            wait_until(at.connected)
            record.lost += at.settle(stamps)
            at.device.drain()
            came = len(at.committed.keys) - before
            record.expect(came >= kept, f"{kept} were kept, {came} have come")
            at.check_usable()
            record.attempts += 1
            at.device.stop()


def _lose_some(at: Scene) -> None:
    """Frames that cannot be written are counted as dropped."""
    before = at.device.status["dropped"]
    at.device.do("send", count=5, late=True)
    wait_until(lambda: at.device.status["dropped"] > before)


@row(SPOOL, "writes that fail half-way")
def short_writes(sites: Sites, record: Record) -> None:
    """A limit of the size of files, lifted again later: what was kept is delivered."""
    at = scene(sites)
    with at.watched(sites, record):
        at.device.start(NOWHERE)
        stamps = at.device.keep(10)
        wal = Path(f"{at.device.spool}-wal")
        for more in sites.some((100, 3000, 5000), 2):
            at.device.do("file_size", most=wal.stat().st_size + more)
            _lose_some(at)
            at.device.do("file_size", most=-1)
            stamps += at.device.keep(3)
            record.attempts += 1
        at.device.stop()
        at.device.start(at.gateway.uri)
        wait_until(at.connected)
        record.lost += at.settle(stamps)
        at.check_usable()
        aside = list(at.device.spool.parent.glob("*.damaged-*"))
        record.expect(not aside, f"good records were moved aside: {aside}")


SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int spoilt(int fd) {
    char link[64], name[4096];
    const char *mark = getenv("SPOIL_READS");
    if (!mark || access(mark, F_OK)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, name, sizeof name - 1);
    if (n <= 0) return 0;
    name[n] = 0;
    return strstr(name, "spool.sqlite") != NULL;
}
ssize_t read(int fd, void *data, size_t size) {
    static ssize_t (*real)(int, void *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "read");
    if (size > 100 && spoilt(fd)) { errno = EIO; return -1; }
    return real(fd, data, size);
}
#define READ(NAME, OFFSET) ssize_t NAME(int fd, void *data, size_t size, OFFSET at) { \\
    static ssize_t (*real)(int, void *, size_t, OFFSET); \\
    if (!real) real = dlsym(RTLD_NEXT, #NAME); \\
    if (size > 100 && spoilt(fd)) { errno = EIO; return -1; } \\
    return real(fd, data, size, at); }
READ(pread, off_t)
READ(pread64, off64_t)
"""


@row(SPOOL, "reads that fail")
def failing_reads(sites: Sites, record: Record) -> None:
    """EIO is no damage: nothing is moved aside. Without a C compiler this row attempts nothing."""
    from .device import device

    at = scene(sites)
    folder = sites.folder(f"shim-{time.monotonic_ns()}")
    (folder / "shim.c").write_text(SHIM)
    command = ["cc", "-shared", "-fPIC", "-o", str(folder / "shim.so"), str(folder / "shim.c")]
    try:
        subprocess.run([*command, "-ldl"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return
    mark = folder / "now"
    environment = {"LD_PRELOAD": str(folder / "shim.so"), "SPOIL_READS": str(mark)}
    usual = at.device
    with device(sites, at.keys, "camera-1", **environment) as spoilt:
        at.device = spoilt
        try:
            with at.watched(sites, record):
                stamps = at.fill(40)
                mark.touch()
                logged = len(spoilt.log)
                spoilt.start(at.gateway.uri)
                wait_until(at.connected)
                wait_until(lambda: "spool" in spoilt.log[logged:])
                mark.unlink()
                record.attempts += 1
                record.lost += at.settle(stamps)
                at.check_usable()
                aside = list(spoilt.spool.parent.glob("*.damaged-*"))
                record.expect(not aside, f"good records were moved aside: {aside}")
                record.expect(not spoilt.status["dropped"], "records were dropped")
        finally:
            at.device = usual
