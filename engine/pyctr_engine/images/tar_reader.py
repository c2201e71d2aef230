"""A tar read forward only and distrustfully: what `tarfile` forgives is an error here.

Imported by the confined child alone.
"""

from __future__ import annotations

import tarfile
from typing import IO, BinaryIO, cast

CHUNK = 1 << 20
"""Bytes handled at a time."""


class Refused(Exception):
    """An entry that must not be unpacked; the message says why."""


class Tar(tarfile.TarFile):
    """A tar read forward only, that keeps no list of what it has read."""

    def __init__(self, source: Source) -> None:
        self.source = source
        file = cast(IO[bytes], source)
        super().__init__(fileobj=file, mode="r", encoding="utf-8", errors="surrogateescape", errorlevel=2)

    def next(self) -> tarfile.TarInfo | None:
        """The next entry, or ``None`` at the end mark; `tarfile` itself takes damage for the end."""
        member = super().next()
        self.members.clear()  # type: ignore[attr-defined]
        if member is None and self.source.header.strip(b"\0"):
            raise Refused("the tar is damaged or ends early")
        return member


class Source:
    """Standard input as the file that `tarfile` wants: seeking goes forward only."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._position = 0
        self.header = b""

    def read(self, size: int) -> bytes:
        """As many bytes, fewer at the end only."""
        data = self._raw.read(size)
        self._position += len(data)
        if size == tarfile.BLOCKSIZE:
            self.header = data
        return data

    def tell(self) -> int:
        """Bytes read."""
        return self._position

    def seek(self, position: int) -> None:
        """Skip forward."""
        if position < self._position:
            raise Refused("the tar goes backwards")
        while self._position < position:
            if not self.read(min(CHUNK, position - self._position)):
                raise Refused("the tar ends early")

    def drain(self) -> None:
        """Read what follows the end mark: it is part of the digest."""
        while self._raw.read(CHUNK):
            pass


def split(name: str) -> bytes:
    """An entry's name as a path below the root; raises Refused for one that isn't."""
    path = name.encode("utf-8", "surrogateescape")
    if path.startswith(b"/"):
        raise Refused("an absolute name")
    if b"\0" in path:
        raise Refused("a name with a zero byte")
    parts = [part for part in path.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise Refused("a name that leads out of the layer")
    return b"/".join(parts)


def mtime(member: tarfile.TarInfo) -> int:
    """Nanoseconds since the epoch: PAX writes them in decimals, which a float can't hold."""
    text = member.pax_headers.get("mtime", "")
    whole, _, decimals = text.partition(".")
    sign = -1 if whole.startswith("-") else 1
    if whole.removeprefix("-").isdecimal() and (decimals.isdecimal() or not decimals):
        time = int(whole) * 10**9 + sign * int(decimals[:9].ljust(9, "0"))
    else:
        time = int(member.mtime) * 10**9
    return max(-(1 << 62), min(time, 1 << 62))
