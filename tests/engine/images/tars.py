"""Tars for tests, honest and hostile."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

Entry = tuple[tarfile.TarInfo, bytes]


def entry(name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"", **fields: Any) -> Entry:
    """One entry; ``fields`` are a TarInfo's."""
    member = tarfile.TarInfo(name)
    member.type = kind
    member.size = len(data)
    member.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    for field, value in fields.items():
        setattr(member, field, value)
    return member, data


def tar(*entries: Entry) -> bytes:
    """The entries as a tar, in order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8") as archive:
        for member, data in entries:
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def write(path: Path, data: bytes) -> str:
    """Put it in a file; the file's path."""
    path.write_bytes(data)
    return str(path)
