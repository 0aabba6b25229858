"""Sends DICOM objects to an archive (PACS) by C-STORE."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mastra_ros.errors import ConfigError, LinkError
from mastra_ros.pipeline.volume.surface import needs_medical

TITLE = r"[A-Za-z0-9_.-]{1,16}"
OURS = "MASTRA"


@dataclass(frozen=True)
class Archive:
    """Where to: the title of its application entity, host and port."""

    title: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Archive:
        """TITLE@HOST:PORT. ConfigError for all else."""
        found = re.fullmatch(
            rf"({TITLE})@([A-Za-z0-9.-]{{1,253}}|\[[0-9a-fA-F:]+\]):(\d{{1,5}})", text
        )
        if found is None or not 0 < int(found[3]) < 65536:
            raise ConfigError(f"archive: expected TITLE@HOST:PORT, got {text!r:.80}")
        return cls(found[1], found[2].strip("[]"), int(found[3]))


def store(datasets: Sequence[Any], archive: Archive, *, timeout_s: float = 30.0) -> None:
    """Send them all in one association. LinkError says which one was not taken, and why."""
    try:
        from pynetdicom import AE
    except ImportError:
        raise needs_medical("pynetdicom") from None
    entity = AE(ae_title=OURS)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = timeout_s
    entity.connection_timeout = timeout_s
    for ds in datasets:
        entity.add_requested_context(ds.SOPClassUID, ds.file_meta.TransferSyntaxUID)
    where = f"{archive.title}@{archive.host}:{archive.port}"
    try:
        # pynetdicom does not say why nobody is there.
        socket.create_connection((archive.host, archive.port), timeout_s).close()
    except OSError as error:
        raise LinkError(f"archive {where}: expected a connection, got {error}") from None
    association = entity.associate(archive.host, archive.port, ae_title=archive.title)
    if not association.is_established:
        raise LinkError(f"archive {where}: expected an association, got none")
    try:
        for ds in datasets:
            try:
                status = association.send_c_store(ds)
            except ValueError as error:  # it takes no such objects
                raise LinkError(f"archive {where}: {error!s:.160}") from None
            code = getattr(status, "Status", None)
            if code is None or (code & 0xF000) not in (0x0000, 0xB000):
                told = "no answer" if code is None else f"status 0x{code:04x}"
                raise LinkError(f"archive {where}: expected {ds.SOPInstanceUID} stored, got {told}")
    finally:
        association.release()
