"""``checkpoint``: states of a container's file system, to go back to. Not docker's, which is of its memory (CRIU)."""

from __future__ import annotations

from collections.abc import Sequence

from pyctr_tui.cli import output, text, values
from pyctr_tui.cli.call import Call
from pyctr_tui.cli.lifecycle import each
from pyctr_tui.cli.options import Grammar, Option

_NOTE = (
    "A checkpoint is of the container's file system, not (as docker's) of its processes' memory. Volumes, binds and\n"
    "tmpfs are not in it. "
)

_CREATE = Grammar(
    "checkpoint create",
    "CONTAINER [NAME]",
    "Keep a container's file system as it is now, and print the checkpoint's name.",
    Option("-m, --message", "What it is", "TEXT"),
    least=1,
    most=2,
    note=_NOTE
    + "A running container stands still meanwhile and goes on; what it changed\nsince its last checkpoint is copied. "
    "Of one that doesn't run nothing is copied.",
)
_LIST = Grammar(
    "checkpoint ls",
    "CONTAINER",
    "List a container's checkpoints, the oldest first; * is what its files began from.",
    Option("-q, --quiet", "Only names"),
    output.LIST_FORMAT,
    least=1,
    most=1,
)
_RESTORE = Grammar(
    "checkpoint restore",
    "CONTAINER NAME",
    "Take a container's file system back to a checkpoint (also: checkpoint undo).",
    Option("-t, --time", "Seconds to wait for its end before it is killed", "SECONDS"),
    least=2,
    most=2,
    note=_NOTE + "A running container is stopped and started again.\n"
    "What changed since and is in no checkpoint is lost: `checkpoint create` first keeps it.",
)
_BRANCH = Grammar(
    "checkpoint branch",
    "CONTAINER NAME [NEW-CONTAINER]",
    "Make a new container from a checkpoint, and print its id; it is not started.",
    least=2,
    most=3,
)
_REMOVE = Grammar("checkpoint rm", "CONTAINER NAME…", "Remove checkpoints.", least=2, most=None)


def create(call: Call, words: Sequence[str]) -> int:
    """``checkpoint create``."""
    parsed = _CREATE.parse(words)
    container, *name = parsed.arguments
    made = call.engine.checkpoint(container, name[0] if name else "", parsed.value("message"))
    output.line(made.name)
    return 0


def list_(call: Call, words: Sequence[str]) -> int:
    """``checkpoint ls``."""
    import time

    parsed = _LIST.parse(words)
    now = time.time()
    found = call.engine.checkpoints(parsed.arguments[0])
    if parsed.flag("quiet"):
        output.lines(point.name for point in found)
        return 0
    rows = [
        {
            "Name": point.name,
            "Current": "*" if point.current else "",
            "CreatedAt": text.date(point.created),
            "CreatedSince": text.ago(point.created, now),
            "Size": text.size(point.size),
            "Parent": point.parent,
            "Message": point.message,
        }
        for point in found
    ]
    output.rows(rows, parsed.value("format"), ("Name", "Current", "CreatedSince", "Size", "Parent", "Message"))
    return 0


def restore(call: Call, words: Sequence[str]) -> int:
    """``checkpoint restore``."""
    parsed = _RESTORE.parse(words)
    container, name = parsed.arguments
    timeout = values.number(parsed.value("time"), "--time") if "time" in parsed else None
    restored = call.engine.restore(container, name, timeout)
    output.line(f"{restored.container.name} (stopped, and started again)" if restored.restarted else container)
    return 0


def branch(call: Call, words: Sequence[str]) -> int:
    """``checkpoint branch``."""
    container, name, *new = _BRANCH.parse(words).arguments
    print(call.engine.branch(container, name, new[0] if new else "").id)
    return 0


def remove(call: Call, words: Sequence[str]) -> int:
    """``checkpoint rm``."""
    container, *names = _REMOVE.parse(words).arguments
    return each(names, lambda name: call.engine.remove_checkpoint(container, name))
