"""Changing the limits of a container that runs: all of them, or none.

Not in `control`: no monitor needs it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from errno import EBUSY, EINVAL, ENOENT, EOPNOTSUPP

from pyctr_engine.cgroups import control, files
from pyctr_engine.cgroups.control import Writes
from pyctr_engine.errors import EngineError, StartError


def change(settings: Writes, defaults: Writes = (), either: Sequence[Writes] = ()) -> None:
    """Write new limits; the groups are those of `control.limit`.

    v1 refuses a limit of memory above that of memory and swap, and a burst above its quota, so the order depends on
    what is there: what is refused is tried again after the others.

    Raises:
        NotPermitted, StartError, Unsupported: one was refused; all are as they were.
    """
    left = [*settings, *((path, value) for path, value in defaults if os.path.exists(path))]
    before: list[tuple[str, str, str]] = []
    try:
        while left:
            refused = list(_write_all(left, before))
            if len(refused) == len(left):
                raise _refusal(refused)
            left = [(path, value) for path, value, _ in refused]
        for group in either:
            if len(list(_write_all(group, before, (ENOENT, EOPNOTSUPP)))) == len(group):
                raise control.none_of(group)
    except EngineError:
        _restore(before)
        raise


def _write_all(
    writes: Writes, before: list[tuple[str, str, str]], missing: tuple[int, ...] = ()
) -> Iterator[tuple[str, str, OSError]]:
    """Write, noting in ``before`` what was there; yields what was refused.

    With ``missing`` only these errors are told, any other is raised.
    """
    for path, value in writes:
        try:
            held = files.read(path).strip()
            files.write(path, value)
        except OSError as error:
            if missing and error.errno not in missing:
                raise control.failure(f"write {value!r} to {path}", error) from error
            yield path, value, error
        else:
            before.append((path, value, held))


def _refusal(refused: list[tuple[str, str, OSError]]) -> EngineError:
    path, value, reason = next((one for one in refused if one[2].errno == EBUSY), refused[0])
    if reason.errno == EBUSY and "/memory." in path and value.isdigit():
        used = files.number(f"{os.path.dirname(path)}/memory.usage_in_bytes")
        return StartError(
            f"it uses {used >> 20} MiB of memory now, more than the new limit of {int(value) >> 20} MiB",
            "give it more, or restart it with the new limit",
        )
    return control.failure(f"write {value!r} to {path}", reason)


def _restore(before: list[tuple[str, str, str]]) -> None:
    """Write back what was there. As with the new ones, an order may be refused first and taken later."""
    left = [(path, former(path, value, held)) for path, value, held in reversed(before)]
    while left:
        refused = []
        for path, value in left:
            try:
                files.write(path, value)
            except OSError as error:
                if error.errno in (EINVAL, EBUSY):
                    refused.append((path, value))
        if len(refused) == len(left):
            return
        left = refused


def former(path: str, value: str, held: str) -> str:
    """What to write to undo writing ``value`` to a file that held ``held``.

    Most files say what they take. Those of disks have a line for each disk, and none for one without a limit; some
    have a word before a single number (``default 100``, ``oom_kill_disable 0``).
    """
    device, _, wanted = value.partition(" ")
    first = held.partition("\n")[0]
    if ":" in device:
        line = next((line for line in held.splitlines() if line.startswith(f"{device} ")), "")
        if path.endswith("/io.max"):
            key = wanted.partition("=")[0]
            words = [word for word in line.split() if word.startswith(f"{key}=")]
            return f"{device} {words[0] if words else f'{key}=max'}"
        if line:
            return line
        return f"{device} {'0' if '/blkio.throttle.' in path or path.endswith('/blkio.weight_device') else 'default'}"
    if first.split(" ")[0] in ("default", "oom_kill_disable"):
        return first.split()[1]
    return held or "\n"
