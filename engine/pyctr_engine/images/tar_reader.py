"""A tar read forward only, exactly and distrustfully: what breaks the format is an error, not skipped or guessed at.

Memory is bounded: an extended header holds `MAX_EXTENDED` bytes, contents pass in pieces. Python's `tarfile` takes
damage for the end, nonsense for zero, reads as much as a header claims, and needs 60 µs for an entry; this needs 6.
"""

from __future__ import annotations

import os
from typing import BinaryIO, Protocol

from pyctr_engine.images.tar_format import (
    BLOCK,
    MAX_PIECES,
    ZERO,
    Entry,
    Refused,
    apply_pax,
    check_pieces,
    decimal,
    matters_to_all,
    number,
    old_pieces,
    pairs,
    pax_records,
    text,
)

CHUNK = 1 << 20
"""Bytes handled at a time."""

MAX_EXTENDED = 1 << 20
"""Bytes of one extended header: a name, extended attributes. Go's reader, docker's, draws the same line."""

_MAX_HEADERS = 16
"""Extended headers before one entry; honest tars have two."""

_MAX_GLOBALS = 64
"""Records that hold for all entries; honest tars have none that matter here."""

_MAX_RECORDS = 10_000_000
"""PAX records in a whole tar: they are small, and each takes its time."""


class Source(Protocol):
    """Bytes in order."""

    def read(self, size: int) -> bytes | memoryview:
        """As many bytes (`CHUNK` at most), fewer at the end only; valid until the next call."""

    def skip(self, size: int) -> None:
        """Pass over as many bytes; raises Refused when there are fewer."""


class Pipe:
    """What can only be read."""

    def __init__(self, raw: BinaryIO) -> None:
        self._read = raw.read

    def read(self, size: int) -> bytes:
        """See `Source`."""
        return self._read(size)

    def skip(self, size: int) -> None:
        """See `Source`."""
        while size > 0:
            data = self._read(min(CHUNK, size))
            if not data:
                raise Refused("the tar ends early")
            size -= len(data)


