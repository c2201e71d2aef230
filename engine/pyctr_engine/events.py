"""The event log: one append-only file of JSON lines, one ``write(2)`` per event, rotated by size.

Every process that changes something appends; every viewer follows the same file.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping

MAX_BYTES = 8 << 20
"""When the current file is larger than this, it is renamed to ``events.1.jsonl`` and a new one begun."""


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
) -> None:
    """Append one event. Never raises: losing an event must not lose what it tells of."""
    record = {"t": round(time.time(), 6), "type": type, "action": action, "id": id, "name": name}
    if attributes:
        record["attributes"] = dict(attributes)
    line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
    path = log_path(events_dir)
    with contextlib.suppress(OSError):
        os.makedirs(events_dir, mode=0o700, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(fd).st_size > MAX_BYTES:
                os.rename(path, f"{events_dir}/events.1.jsonl")
                os.close(fd)
                fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.write(fd, line)
        finally:
            os.close(fd)
