"""Restarts: when a container whose program has ended is started again, and how, without an engine.

Its monitor keeps the user and network namespaces, the cgroups, the published ports and the log; the pid, mount, UTS
and IPC namespaces end with the first process and are made anew. A helper, forked by the monitor, does the work of a
starter (`birth`), orders init from the monitor as one does (`orders`), and ends.
"""

from __future__ import annotations

import contextlib
import json
import marshal
import os
import select
import socket
from typing import NoReturn

from pyctr_engine.errors import EngineError
from pyctr_engine.linux import namespaces
from pyctr_engine.runtime import birth, orders, passing
from pyctr_engine.runtime.exec import Launch
from pyctr_engine.runtime.protocol import Failure, Join, StartRequest

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 60.0
HEALTHY_SECONDS = 10.0
_SHARED_ANEW = namespaces.CLONE_NEWPID | namespaces.CLONE_NEWIPC | namespaces.CLONE_NEWUTS
"""docker's figures: the pause doubles with each restart; after a run of this long it begins from the first again.

How often `on-failure` has tried is never forgotten, as in docker.
"""


class Policy:
    """Decides; ``name`` and ``most`` are those of `RestartPolicy`."""

    __slots__ = ("failures", "most", "name", "pause")

    def __init__(self, name: str, most: int) -> None:
        self.name = name
        self.most = most
        self.failures = 0
        self.pause = FIRST_PAUSE

    def next_pause(self, code: int, lived: float) -> float | None:
        """Seconds until the next start, after it lived for so many and ended with ``code``; ``None`` for no other."""
        if lived >= HEALTHY_SECONDS:
            self.pause = FIRST_PAUSE
        wanted = self.name in ("always", "unless-stopped") or (self.name == "on-failure" and code != 0)
        if not wanted or (self.name == "on-failure" and 0 < self.most <= self.failures):
            return None
        pause = self.pause
        self.failures += 1
        self.pause = min(2 * pause, LONGEST_PAUSE)
        return pause


def begin(request: int) -> Launch:
    """Begin to start the program of ``request``, a descriptor of a `StartRequest`, again.

    The channel speaks as a starter does, and then AGAIN or REFUSED, or nothing more.
    """
    ours, theirs = passing.pair()
    helper = os.fork()
    if helper == 0:
        _helper(request, theirs)
    theirs.close()
    return Launch(ours, helper)


def _helper(memfd: int, channel: socket.socket) -> NoReturn:
    """In a child of the monitor: do all, answer, end."""
    namespaces.close_all_but({memfd, channel.fileno()})
    born = None
    try:
        request = StartRequest.decode(os.pread(memfd, os.fstat(memfd).st_size, 0))
        born = birth.Birth(request.preparation(), channel)
        _start(born, request, memfd)
        first = born.steps.done[0][1]
        trace = [[name, round((a - first) * 1000, 3), round((b - first) * 1000, 3)] for name, a, b in born.steps.done]
        orders.send_again(channel, orders.Again(born.pid, born.plain_binds, trace), born.streams)
    except birth.BirthError as error:
        _refuse(channel, error.failure)
    except EngineError as error:
        _refuse(channel, Failure(_step(born), error.message, 0, "", 125))
    except OSError as error:
        path = error.filename if isinstance(error.filename, str) else ""
        _refuse(channel, Failure(_step(born), error.strerror or str(error), error.errno or 0, path, 125))
    except BaseException as error:  # noqa: BLE001 - the last frame of this process: report, then go
        _refuse(channel, Failure(_step(born), f"{type(error).__name__}: {error}", 0, "", 125))
    os._exit(0)


def _step(born: birth.Birth | None) -> str:
    return (born.steps.current if born else "") or "prepare"


def _refuse(channel: socket.socket, failure: Failure) -> None:
    with contextlib.suppress(OSError):
        passing.send(channel, orders.REFUSED + marshal.dumps(tuple(failure)))


def _sharing(join: Join, run_dir: str) -> tuple[int, int, int]:
    """The namespaces of a container as it runs now: it may have been started again itself. Raises BirthError."""
    path = f"{os.path.dirname(run_dir)}/{join.id}/state.json"
    try:
        with open(path) as file:
            state = json.load(file)
        if state["state"] in ("running", "paused"):
            return join.flags & _SHARED_ANEW, int(state["pid"]), int(state["pid_start"])
    except (OSError, ValueError, KeyError):
        pass
    reason = f"container {join.id[:12]}, whose namespaces are shared, does not run"
    raise birth.BirthError(Failure("namespaces", reason, 0, "", 125))


def _start(born: birth.Birth, request: StartRequest, memfd: int) -> None:
    """Drive a birth to its end, with nothing else to do meanwhile. Raises what `birth.Birth` raises."""
    born.begin_again([_sharing(join, request.run_dir) for join in request.joins if join.flags & _SHARED_ANEW])
    monitor, control = born.monitor.fileno(), born.control.fileno()
    poller = select.poll()
    poller.register(monitor, select.POLLIN)
    proceeding = letting_go = False
    while True:
        for fd, _ in poller.poll():
            if fd == monitor:
                born.hear_monitor()
            elif born.hear_init():
                return
        if born.pid and not proceeding:
            proceeding = True
            born.proceed(request, memfd, again=True)
            poller.register(control, select.POLLIN)
        if proceeding and not born.joining and not letting_go:
            letting_go = True
            born.let_go()
