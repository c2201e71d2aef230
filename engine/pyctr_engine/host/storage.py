"""Room on the disk, and ids for containers' users."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pyctr_engine.host import files
from pyctr_engine.model.host import Finding
from pyctr_engine.paths import Paths

_LITTLE, _TOO_LITTLE = 2 << 30, 200 << 20  # bytes
_FEW_INODES = 20_000  # an image of a whole distribution has about 10,000 files
_RANGE = 65536  # ids for each container


def check(paths: Paths, outcomes: Mapping[str, tuple[str, str]]) -> list[Finding]:
    """All about storage."""
    found = os.statvfs(files.nearest(paths.state))
    return [
        space(paths.state, found.f_bavail * found.f_frsize, found.f_favail, found.f_files),
        id_ranges(files.read("/etc/subuid"), files.read("/etc/subgid")),
    ]


def check_for_user(paths: Paths, outcomes: Mapping[str, tuple[str, str]]) -> list[Finding]:
    """Room on the disk; the user's ids are looked at elsewhere."""
    return check(paths, outcomes)[:1]


def space(state: str, free: int, free_inodes: int, inodes: int) -> Finding:
    """Whether there is room for images. File systems without a table of inodes (btrfs) say they have 0."""
    detail = f"{free / (1 << 30):.1f} GiB free for {state}"
    if inodes and free_inodes < _FEW_INODES:
        cost = "a larger image won't fit: remove files or images"
        return Finding("warn", "disk space", f"{detail}, but only {free_inodes} files more", cost)
    if free < _TOO_LITTLE:
        return Finding("fail", "disk space", detail, "images and logs can't be written: free some space")
    if free < _LITTLE:
        return Finding(
            "warn", "disk space", detail, "a larger image won't fit: `pyctr-tui images` shows what to remove"
        )
    return Finding("ok", "disk space", detail)


def id_ranges(subuid: str, subgid: str) -> Finding:
    """How many containers can have ids of their own. Ranges must be in both files to count (subuid(5))."""
    users, groups = _ranges(subuid), _ranges(subgid)
    if not users and not groups:
        return Finding("ok", "id ranges", "524288 and up, the range that systemd keeps for containers")
    rooms = sum(count // _RANGE for first, count in users if (first, count) in groups)
    if rooms == 0:
        return Finding(
            "warn",
            "id ranges",
            "root's ranges in /etc/subuid and /etc/subgid are too small or differ",
            "they are not used, systemd's range for containers is: give root the same 65536 ids or more in both",
        )
    plural = "" if rooms == 1 else "s"
    return Finding("ok", "id ranges", f"room for {rooms} container{plural} in /etc/subuid and /etc/subgid")


def _ranges(text: str) -> list[tuple[int, int]]:
    """Root's (first, count) pairs of a file such as /etc/subuid."""
    found = []
    for line in text.split("\n"):
        fields = line.strip().split(":")
        if len(fields) == 3 and fields[0] in ("root", "0") and fields[1].isdigit() and fields[2].isdigit():
            found.append((int(fields[1]), int(fields[2])))
    return found
