"""The ids that an ordinary user's house has: the user's own as 0, then those of /etc/subuid and /etc/subgid.

Sources: subuid(5), newuidmap(1), user_namespaces(7).
"""

from __future__ import annotations

import os

from pyctr_engine.errors import Unsupported

Range = tuple[int, int]
"""First id and how many."""

_MAX_EXTENTS = 340


def user_name(uid: int) -> str:
    """The user's name, or the number where it has none."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def subordinate(path: str, uid: int, name: str) -> list[Range]:
    """The ranges that a file such as /etc/subuid gives a user, in its order."""
    found = []
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                fields = line.strip().split(":")
                if len(fields) == 3 and fields[0] in (name, str(uid)) and fields[1].isdigit() and fields[2].isdigit():
                    found.append((int(fields[1]), int(fields[2])))
    except OSError:
        return []
    return [item for item in found if item[1] > 0]


def extents(own: int, ranges: list[Range]) -> list[tuple[int, int, int]]:
    """The lines of a map: (inside, outside, count). Ranges that overlap one before are left out."""
    lines, inside = [(0, own, 1)], 1
    for first, count in ranges:
        taken = any(first < outside + size and outside < first + count for _, outside, size in lines)
        if not taken and len(lines) < _MAX_EXTENTS:  # the kernel refuses a map that has an id twice
            lines.append((inside, first, count))
            inside += count
    return lines


def maps(uid: int, gid: int) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
    """The maps of users and of groups. Raises Unsupported when the user was given no ids."""
    name = user_name(uid)
    users, groups = subordinate("/etc/subuid", uid, name), subordinate("/etc/subgid", uid, name)
    if not users or not groups:
        missing = " and ".join(path for path, found in (("/etc/subuid", users), ("/etc/subgid", groups)) if not found)
        raise Unsupported(f"{name} has no ids for containers in {missing}", remedy(name))
    return extents(uid, users), extents(gid, groups)


def remedy(name: str) -> str:
    """What an administrator has to do for a user without ids."""
    first = _unused(("/etc/subuid", "/etc/subgid"))
    last = first + 65535
    return f"as root: `usermod --add-subuids {first}-{last} --add-subgids {first}-{last} {name}`"


def more(highest: int) -> str:
    """What an administrator has to do for a user who needs ids up to that one."""
    from pyctr_engine.paths import user_id

    first = _unused(("/etc/subuid", "/etc/subgid"))
    last = first + highest + 1
    name = user_name(user_id())
    return f"as root: `usermod --add-subuids {first}-{last} --add-subgids {first}-{last} {name}`, then start anew"


def _unused(paths: tuple[str, ...]) -> int:
    """The first id above all that are given to anybody, from useradd's first on."""
    first = 100000
    for path in paths:
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                for line in file:
                    fields = line.strip().split(":")
                    if len(fields) == 3 and fields[1].isdigit() and fields[2].isdigit():
                        first = max(first, int(fields[1]) + int(fields[2]))
        except OSError:
            continue
    return first


def available(proc: str = "/proc/self") -> list[Range]:
    """The ids of this user namespace from 0 on, which users and groups have alike.

    In pieces, each of which is one outside too: the kernel maps no range of a nested namespace across two of ours.
    """
    ends: set[int] = set()
    last = []
    for name in ("uid_map", "gid_map"):
        inside = 0
        with open(f"{proc}/{name}") as file:
            for first, _, count in sorted([int(word) for word in line.split()] for line in file):
                if first != inside:
                    break
                inside += count
                ends.add(inside)
        last.append(inside)
    found, first = [], 0
    for end in sorted(ends):
        if first < end <= min(last):
            found.append((first, end - first))
            first = end
    return found


def as_arguments(lines: list[tuple[int, int, int]]) -> list[str]:
    """A map as newuidmap(1) takes it."""
    return [str(number) for line in lines for number in line]


def program(name: str) -> str:
    """The path of an installed program; empty when there is none. /usr/sbin is looked at too."""
    for directory in [*(os.environ.get("PATH") or os.defpath).split(":"), "/usr/bin", "/usr/sbin", "/sbin"]:
        path = f"{directory}/{name}"
        if directory.startswith("/") and os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return ""
