"""The event log: one append-only file of JSON lines, one ``write(2)`` per event, rotated by size.

Every process that changes something appends; every viewer follows the same file.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyctr_engine.model.event import Event

MAX_BYTES = 8 << 20
"""When the current file is larger than this, it is renamed to ``events.1.jsonl`` and a new one begun."""


_LOOK_SECONDS = 5.0
"""Seconds after which the file is looked at though nobody told of a change."""


def log_path(events_dir: str) -> str:
    """The file that is being appended to."""
    return f"{events_dir}/events.jsonl"


def append(
    events_dir: str,
    type: str,
    action: str,
    id: str,
    name: str = "",
    attributes: Mapping[str, str] | None = None,
    when: float = 0.0,
) -> None:
    """Append one event, of now or of ``when``. Never raises: losing an event must not lose what it tells of."""
    record = {"t": round(when or time.time(), 6), "type": type, "action": action, "id": id, "name": name}
    if attributes:
        record["attributes"] = dict(attributes)
    line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
    path = log_path(events_dir)
    with contextlib.suppress(OSError):
        fd = _open(path)
        try:
            if os.fstat(fd).st_size > MAX_BYTES:
                _rotate(events_dir, fd)
                os.close(fd)
                fd = _open(path)
            os.write(fd, line)
        finally:
            os.close(fd)


def _rotate(events_dir: str, fd: int) -> None:
    """Put the full file aside; only once, however many find it full at the same time."""
    import fcntl

    fcntl.flock(fd, fcntl.LOCK_EX)  # let go of when it is closed
    path = log_path(events_dir)
    if os.fstat(fd).st_ino == os.stat(path).st_ino:
        os.rename(path, f"{events_dir}/events.1.jsonl")


def _open(path: str) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        return os.open(path, flags, 0o600)


def read(events_dir: str, since: float | None, follow: bool, until: float | None = None) -> Iterator[Event]:
    """Events from ``since`` (seconds since the epoch; ``None``: from now on), oldest first, up to ``until``.

    With ``follow`` it waits for more, until then or for ever; rotation is followed too.
    """
    for event in _read(events_dir, since, follow, until):
        if until is None or event.time <= until:
            yield event


def _read(events_dir: str, since: float | None, follow: bool, until: float | None) -> Iterator[Event]:
    os.makedirs(events_dir, mode=0o700, exist_ok=True)
    path = log_path(events_dir)
    watch = _watch(events_dir) if follow else -1
    position = inode = 0
    if since is None:
        with contextlib.suppress(FileNotFoundError):
            status = os.stat(path)
            position, inode = status.st_size, status.st_ino
    elif os.path.exists(f"{events_dir}/events.1.jsonl"):
        yield from _parse(f"{events_dir}/events.1.jsonl", 0, since)[0]
    try:
        while True:
            with contextlib.suppress(FileNotFoundError):
                if os.stat(path).st_ino != inode:
                    if inode:  # what was appended to the old file before it was renamed
                        yield from _parse(f"{events_dir}/events.1.jsonl", position, since)[0]
                    position, inode = 0, os.stat(path).st_ino
                found, position = _parse(path, position, since)
                yield from found
            left = _LOOK_SECONDS if until is None else until - time.time()
            if not follow or left <= 0:
                return
            _wait(watch, min(left, _LOOK_SECONDS))
    finally:
        if watch >= 0:
            os.close(watch)


def _watch(events_dir: str) -> int:
    from pyctr_engine.linux import inotify

    try:
        return inotify.watch(events_dir, inotify.IN_MODIFY | inotify.IN_CREATE | inotify.IN_MOVED_FROM)
    except OSError:  # the user's inotify instances are used up: look twice a second instead
        return -1


def _wait(watch: int, seconds: float) -> None:
    if watch < 0:
        time.sleep(min(seconds, 0.5))
        return
    import select

    from pyctr_engine.linux import inotify

    poller = select.poll()
    poller.register(watch, select.POLLIN)
    poller.poll(seconds * 1000)
    inotify.drain(watch)


def _parse(path: str, position: int, since: float | None) -> tuple[list[Event], int]:
    """The whole lines from ``position`` on, and where they end."""
    from pyctr_engine.model.event import Event

    try:
        with open(path, "rb") as file:
            file.seek(position)
            data = file.read()
    except FileNotFoundError:
        return [], position
    end = data.rfind(b"\n") + 1
    found = []
    for line in data[:end].splitlines():
        try:
            record = json.loads(line)
            event = Event(
                record["t"],
                record["type"],
                record["action"],
                record["id"],
                record["name"],
                record.get("attributes", {}),
            )
        except (ValueError, KeyError, TypeError):
            continue  # a line torn by a crash
        if since is None or event.time >= since:
            found.append(event)
    return found, position + end
