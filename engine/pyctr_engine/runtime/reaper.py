"""``init: true``: a PID 1 that passes signals on and reaps orphans, and ends as its only child ends."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence
from typing import NoReturn

from pyctr_engine.linux import namespaces


def wrap(argv: Sequence[str], program: str) -> list[str]:
    """The program's path followed by its arguments, for `run`."""
    return [program, *argv]


def run(wrapped: Sequence[str], env: dict[str, str]) -> NoReturn:
    """Fork the program, then serve as PID 1 until it ends; also where another container's first process is that."""
    with contextlib.suppress(OSError):  # by a filter of the user's own
        namespaces.prctl(namespaces.PR_SET_CHILD_SUBREAPER, 1)
    passed = [n for n in range(1, 32) if n not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD)]
    signal.pthread_sigmask(signal.SIG_BLOCK, [*passed, signal.SIGCHLD])
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.setpgid(0, 0)
        _take_terminal()
        try:
            os.execve(wrapped[0], list(wrapped[1:]), env)
        except OSError:
            os._exit(126)
    namespaces.set_name("init")
    namespaces.close_from(3)
    while True:
        number = signal.sigwait([*passed, signal.SIGCHLD])
        if number != signal.SIGCHLD:
            with contextlib.suppress(PermissionError):  # it has become another user, by a set-user-id program
                os.kill(child, number)
            continue
        code = _reap(child)
        if code is not None:
            os._exit(code)


def _take_terminal() -> None:
    """Make the program's group the terminal's foreground group, if there is a terminal."""
    if not os.isatty(0):
        return
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(0, os.getpgrp())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)


def _reap(child: int) -> int | None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return 0
        if pid == 0:
            return None
        if pid == child:
            return namespaces.exit_code(status)
