"""Pseudo-terminals of a devpts instance that is not the host's. Source: pts(4), ioctl_tty(2)."""

from __future__ import annotations

import fcntl
import os
import struct
import termios

_TIOCSPTLCK = 0x40045431
_TIOCGPTPEER = 0x5441
_TIOCGPTN = 0x80045430


def open_pair(ptmx: str) -> tuple[int, int]:
    """Open a new pair through the multiplexer ``ptmx``: (master, slave), both close-on-exec.

    The slave is opened through the master (TIOCGPTPEER, Linux 4.13), so that no path is trusted.
    """
    master = os.open(ptmx, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
    slave = fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    return master, slave


def number(master: int) -> int:
    """The pair's number: its slave is ``/dev/pts/<number>``."""
    (value,) = struct.unpack("i", fcntl.ioctl(master, _TIOCGPTN, struct.pack("i", 0)))
    return int(value)


def set_size(fd: int, rows: int, columns: int) -> None:
    """Set a terminal's size; its foreground process group gets SIGWINCH."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def make_controlling(slave: int) -> None:
    """Make ``slave`` the controlling terminal of this session's leader."""
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
