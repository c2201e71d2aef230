"""Processes by descriptor: pidfd_open(2), pidfd_send_signal(2)."""

from __future__ import annotations

import errno
import os
import signal as signals


def open_pidfd(pid: int) -> int:
    """A descriptor of a process, close-on-exec: readable once it has ended. ProcessLookupError when it is gone."""
    return os.pidfd_open(pid)


def send_signal(pidfd: int, signal: int) -> None:
    """Signal the process of a pidfd; ProcessLookupError when it has ended."""
    signals.pidfd_send_signal(pidfd, signal)


def pid_of(pidfd: int) -> int:
    """The process that a pidfd is; ProcessLookupError when it has ended. Source: proc_pid_fdinfo(5)."""
    with open(f"/proc/self/fdinfo/{pidfd}") as file:
        pid = next(int(line.split()[1]) for line in file if line.startswith("Pid:"))
    if pid <= 0:
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
    return pid
