"""Unpacking a layer's tar: the parent's end of the confined child (`extract` is the child's).

The child reads the tar on its standard input and ends with one JSON object on its standard output: what it made, or
which entry it refused and why.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyctr_engine.errors import EngineError, ImageFormatError, StoreError, from_os_error, told_as
from pyctr_engine.house import ids
from pyctr_engine.images.limits import HINT, Limits, limits
from pyctr_engine.paths import in_house

if TYPE_CHECKING:
    from types import TracebackType

PACKAGES = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""Where a fresh interpreter finds this package."""

_PROGRAM = "import sys; sys.path.insert(0, sys.argv.pop(1)); from pyctr_engine.images.extract import main; main()"
_PIPE_SIZE = 1 << 20
_MAX_SHOWN = 300
"""Characters of a name that an error shows."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What a layer turned out to hold; see `Layer`.

    ``implicit`` are directories that no entry described, ``whiteouts`` those with whiteouts in them.
    """

    size: int
    entries: int
    ids: tuple[tuple[int, int], ...]
    opaque: bool
    implicit: tuple[str, ...]
    whiteouts: tuple[str, ...]
    notes: tuple[str, ...]


class Unpacker:
    """A confined child that unpacks into ``directory``. A context: leaving it early ends the child.

    ``bottom`` says that no layer lies below, so that whiteouts have nothing to hide.
    """

    def __init__(self, directory: str, bottom: bool, allowed: Limits | None = None) -> None:
        import fcntl
        import subprocess

        allowed = allowed or limits()
        options = {
            "directory": directory,
            "bottom": bottom,
            "entries": allowed.entries,
            "size": allowed.size,
            "path": allowed.path,
            "ids": sum(ids.available()[-1]) if in_house() else 0,
        }
        with told_as("start the unpacking process"):
            self._child = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _PROGRAM, PACKAGES, json.dumps(options)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd="/",
                env={},
                bufsize=0,
            )
        assert self._child.stdin is not None
        self._stdin = self._child.stdin.fileno()
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._stdin, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)

    def __enter__(self) -> Unpacker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout, self._child.stderr):
            if stream is not None:
                stream.close()

    def write(self, data: bytes) -> None:
        """Hand on a piece of the tar; raises what the child found wrong as soon as it has."""
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._stdin, view) :]
        except BrokenPipeError:
            self._report()
            raise StoreError("the unpacking process stopped reading") from None

    def finish(self) -> Unpacked:
        """Say that the tar is complete, and wait; raises ImageFormatError, NoSpace, NotPermitted, StoreError."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        return self._report()

    def _report(self) -> Unpacked:
        assert self._child.stdout is not None
        assert self._child.stderr is not None
        output = self._child.stdout.read()
        trouble = self._child.stderr.read()
        status = self._child.wait()
        try:
            report = json.loads(output)
        except ValueError:
            lines = trouble.decode(errors="replace").strip().splitlines()
            raise StoreError(
                f"the unpacking process failed ({status}): {lines[-1] if lines else 'no message'}"
            ) from None
        if "error" in report:
            raise _error(report)
        return Unpacked(
            report["size"],
            report["entries"],
            tuple((first, count) for first, count in report["ids"]),
            report["opaque"],
            tuple(report["implicit"]),
            tuple(report["whiteouts"]),
            tuple(report["notes"]),
        )


_HOST_TROUBLE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EPERM, errno.EACCES, errno.EROFS, errno.EIO, errno.ENOSYS}
)


def _error(report: dict[str, object]) -> EngineError:
    """The child's complaint as one of ours: the host's trouble as such, all else as the archive's fault."""
    number, entry, message = report.get("errno"), report.get("entry"), report["error"]
    where = f" at entry {_shortened(str(entry))!r}" if entry is not None else ""
    if not where and "position" in report:
        where = f" at byte {report['position']}"
    if isinstance(number, int) and number in _HOST_TROUBLE:
        return from_os_error(OSError(number, os.strerror(number)), f"unpack the layer{where}")
    hint = HINT if report.get("limit") else "nothing of it was kept"
    owner = report.get("owner")
    if isinstance(owner, int):
        hint = ids.more(owner)
    return ImageFormatError(f"cannot unpack the layer: {message}{where}", hint)


def _shortened(name: str) -> str:
    return name if len(name) <= _MAX_SHOWN else f"{name[: _MAX_SHOWN // 2]}…{name[-_MAX_SHOWN // 2 :]}"
