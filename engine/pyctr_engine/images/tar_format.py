"""What the bytes of a tar's headers mean: ustar and its forerunner v7, star, GNU's extensions, PAX records.

Sources: pax(1) of POSIX.1-2017, GNU tar's manual ("Basic Tar Format", "Storing Sparse Files"), tar(5) of libarchive.
Standard library only: the confined child imports it.
"""

from __future__ import annotations

import functools
import struct
import zlib

BLOCK = 512
ZERO = bytes(BLOCK)

FILE, LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"

Pieces = list[tuple[int, int]]
"""Offset and length of each piece of a sparse file that is not a hole."""

MAX_PIECES = 100_000

_HEADER = struct.Struct("<100s8s8s8s12s12s8sc100s8s64x8s8s155s8sI")
_OLD_FILES = frozenset((b"\0", b"7", b"S"))
_XATTR = b"SCHILY.xattr."


class Refused(Exception):
    """What must not be unpacked; the message says why."""


class Entry:
    """One entry of a tar. Names are bytes, as found; ``mtime`` in nanoseconds; ``size`` counts holes.

    ``pieces`` are those of a sparse file, ``stored`` the bytes that follow the header.
    """

    __slots__ = (
        "device",
        "gid",
        "kind",
        "mode",
        "mtime",
        "name",
        "pieces",
        "size",
        "sparse_header",
        "stored",
        "target",
        "uid",
        "xattrs",
    )

    def __init__(self, block: bytes) -> None:
        """Read one header; raises Refused for what is none."""
        (
            name, mode, uid, gid, size, mtime, checksum, kind, target, magic, major, minor, prefix, _rest, star,
        ) = _HEADER.unpack(block)  # fmt: skip
        _check(block, number(checksum))
        self.name: bytes = text(name)
        self.mode = number(mode) & 0o7777
        self.uid = number(uid)
        self.gid = number(gid)
        self.size = number(size)
        self.mtime = number(mtime) * 10**9
        self.kind: bytes = FILE if kind in _OLD_FILES else kind
        self.target: bytes = text(target)
        self.device = (number(major), number(minor)) if kind in (CHARACTER, BLOCK_DEVICE) else (0, 0)
        self.xattrs: list[tuple[str, bytes]] = []
        self.pieces: Pieces | None = None
        self.sparse_header = block if kind == b"S" else b""
        if magic[:6] == b"ustar\0" and prefix[0]:
            # star keeps times in the last bytes of the prefix
            self.name = text(prefix[:131] if star == _STAR else prefix) + b"/" + self.name
        if self.size < 0:
            raise Refused("a negative size")
        self.stored = self.size

    def name_ends(self) -> None:
        """What is decided by the whole name: old tars mark directories by a slash."""
        if self.kind == FILE and self.name.endswith(b"/"):
            self.kind = DIRECTORY
        if self.kind in (LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO):
            self.stored = 0


_STAR = int.from_bytes(b"tar\0", "little")


def _check(block: bytes, told: int) -> None:
    """The checksum: of unsigned bytes, or of signed ones as some old tars had it."""
    field = _sum(block[148:156])
    found = _sum(block[:_HALF]) + _sum(block[_HALF:]) - field + 8 * 0x20
    if told == found:
        return
    without = block[:148] + block[156:]
    if told != found - 256 * sum(byte > 127 for byte in without):
        raise Refused("the tar is damaged: a header's checksum is wrong")


_HALF = BLOCK // 2


def _sum(data: bytes) -> int:
    """The sum of so few bytes that Adler-32 (RFC 1950) has it in its lower half, undivided: ten times faster."""
    return (zlib.adler32(data) & 0xFFFF) - 1


def text(field: bytes) -> bytes:
    """A name up to its zero byte."""
    end = field.find(b"\0")
    return field if end < 0 else field[:end]


@functools.lru_cache(4096)
def number(field: bytes) -> int:
    """An octal number, or one in base 256 (GNU); raises Refused for what is neither.

    Owners, modes and times are the same in most entries.
    """
    if field[0] & 0x80:
        if field[0] & 0x40:  # negative, in two's complement
            return int.from_bytes(field, "big", signed=True)
        return int.from_bytes(bytes((field[0] & 0x7F,)) + field[1:], "big")
    digits = field.split(b"\0", 1)[0].strip(b" ")
    if not digits:
        return 0
    if not digits.isdigit() or b"8" in digits or b"9" in digits:
        raise Refused("the tar is damaged: a header's number is none")
    return int(digits, 8)


