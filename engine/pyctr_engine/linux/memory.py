"""This process's memory. Source: madvise(2), proc_pid_maps(5)."""

from __future__ import annotations

import contextlib

from pyctr_engine.linux.libc import syscall

_MADV_POPULATE_WRITE = 23


def unshare() -> None:
    """Make private copies now of all pages that are shared with the parent since the fork, not one by one at need.

    Quiet where the kernel can't (before Linux 5.14): it only takes longer then.
    """
    with open("/proc/self/maps") as file:
        ranges = [line.split()[0].split("-") for line in file if line.split()[1] == "rw-p"]
    with contextlib.suppress(OSError):
        for first, end in ranges:
            start = int(first, 16)
            syscall("madvise", start, int(end, 16) - start, _MADV_POPULATE_WRITE)
