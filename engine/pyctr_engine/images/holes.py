"""Writing a file's contents with holes where there is nothing: those that a sparse tar tells of, and long zeros.

Most tools write zeros for holes, so a file that went through one has none left; here it gets them back.
"""

from __future__ import annotations

import os

from pyctr_engine.images.tar_format import Entry
from pyctr_engine.images.tar_reader import CHUNK, TarReader

_HOLE = 1 << 16
"""Bytes of zeros that are skipped and not written."""
_ZEROS = bytes(_HOLE)


def fill(fd: int, entry: Entry, reader: TarReader) -> None:
    """Write the contents; of a sparse file only what it holds."""
    hole = entry.pieces is not None
    for offset, length in entry.pieces or ((0, entry.stored),):
        if offset:
            os.lseek(fd, offset, os.SEEK_SET)
        while length > 0:
            data = reader.read(min(CHUNK, length))
            length -= len(data)
            hole = _write(fd, data) or hole
    if hole:
        os.ftruncate(fd, entry.size)


def _write(fd: int, data: bytes | memoryview) -> bool:
    """Write all but the zeros, in `_HOLE` pieces; whether some were left out."""
    begin = 0
    hole = False
    for at in range(0, len(data) - _HOLE + 1, _HOLE):
        if data[at] or data[at + _HOLE - 1] or bytes(data[at : at + _HOLE]) != _ZEROS:
            continue
        _write_all(fd, data[begin:at])
        os.lseek(fd, _HOLE, os.SEEK_CUR)
        begin = at + _HOLE
        hole = True
    _write_all(fd, data[begin:] if begin else data)
    return hole


def _write_all(fd: int, data: bytes | memoryview) -> None:
    while data:
        data = data[os.write(fd, data) :]