class Stream:
    """What can only be read, of a descriptor: into one buffer, from which files are written without another copy."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._buffer = memoryview(bytearray(2 * CHUNK))
        self._at = 0
        self._end = 0

    def read(self, size: int) -> memoryview:
        """See `Source`."""
        begin = self._at
        if begin + size > self._end:
            begin = self._fill(size)
        self._at = end = min(begin + size, self._end)
        return self._buffer[begin:end]

    def skip(self, size: int) -> None:
        """See `Source`."""
        while size > 0:
            passed = len(self.read(min(CHUNK, size)))
            if not passed:
                raise Refused("the tar ends early")
            size -= passed

    def _fill(self, size: int) -> int:
        """Have as many bytes at hand, fewer at the end only; where they begin."""
        rest = self._end - self._at
        self._buffer[:rest] = self._buffer[self._at : self._end]
        self._at, self._end = 0, rest
        while self._end < size and (count := os.readv(self._fd, [self._buffer[self._end :]])):
            self._end += count
        return 0


class TarReader:
    """Entries one by one. After `next`, `read` gives what the entry holds; what isn't read is skipped."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._left = 0
        self._padding = 0
        self._globals: dict[bytes, bytes] = {}
        self._records = 0
        self.position = 0
        """Bytes of the tar that lie before what `read` would give."""
        self.name = b""
        """The entry read last, or being read."""

    def next(self) -> Entry | None:
        """The next entry, or ``None`` at the end mark (or where the tar ends between two entries); raises Refused."""
        self._skip_contents()
        records: list[tuple[bytes, bytes]] = []
        name = target = None
        for count in range(_MAX_HEADERS + 1):
            block = self._block()
            if block is None:
                if count:
                    raise Refused("the tar ends early: after an extended header")
                return None
            entry = Entry(block)
            if entry.kind == b"L":
                name = text(self._extended(entry.size))
            elif entry.kind == b"K":
                target = text(self._extended(entry.size))
            elif entry.kind in (b"x", b"X"):
                records += self._read_records(entry.size)
            elif entry.kind == b"g":
                self._globals.update(pair for pair in self._read_records(entry.size) if matters_to_all(pair[0]))
                if len(self._globals) > _MAX_GLOBALS:
                    raise Refused("too many records that hold for all entries")
            else:
                return self._complete(entry, name, target, records)
        raise Refused("too many extended headers before one entry")

    def _complete(
        self, entry: Entry, name: bytes | None, target: bytes | None, records: list[tuple[bytes, bytes]]
    ) -> Entry:
        if name is not None:
            entry.name = name
        if target is not None:
            entry.target = target
        self.name = entry.name
        if records or self._globals:
            apply_pax(entry, [*self._globals.items(), *records])
        self.name = entry.name
        entry.name_ends()
        self._left = entry.stored
        self._padding = -entry.stored % BLOCK
        if entry.sparse_header:
            self._sparse(entry)
        if entry.pieces is not None:
            check_pieces(entry)
        return entry

    def read(self, size: int) -> bytes | memoryview:
        """Up to ``size`` bytes (`CHUNK` at most) of the contents, valid until the next call; empty at their end.

        Of a sparse file the pieces alone.
        """
        wanted = min(size, self._left)
        data = self._source.read(wanted) if wanted else b""
        if len(data) != wanted:
            raise Refused("the tar ends early")
        self._left -= wanted
        self.position += wanted
        return data

    def drain(self) -> None:
        """Read what follows the end mark: it belongs to the digest."""
        while self._source.read(CHUNK):
            pass

    def _block(self) -> bytes | None:
        """The next header; ``None`` at the end."""
        block = bytes(self._source.read(BLOCK))
        self.position += len(block)
        if len(block) == BLOCK and block != ZERO:
            return block
        if block == ZERO:
            second = bytes(self._source.read(BLOCK))
            self.position += len(second)
            if second.strip(b"\0"):
                raise Refused("the tar is damaged: it goes on behind its end")
            return None
        if block or not self.position:
            raise Refused("the tar ends early")
        return None

    def _extended(self, size: int) -> bytes:
        if size > MAX_EXTENDED:
            raise Refused(f"an extended header of {size} bytes")
        padded = size + -size % BLOCK
        data = bytes(self._source.read(padded))
        if len(data) != padded:
            raise Refused("the tar ends early")
        self.position += padded
        return data[:size]

    def _read_records(self, size: int) -> list[tuple[bytes, bytes]]:
        found = pax_records(self._extended(size))
        self._records += len(found)
        if self._records > _MAX_RECORDS:
            raise Refused(f"more than {_MAX_RECORDS} PAX records")
        return found

    def _skip_contents(self) -> None:
        if rest := self._left + self._padding:
            self._source.skip(rest)
            self.position += rest
            self._left = self._padding = 0

    def _sparse(self, entry: Entry) -> None:
        """A map of pieces that is not in PAX records: after GNU's old header, or before the contents (PAX 1.0)."""
        if entry.sparse_header != b"1.0":
            header = entry.sparse_header
            entry.size = number(header[483:495])
            entry.pieces = old_pieces(header, 386, 4)
            more = header[482]
            while more:
                block = bytes(self._source.read(BLOCK))
                if len(block) != BLOCK or len(entry.pieces) > MAX_PIECES:
                    raise Refused("a sparse file whose map is damaged or too long")
                self.position += BLOCK
                entry.pieces += old_pieces(block, 0, 21)
                more = block[504]
            return
        numbers: list[int] = []
        rest = b""
        while not numbers or len(numbers) < 2 * numbers[0] + 1:
            block = bytes(self.read(BLOCK))
            *lines, rest = (rest + block).split(b"\n")
            if not block or not lines:  # a number is shorter than a block
                raise Refused("a sparse file whose map is damaged")
            for line in lines:
                numbers.append(decimal(line))
            if numbers[0] > MAX_PIECES:
                raise Refused("a sparse file with too many pieces")
        entry.pieces = pairs(numbers[1 : 2 * numbers[0] + 1])
        entry.stored = self._left
