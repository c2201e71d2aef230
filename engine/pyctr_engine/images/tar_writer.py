"""Tar headers: POSIX ustar, with PAX records only where ustar can't say it (pax(1), image-spec layer.md).

Names and links are bytes, owners are numbers only, the same arguments give the same bytes.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Literal

Kind = Literal["file", "directory", "symlink", "link", "fifo", "char", "block"]

BLOCK = 512
END = bytes(2 * BLOCK)
"""What ends a tar."""

_TYPES: dict[Kind, bytes] = {
    "file": b"0",
    "link": b"1",
    "symlink": b"2",
    "char": b"3",
    "block": b"4",
    "directory": b"5",
    "fifo": b"6",
}
_ZEROS = bytes(BLOCK)
_MAX_ID = 0o7777777
_MAX_LONG = 0o77777777777


def header(
    path: bytes,
    kind: Kind = "file",
    mode: int = 0o644,
    uid: int = 0,
    gid: int = 0,
    size: int = 0,
    mtime: int = 0,
    target: bytes = b"",
    device: tuple[int, int] = (0, 0),
    xattrs: Mapping[str, bytes] | None = None,
) -> bytes:
    """One entry's header, PAX records before it where needed.

    Args:
        path: Relative, without a slash at its end; empty is the root.
        size: Bytes of a file's contents, which follow with their `padding`.
        mtime: Nanoseconds since the epoch.
        target: What a symlink holds, or which path of the same tar a hard link is.
    """
    name = (path or b".") + (b"/" if kind == "directory" else b"")
    records: dict[str, bytes] = {}
    if len(name) > 100 or not name.isascii():
        records["path"] = name
    if len(target) > 100 or not target.isascii():
        records["linkpath"] = target
    for key, value, limit in (("size", size, _MAX_LONG), ("uid", uid, _MAX_ID), ("gid", gid, _MAX_ID)):
        if value > limit:
            records[key] = str(value).encode()
    seconds, fraction = divmod(mtime, 10**9)
    if fraction or not 0 <= seconds <= _MAX_LONG:
        records["mtime"] = _decimal(mtime)
    for attribute, content in sorted((xattrs or {}).items()):
        records[f"SCHILY.xattr.{attribute}"] = content
    block = _block(
        name[:100],
        _TYPES[kind],
        mode & 0o7777,
        uid if uid <= _MAX_ID else 0,
        gid if gid <= _MAX_ID else 0,
        size if size <= _MAX_LONG else 0,
        max(0, min(seconds, _MAX_LONG)),
        target[:100],
        device,
    )
    return _pax(records) + block if records else block


def padding(size: int) -> bytes:
    """What follows ``size`` bytes of contents, up to a whole block."""
    return _ZEROS[: -size % BLOCK]


def _pax(records: Mapping[str, bytes]) -> bytes:
    body = b"".join([_record(key.encode() + b"=" + value + b"\n") for key, value in records.items()])
    return _pax_block(len(body)) + body + padding(len(body))


@functools.lru_cache(256)
def _pax_block(size: int) -> bytes:
    return _block(b"././@PaxHeader", b"x", 0o644, 0, 0, size, 0, b"", (0, 0))


def _record(text: bytes) -> bytes:
    """``<length> <text>``, where the length counts itself."""
    length = len(text) + 1
    while len(str(length)) + len(text) + 1 != length:
        length = len(str(length)) + len(text) + 1
    return str(length).encode() + b" " + text


def _decimal(nanoseconds: int) -> bytes:
    sign = "-" if nanoseconds < 0 else ""
    whole, fraction = divmod(abs(nanoseconds), 10**9)
    return f"{sign}{whole}.{fraction:09d}".rstrip("0").rstrip(".").encode()


def _block(
    name: bytes,
    kind: bytes,
    mode: int,
    uid: int,
    gid: int,
    size: int,
    mtime: int,
    target: bytes,
    device: tuple[int, int],
) -> bytes:
    owner, magic, known = _constant(kind, mode, uid, gid, device)
    numbers = b"%011o\0%011o\0" % (size, mtime)
    total = known + sum(name) + sum(numbers) + sum(target)
    return b"".join(
        (
            name.ljust(100, b"\0"),
            owner,
            numbers,
            b"%06o\0 " % total,
            kind,
            target.ljust(100, b"\0"),
            magic,
        )
    )


@functools.lru_cache(1024)
def _constant(kind: bytes, mode: int, uid: int, gid: int, device: tuple[int, int]) -> tuple[bytes, bytes, int]:
    """What many headers have in common: the fields before the size, those after the link, and their checksum."""
    owner = b"%07o\0%07o\0%07o\0" % (mode, uid, gid)
    # names of user and group stay empty: numbers are what counts
    magic = b"ustar\x0000" + bytes(64) + b"%07o\0%07o\0" % device + bytes(155 + 12)
    return owner, magic, sum(owner) + sum(magic) + sum(kind) + sum(b" " * 8)
