"""The one family of errors.

Every error a user can cause is one clear sentence and a hint::

    EngineError
    ├── NotFound                no such container, image, volume, network, stack
    ├── Conflict                a name, port or object that is taken or in use
    ├── InvalidValue            an argument that can't be: a name, a reference, a size
    │   └── InvalidStack        a stack file, with file, line and column
    ├── CommandError            the container's own program could not be run (exit 126 or 127)
    ├── StartError              a step of a start failed: the step, the path, the errno
    ├── NotPermitted            needs root, a capability, or an owner's right
    ├── Unsupported             this kernel or host lacks something
    ├── NoSpace                 the disk is full
    ├── ImageFormatError        an archive, manifest or layer that breaks its specification
    ├── RegistryError           a registry that can't be reached, refuses, or breaks its specification
    ├── Cancelled               given up because the caller wished so
    └── StoreError              the store or the database is damaged or busy
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator


class EngineError(Exception):
    """An error to show: ``message`` is one sentence, ``hint`` says what to do (may be empty).

    ``exit_code`` is what the command line ends with: docker's 125 for the engine's own failures.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class NotFound(EngineError):
    """No such container, image, volume, network or stack."""


class Conflict(EngineError):
    """A name, port or object that is taken or in use."""


class InvalidValue(EngineError):
    """An argument that can't be."""


class InvalidStack(InvalidValue):
    """A stack file that can't be used; ``message`` begins with ``file:line:column:``."""


class CommandError(EngineError):
    """The container's program was not found (127) or can't be executed (126)."""

    def __init__(self, message: str, hint: str = "", exit_code: int = 127) -> None:
        super().__init__(message, hint)
        self.exit_code = exit_code


class StartError(EngineError):
    """A step of a start failed; the message names the step, the path and the errno."""

    exit_code = 125


class NotPermitted(EngineError):
    """Needs root, a capability, or an owner's right."""


class Unsupported(EngineError):
    """This kernel or host lacks something."""


class NoSpace(EngineError):
    """The disk (or its quota) is full."""


class ImageFormatError(EngineError):
    """An archive, manifest or layer that breaks its specification."""


class RegistryError(EngineError):
    """A registry that can't be reached, refuses, or breaks its specification."""


class Cancelled(EngineError):
    """Given up because the caller wished so; nothing half-done is left."""


class StoreError(EngineError):
    """The store or the database is damaged or busy."""


NO_SPACE_HINT = "free some space: `pyctr-tui system df` shows what takes it, `pyctr-tui prune` what can go"


@contextlib.contextmanager
def told_as(doing: str) -> Iterator[None]:
    """Raise an OSError met inside as one of ours; see `from_os_error`."""
    try:
        yield
    except OSError as error:
        raise from_os_error(error, doing) from error


def from_os_error(error: OSError, doing: str) -> EngineError:
    """Turn an OSError met while ``doing`` (an infinitive phrase, e.g. ``"write the layer"``) into one of ours."""
    where = f" ({error.filename})" if error.filename else ""
    reason = (error.strerror or str(error)).lower()
    message = f"cannot {doing}: {reason}{where}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace(message, NO_SPACE_HINT)
    if error.errno in (errno.EPERM, errno.EACCES):
        return NotPermitted(message, "run as root" if os.geteuid() else "")
    if error.errno == errno.EAGAIN and isinstance(error, BlockingIOError):
        return EngineError(message, "no more processes can be made: `ulimit -u` and the cgroup's pids.max limit them")
    if error.errno == errno.ENOSYS:
        return Unsupported(message, "`pyctr-tui doctor` shows what this kernel lacks")
    return EngineError(message)
