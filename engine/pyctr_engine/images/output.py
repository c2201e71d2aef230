"""Where an archive goes: a file that is whole or not there, standard output, or what else a path may be."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator

from pyctr_engine.errors import NotFound, from_os_error
from pyctr_engine.images.layout import ASIDE


@contextlib.contextmanager
def output(path: str, doing: str) -> Iterator[int]:
    """A descriptor to write to; ``-`` is standard output.

    A regular file is written aside and renamed when the block ends well. A device or pipe is written to as it is.

    Args:
        doing: What is done to it, for errors: ``save``, ``export``.

    Raises:
        NotFound, NoSpace, NotPermitted: also for what the block itself could not write.
    """
    try:
        if path == "-":
            yield 1
        elif os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):
            with open(path, "wb", buffering=0) as file:
                yield file.fileno()
        else:
            with _aside(os.path.realpath(path)) as fd:
                yield fd
    except BrokenPipeError:
        raise
    except FileNotFoundError as error:
        raise NotFound(f"cannot {doing} to {path}: no such directory") from error
    except OSError as error:
        raise from_os_error(error, f"{doing} to {path}") from error


@contextlib.contextmanager
def _aside(path: str) -> Iterator[int]:
    aside = f"{os.path.dirname(path)}/{ASIDE}{os.urandom(8).hex()}"
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        yield fd
        os.fsync(fd)
        os.rename(aside, path)
    except BaseException:
        os.unlink(aside)
        raise
    finally:
        os.close(fd)
