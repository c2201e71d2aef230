"""Processes by descriptor: pidfd_open(2), pidfd_send_signal(2)."""

from __future__ import annotations

from pyctr_engine.linux.libc import syscall


def open_pidfd(pid: int) -> int:
    """A descriptor of a process: readable once it has ended."""
    return syscall("pidfd_open", pid, 0)


def send_signal(pidfd: int, signal: int) -> None:
    """Signal the process of a pidfd; ProcessLookupError when it has ended."""
    syscall("pidfd_send_signal", pidfd, signal, None, 0)
