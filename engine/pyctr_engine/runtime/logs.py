"""A container's log: JSON lines, one per line of output, rotated and bounded.

``{"t":seconds,"s":"stdout","m":"text"}``, with ``"p":true`` when the line goes on in the next record (it was longer
than `MAX_LINE`). Bytes that aren't UTF-8 become U+FFFD. Where lines are missing, a record says how many and why:
``{"t":…,"s":"stderr","m":"[128 lines dropped: …]","d":128}``.
"""

from __future__ import annotations

import contextlib
import os
import time
from json.encoder import encode_basestring as _quote
from typing import NamedTuple

MAX_LINE = 16 << 10


def log_path(state_dir: str) -> str:
    """The file being written; older ones are ``<path>.1`` (newest) and up."""
    return f"{state_dir}/logs/container.jsonl"


class Rotation(NamedTuple):
    """How much of a log is kept: ``max_files`` files of ``max_bytes`` each, and at most ``rate`` lines a second.

    ``max_bytes`` 0 keeps nothing, ``rate`` 0 keeps every line.
    """

    max_bytes: int
    max_files: int
    rate: int = 0


class LogWriter:
    """Appends; a full disk or a failing one loses lines, never the container. The file is made by the first line.

    Lines over the rate (a second's worth may come at once) and lines that could not be written are counted; `settle`,
    called now and then, and each line that is written, tell of them.
    """

    __slots__ = (
        "_allowance",
        "_counted_at",
        "_disk_failed",
        "_dropped",
        "_fd",
        "_keep",
        "_partial",
        "_size",
        "_why",
        "path",
    )

    def __init__(self, state_dir: str, keep: Rotation) -> None:
        self.path = log_path(state_dir)
        self._keep = keep
        self._partial = {"stdout": b"", "stderr": b""}
        self._fd = -1
        self._size = 0
        self._dropped = 0
        self._why = ""
        self._disk_failed = False
        self._allowance = float(keep.rate)
        self._counted_at = 0.0

    def _open(self) -> None:
        os.makedirs(os.path.dirname(self.path), 0o700, exist_ok=True)
        self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._fd).st_size

    def write(self, stream: str, data: bytes, when: float) -> None:
        """Take a piece of output that came at ``when`` (seconds since the epoch), write the lines it completes."""
        lines = (self._partial[stream] + data).split(b"\n")
        rest = lines.pop()
        if self._keep.rate and lines:
            lines = self._within_rate(lines)
        records = []
        head = '{"t":%.6f,"s":"%s","m":' % (when, stream)
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
            self._append([record.encode() for record in records])

    def _within_rate(self, lines: list[bytes]) -> list[bytes]:
        now = time.monotonic()
        rate = self._keep.rate
        self._allowance = min(rate, self._allowance + (now - self._counted_at) * rate)
        self._counted_at = now
        kept = lines[: int(self._allowance)]
        self._allowance -= len(kept)
        self._drop(len(lines) - len(kept), f"more than {rate} a second")
        return kept

    def _drop(self, lines: int, why: str) -> None:
        self._dropped += lines
        if lines:
            self._why = why

    def settle(self) -> None:
        """Tell of lines that are missing, if it can be told by now."""
        dropped = self._dropped
        if not dropped:
            return
        text = _quote(f"[{dropped} {'line' if dropped == 1 else 'lines'} dropped: {self._why}]")
        self._dropped = 0
        if not self._write(('{"t":%.6f,"s":"stderr","m":%s,"d":%d}\n' % (time.time(), text, dropped)).encode()):
            self._dropped += dropped

    def _append(self, records: list[bytes]) -> None:
        if self._dropped and self._disk_failed:  # told as soon as it takes something again
            self.settle()
        first, size = 0, self._size
        for number, record in enumerate(records):
            if size + len(record) > self._keep.max_bytes and number > first:
                self._write_some(records[first:number])
                first, size = number, 0
            size += len(record)
        self._write_some(records[first:])

    def _write_some(self, records: list[bytes]) -> None:
        if not self._write(b"".join(records)):
            self._dropped += len(records)

    def _write(self, data: bytes) -> bool:
        if not self._keep.max_bytes:
            return True
        try:
            if self._fd < 0:
                self._open()
            elif self._size + len(data) > self._keep.max_bytes and self._size:
                self._rotate()
            written = os.write(self._fd, data)
            if written == len(data):
                self._size += written
                self._disk_failed = False
                return True
            os.ftruncate(self._fd, self._size)  # the disk filled up half way: no half lines
            self._why = "the disk is full"
        except OSError as error:
            self._why = f"the log could not be written: {error.strerror}"
        self._disk_failed = True
        return False

    def _rotate(self) -> None:
        os.close(self._fd)
        self._fd = -1  # should what follows fail, the next line tries again
        for number in range(self._keep.max_files - 1, 0, -1):
            older = f"{self.path}.{number}"
            newer = f"{self.path}.{number - 1}" if number > 1 else self.path
            with contextlib.suppress(FileNotFoundError):
                os.rename(newer, older)
        if self._keep.max_files <= 1:
            os.unlink(self.path)
        self._open()

    def finish_lines(self) -> None:
        """Write what has no newline yet: nothing more will come of it."""
        for stream, rest in self._partial.items():
            if rest:
                self.write(stream, b"\n", time.time())
        self.settle()

    def close(self) -> None:
        """Write what has no newline yet, and close."""
        self.finish_lines()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