def pax_records(data: bytes) -> list[tuple[bytes, bytes]]:
    """The records ``<length> <key>=<value>\\n`` of a PAX header, in order; raises Refused."""
    found = []
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 10)
        length = data[at:space]
        end = at + int(length) if space > at and length.isdigit() else 0
        equals = data.find(b"=", space, end)
        if end > len(data) or equals <= space or data[end - 1] != 0x0A:
            if not data[at:].strip(b"\0"):
                break  # some tools count the padding
            raise Refused("the tar is damaged: a PAX record is none")
        found.append((data[space + 1 : equals], data[equals + 1 : end - 1]))
        at = end
    return found


def matters_to_all(key: bytes) -> bool:
    """Whether a global PAX record changes what entries are."""
    return key in (b"path", b"linkpath", b"size", b"uid", b"gid", b"mtime") or key.startswith(_XATTR)


def apply_pax(entry: Entry, records: list[tuple[bytes, bytes]]) -> None:
    """Let PAX records replace what the header says; raises Refused."""
    sparse: list[tuple[bytes, bytes]] = []
    for key, value in records:
        if key.startswith(_XATTR):
            entry.xattrs.append((key[len(_XATTR) :].decode("utf-8", "surrogateescape"), value))
        elif not value:
            continue  # as if it weren't there
        elif key == b"path":
            entry.name = value
        elif key == b"linkpath":
            entry.target = value
        elif key == b"size":
            entry.size = entry.stored = decimal(value)
        elif key == b"uid":
            entry.uid = decimal(value)
        elif key == b"gid":
            entry.gid = decimal(value)
        elif key == b"mtime":
            entry.mtime = nanoseconds(value)
        elif key.startswith(b"GNU.sparse."):
            sparse.append((key[11:], value))
    if sparse and entry.kind == FILE:
        _apply_sparse(entry, sparse)


def _apply_sparse(entry: Entry, records: list[tuple[bytes, bytes]]) -> None:
    """GNU's sparse files in PAX headers, formats 0.0 and 0.1; 1.0 has its map before the contents."""
    told = dict(records)
    if b"name" in told:
        entry.name = told[b"name"]
    version = told.get(b"major", b"0") + b"." + told.get(b"minor", b"0")
    real = told.get(b"realsize", told.get(b"size"))
    if version == b"1.0":
        entry.sparse_header = b"1.0"
    elif version != b"0.0":
        raise Refused("a sparse file of an unknown format")
    elif b"map" in told:
        entry.pieces = pairs([decimal(item) for item in told[b"map"].split(b",")])
    else:
        entry.pieces = pairs([decimal(value) for key, value in records if key in (b"offset", b"numbytes")])
    if real is not None:
        entry.size = decimal(real)


def pairs(numbers: list[int]) -> Pieces:
    """Offsets and lengths, in turn."""
    if len(numbers) % 2:
        raise Refused("a sparse file whose map is odd")
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def check_pieces(entry: Entry) -> None:
    """A sparse file's pieces follow each other, lie inside it, and are what is stored."""
    end = stored = 0
    for offset, length in entry.pieces or ():
        if offset < end or length < 0 or offset + length > entry.size:
            raise Refused("a sparse file whose pieces lie outside of it or over each other")
        end = offset + length
        stored += length
    if stored != entry.stored:
        raise Refused("a sparse file whose pieces are not what is stored")


def old_pieces(block: bytes, start: int, count: int) -> Pieces:
    """Up to ``count`` pieces of a GNU header or its continuation; an empty field ends them."""
    found = []
    for at in range(start, start + 24 * count, 24):
        if not block[at]:
            break
        found.append((number(block[at : at + 12]), number(block[at + 12 : at + 24])))
    return found


def nanoseconds(value: bytes) -> int:
    """A PAX time, seconds in decimals that a float can't hold, as nanoseconds; raises Refused."""
    whole, _, decimals = value.partition(b".")
    negative = whole.startswith(b"-")
    digits = whole[1:] if negative else whole
    if not digits.isdigit() or not (decimals.isdigit() or not decimals) or len(digits) > 20:
        raise Refused(f"a time that is none: {value[:40]!r}")
    time = int(digits) * 10**9 + int(decimals[:9].ljust(9, b"0"))
    return -time if negative else time


def decimal(value: bytes) -> int:
    """A number in decimal digits; raises Refused."""
    if not value.isdigit() or len(value) > 20:
        raise Refused(f"a number that is none: {value[:40]!r}")
    return int(value)
