"""The user a program runs as, looked up in the container's own files, and what its environment says of them.

Called inside the container's root; the files are the image's, so they are read with limits and never trusted.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from typing import NamedTuple

MAX_BYTES = 4 << 20
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class UserError(Exception):
    """The user or group is not known in the container."""


class User(NamedTuple):
    """Ids inside the container."""

    uid: int
    gid: int
    groups: list[int]
    home: str
    name: str


def resolve(
    text: str, ids: Sequence[Sequence[int]] = (), gids: Sequence[Sequence[int]] = (), more: Sequence[str] = ()
) -> User:
    """``user``, ``uid``, ``user:group`` or ``uid:gid``, docker's rules: an unknown number is taken as it is.

    ``ids`` is the user namespace's map, (inside, outside, count): an id outside it can't be had; ``gids`` that of
    groups where it differs. ``more`` are further groups.
    """
    gids = gids or ids
    name, _, group = text.partition(":")
    uid, gid, home, user_name = _find_user(name or "0")
    groups = []
    if group:
        gid = _find_group(group)
    elif user_name:
        groups = [
            int(fields[2])
            for fields in _records("/etc/group", 4)
            if user_name in fields[3].split(",") and _is_id(fields[2]) and _is_mapped(int(fields[2]), gids)
        ]
    added = [_find_group(name) for name in more]
    groups += [id for id in added if id not in groups]
    for id, what in ((uid, "user"), *((id, "group") for id in (gid, *added))):
        if not _is_mapped(id, ids if what == "user" else gids):
            raise UserError(f"{what} id {id} is not among the ids that the container has")
    return User(uid, gid, groups, home or "/", user_name)


def _find_user(text: str) -> tuple[int, int, str, str]:
    for fields in _records("/etc/passwd", 7):
        if (fields[0] == text or fields[2] == text) and _is_id(fields[2]) and _is_id(fields[3]):
            return int(fields[2]), int(fields[3]), fields[5], fields[0]
    return _number(text, "user", "/etc/passwd"), 0, "/", ""


def _find_group(text: str) -> int:
    for fields in _records("/etc/group", 4):
        if (fields[0] == text or fields[2] == text) and _is_id(fields[2]):
            return int(fields[2])
    return _number(text, "group", "/etc/group")


def _number(text: str, what: str, path: str) -> int:
    if _is_id(text):
        return int(text)
    raise UserError(f"no {what} {text} in the container's {path}")


def _is_id(text: str) -> bool:
    """Whether it is a number that the kernel takes as an id; the last one, -1, means "leave it as it is"."""
    return text.isascii() and text.isdigit() and len(text) <= 10 and int(text) < 2**32 - 1


def _is_mapped(id: int, ids: Sequence[Sequence[int]]) -> bool:
    return not ids or any(inside <= id < inside + count for inside, _, count in ids)


def _records(path: str, fields: int) -> list[list[str]]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return []
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return []
        text = os.read(fd, MAX_BYTES).decode("utf-8", "replace")
    finally:
        os.close(fd)
    return [record for line in text.splitlines() if len(record := line.split(":")) >= fields]


def environment(env: Sequence[str], user: User) -> dict[str, str]:
    """``KEY=value`` pairs as a mapping, with PATH and HOME where they are not given."""
    values = dict(item.split("=", 1) for item in env if "=" in item)
    values.setdefault("PATH", DEFAULT_PATH)
    if not values.get("HOME"):
        values["HOME"] = user.home
    return values


def find_program(name: str, env: dict[str, str]) -> str:
    """Where a program lies, by PATH. Raises OSError: ENOENT, or EACCES when what is there can't be executed."""
    if not name:
        raise OSError(errno.ENOENT, "no command given", name)
    candidates = [name] if "/" in name else [os.path.join(part or ".", name) for part in env["PATH"].split(":")]
    denied = False
    for path in candidates:
        if not os.path.exists(path):
            continue
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
        denied = True
    if denied:
        raise OSError(errno.EACCES, "not an executable file", name)
    raise OSError(errno.ENOENT, "no such program in the container", name)
