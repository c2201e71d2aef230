"""Hearing of OOM kills at once, by a descriptor that an epoll waits for, not by looking again and again.

v2: ``memory.events`` is ready (POLLPRI) when one of its counters has grown; the kernel says so every 10 ms at most.
v1: an eventfd that ``cgroup.event_control`` ties to ``memory.oom_control`` is ready when a cgroup stands at its
limit, a moment *before* something is killed: `RECHECKS`. It says nothing when the whole host is out of memory.
Sources: admin-guide/cgroup-v2.rst ("Memory Interface Files"), admin-guide/cgroup-v1/memory.rst (sections 9 and 10).
"""

from __future__ import annotations

import contextlib
import os
import select

from pyctr_engine.cgroups import files

RECHECKS = (0.002, 0.01, 0.05, 0.2, 1.0)
"""Seconds after a word of v1's at which its count is looked at again, until it has grown."""


class Watch:
    """One container's.

    Attributes:
        fd, mask: What to wait for.
        comes_early: Whether it tells before the kill is counted.
    """

    __slots__ = ("_path", "comes_early", "fd", "mask")

    def __init__(self, path: str) -> None:
        """``path`` is a plan's ``oom``. Raises OSError: it is gone, or there are no more descriptors."""
        self._path = path
        self.comes_early = path.endswith("/memory.oom_control")
        if not self.comes_early:
            self.fd, self.mask = os.open(path, os.O_RDONLY | os.O_CLOEXEC), select.EPOLLPRI
            return
        self.fd, self.mask = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK), select.EPOLLIN
        try:
            control = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                files.write(f"{os.path.dirname(path)}/cgroup.event_control", f"{self.fd} {control}")
            finally:
                os.close(control)
        except OSError:
            os.close(self.fd)
            raise

    def kills(self) -> int:
        """How many were killed so far; after it, `fd` is ready again only when there is news.

        Raises OSError: the cgroup is gone.
        """
        if self.comes_early:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self.fd)
            text = files.read(self._path)
        else:
            text = os.pread(self.fd, 4096, 0).decode("ascii", "replace")
        found = text.partition("oom_kill ")[2].split()  # not oom_kill_disable, nor oom_group_kill
        return int(found[0]) if found else 0

    def close(self) -> None:
        """Hear no more."""
        os.close(self.fd)
