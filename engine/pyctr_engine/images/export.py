"""A whole file system as a tar: the parent's end of the confined child (`tree_tar` is the child's)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence

from pyctr_engine.errors import StoreError, from_os_error, told_as
from pyctr_engine.images.output import output
from pyctr_engine.images.unpack import PACKAGES

_PROGRAM = "import sys; sys.path.insert(0, sys.argv.pop(1)); from pyctr_engine.images.tree_tar import main; main()"


TOLD_EVERY = 0.2
"""Seconds between two steps of progress."""


def export(
    layers: str,
    data: str,
    uppers: Sequence[str],
    links: Sequence[str],
    path: str,
    tell: Callable[[int], None] | None = None,
) -> None:
    """Write what an overlay of a container's directories and its image's layers shows as a tar.

    Args:
        layers: The layers directory, and ``links`` the image's in it, topmost first.
        data: The container's directory, and ``uppers`` its own in it, topmost first; nothing is written to them.
        path: A file, or ``-`` for standard output.
        tell: Told how many bytes have been written, now and then; what it raises ends the export.

    Raises:
        NotFound, NoSpace, StoreError, NotPermitted: no file was made.
    """
    with output(path, "export") as fd:
        options = json.dumps({"layers": layers, "data": data, "uppers": list(uppers), "links": list(links)})
        with told_as("start the exporting process"):
            child = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _PROGRAM, PACKAGES, options],
                stdin=subprocess.DEVNULL,
                stdout=fd,
                stderr=subprocess.PIPE,
                cwd="/",
                env={},
            )
        trouble = _finish(child, fd, tell)
        if child.returncode:
            _fail(child.returncode, trouble)


def _finish(child: subprocess.Popen[bytes], fd: int, tell: Callable[[int], None] | None) -> bytes:
    """Wait for the child, telling how far it is; what it complained about. It ends with us, whatever happens."""
    with child:
        try:
            while True:
                try:
                    return child.communicate(timeout=TOLD_EVERY if tell is not None else None)[1]
                except subprocess.TimeoutExpired:
                    if tell is not None:
                        tell(os.fstat(fd).st_size)
        except BaseException:
            child.kill()
            raise


def _fail(status: int, trouble: bytes) -> None:
    lines = trouble.decode(errors="replace").strip().splitlines() or ["no message"]
    try:
        report = json.loads(lines[-1])
        error = OSError(report["errno"], report["error"])
    except (ValueError, KeyError, TypeError):
        raise StoreError(f"the exporting process failed ({status}): {lines[-1]}") from None
    if isinstance(error, BrokenPipeError):
        raise error
    raise from_os_error(error, f"export {report['path'] or 'the file system'}")
