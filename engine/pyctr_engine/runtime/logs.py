"""A container's log: JSON lines, one per line of output, rotated and bounded.

``{"t":seconds,"s":"stdout","m":"text"}``, with ``"p":true`` when the line goes on in the next record (it was longer
than `MAX_LINE`). Bytes that aren't UTF-8 become U+FFFD.
"""

from __future__ import annotations

import contextlib
import os
import time
from json.encoder import encode_basestring as _quote

MAX_LINE = 16 << 10


def log_path(state_dir: str) -> str:
    """The file being written; older ones are ``<path>.1`` (newest) and up."""
    return f"{state_dir}/logs/container.jsonl"


class LogWriter:
    """Appends; a full disk or a failing one loses lines, never the container. The file is made by the first line."""

    __slots__ = ("_fd", "_max_bytes", "_max_files", "_partial", "_size", "lost", "path")

    def __init__(self, state_dir: str, max_bytes: int, max_files: int) -> None:
        self.path = log_path(state_dir)
        self._max_bytes = max_bytes
        self._max_files = max_files
        self._partial = {"stdout": b"", "stderr": b""}
        self._fd = -1
        self._size = 0
        self.lost = 0

    def _open(self) -> None:
        os.makedirs(os.path.dirname(self.path), 0o700, exist_ok=True)
        self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._fd).st_size

    def write(self, stream: str, data: bytes) -> None:
        """Take a piece of output, write the lines it completes."""
        lines = (self._partial[stream] + data).split(b"\n")
        rest = lines.pop()
        records = []
        head = '{"t":%.6f,"s":"%s","m":' % (time.time(), stream)
        for line in lines:
            while len(line) > MAX_LINE:
                records.append(head + _quote(line[:MAX_LINE].decode("utf-8", "replace")) + ',"p":true}\n')
                line = line[MAX_LINE:]
            records.append(head + _quote(line.decode("utf-8", "replace")) + "}\n")
        while len(rest) > MAX_LINE:
            records.append(head + _quote(rest[:MAX_LINE].decode("utf-8", "replace")) + ',"p":true}\n')
            rest = rest[MAX_LINE:]
        self._partial[stream] = rest
        if records:
            self._append("".join(records).encode())

    def _append(self, data: bytes) -> None:
        try:
            if self._fd < 0:
                self._open()
            elif self._size + len(data) > self._max_bytes and self._size:
                self._rotate()
            self._size += os.write(self._fd, data)
        except OSError:
            self.lost += data.count(b"\n")

    def _rotate(self) -> None:
        os.close(self._fd)
        self._fd = -1  # should what follows fail, the next line tries again
        for number in range(self._max_files - 1, 0, -1):
            older = f"{self.path}.{number}"
            newer = f"{self.path}.{number - 1}" if number > 1 else self.path
            with contextlib.suppress(FileNotFoundError):
                os.rename(newer, older)
        if self._max_files <= 1:
            os.unlink(self.path)
        self._open()

    def close(self) -> None:
        """Write what has no newline yet, and close."""
        for stream, rest in self._partial.items():
            if rest:
                self.write(stream, b"\n")
        if self._fd >= 0:
            os.close(self._fd)
