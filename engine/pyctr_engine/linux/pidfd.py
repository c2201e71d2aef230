"""Processes by descriptor: pidfd_open(2), pidfd_send_signal(2)."""

from __future__ import annotations

import os
import signal as signals


def open_pidfd(pid: int) -> int:
    """A descriptor of a process, close-on-exec: readable once it has ended. ProcessLookupError when it is gone."""
    return os.pidfd_open(pid)


def send_signal(pidfd: int, signal: int) -> None:
    """Signal the process of a pidfd; ProcessLookupError when it has ended."""
    signals.pidfd_send_signal(pidfd, signal)
