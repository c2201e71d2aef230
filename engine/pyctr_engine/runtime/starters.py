"""The process that starts containers: warm, for it forks nothing, and shared by all callers of one spawner.

A process that forks shares its memory anew each time, and pays for it page by page afterwards (2 to 3 µs each). So
the spawner, which clones monitors, does nothing else, and this one, which works, has them cloned there.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import struct
from collections.abc import Callable

from pyctr_engine.cgroups import layout, place
from pyctr_engine.errors import EngineError
from pyctr_engine.linux import namespaces
from pyctr_engine.model.spec import Resources
from pyctr_engine.runtime import passing, protocol
from pyctr_engine.runtime.birth import Birth
from pyctr_engine.runtime.loop import Loop
from pyctr_engine.runtime.protocol import Cgroup, Preparation
from pyctr_engine.runtime.starter import NoSpawner, Reserve, Starter

LEAVE = b"."
"""What the spawner says when it wants to leave."""
_QUIET_SECONDS = 0.03
"""Without work for this long, the reserve begins with the next container."""
_PATIENCE = 1.0
"""Seconds that the last callers have to say what they want started, when the spawner leaves."""


class Starters:
    """Serves callers, a `Starter` each, and keeps a monitor in reserve for the next, with namespaces and cgroups.

    ``spawner`` is asked for a monitor by a message with its end of a socket, and answers with its pid, or an errno
    below 0; unasked it says LEAVE, once.
    ``network`` is the network namespace to work in, empty for the spawner's: an ordinary user's bridges are there.
    ``note`` is a file that tells the id of the container for which the reserve is made.
    """

    def __init__(
        self, listener: socket.socket, spawner: socket.socket, cgroup_parent: str, note: str, network: str = ""
    ) -> None:
        self.listener = listener
        self.spawner = spawner
        self.cgroup_parent = cgroup_parent
        self.note = note
        self.network = network
        self.loop = Loop()
        self.reserve: Reserve | None = None
        self.active: set[Starter] = set()
        self.layout: layout.Layout | None = None
        with contextlib.suppress(EngineError):  # without, nothing is made in reserve, and a start will say why
            self.layout = place.here(cgroup_parent)

    def serve(self) -> None:
        """Return when the spawner has gone, or wants to, and everybody who connected before is served."""
        namespaces.set_name("pyctr-starter")
        if self.network:
            namespaces.join_network(self.network)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for our forks: the kernel reaps them
        self.loop.add(self.listener.fileno(), select.EPOLLIN, self._on_caller)
        self.loop.add(self.spawner.fileno(), select.EPOLLIN, self._on_spawner)
        self._replenish()
        while self.loop.is_running:
            idle = self.reserve is None or self.reserve.was_tried
            if not self.loop.turn(-1 if idle else _QUIET_SECONDS) and self.reserve is not None:
                self._prepare(self.reserve)
        self.loop.remove(self.spawner.fileno())
        while self.loop.turn(self._patience()):
            pass

    def _patience(self) -> float:
        """How long to wait for something to happen before going, in seconds; -1 while a start is under way."""
        if any(starter.request is not None for starter in self.active):
            return -1
        return _PATIENCE if self.active else 0.0

    def _on_spawner(self, _: int) -> None:
        """It wants to leave, or was killed: then there will be no more monitors, and who comes must find another."""
        try:
            message = self.spawner.recv(1, socket.MSG_DONTWAIT)
        except BlockingIOError:  # `_blank` has read it already
            return
        self.loop.stop()
        if message != LEAVE:
            self.loop.remove(self.listener.fileno())
            self.listener.close()
            for starter in list(self.active):
                starter.part()

    def _on_caller(self, _: int) -> None:
        try:
            connection, _address = self.listener.accept()
        except OSError:  # the caller has gone
            return
        _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid != os.geteuid():
            connection.close()
            return
        starter = Starter(self.loop, connection, self._take, self._blank, self._replenish)
        starter.ended = self._forget(starter)
        self.active.add(starter)

    def _forget(self, starter: Starter) -> Callable[[], None]:
        return lambda: self.active.discard(starter)

    def _take(self) -> Reserve:
        """A monitor that has begun with a container, if it can. Raises OSError, NoSpawner."""
        taken = self.reserve
        if taken is not None and taken.birth is not None:
            self.loop.remove(taken.channel.fileno())
            self.reserve = None
            if taken.birth.is_alive():
                return taken
            taken.discard()  # the kernel was out of memory, perhaps
        taken = self._blank()
        self._prepare(taken)
        return taken

    def _blank(self) -> Reserve:
        """A monitor that has begun with nothing. Raises OSError, NoSpawner."""
        if self.reserve is not None and self.reserve.birth is None:
            taken, self.reserve = self.reserve, None
            return taken
        ours, theirs = passing.pair()
        passing.tell(self.spawner, b"?", [theirs.fileno()])
        theirs.close()
        message, _ = passing.receive(self.spawner)
        if message == LEAVE:  # our question met it half way
            self.loop.stop()
            message, _ = passing.receive(self.spawner)
        if not message:
            raise NoSpawner
        pid = int(message)
        if pid < 0:
            raise OSError(-pid, os.strerror(-pid))
        return Reserve(pid, ours)

    def _replenish(self) -> None:
        """Have a monitor in reserve, unless we are about to go."""
        if self.reserve is None and self.loop.is_running:
            with contextlib.suppress(OSError, NoSpawner):  # a start will say so
                self.reserve = self._blank()

    def _prepare(self, reserve: Reserve) -> None:
        """Let a monitor begin with a container like most: one without limits, with namespaces of its own.

        The one in reserve does so only when there is no other work: joining cgroups holds a lock that a start and an
        end need as well, for 6 to 15 ms if nobody had it for a while.
        """
        reserve.was_tried = True
        if self.layout is None:
            return
        id = os.urandom(32).hex()
        try:
            plan = self.layout.plan(self.cgroup_parent, id, Resources())
            cgroup = Cgroup(self.layout.mode, **json.loads(json.dumps(plan.as_json())))  # lists, as in a request
            birth = Birth(Preparation(protocol.OWN_NAMESPACES, [], cgroup, []), reserve.channel)
            self._write_note(id)
            birth.begin()
        except (EngineError, OSError):  # a start that begins with nothing will say why
            return
        reserve.id, reserve.birth = id, birth
        if reserve is self.reserve:
            self.loop.add(reserve.channel.fileno(), select.EPOLLIN, self._on_reserve)

    def _on_reserve(self, _: int) -> None:
        assert self.reserve is not None
        if not self.reserve.hear():
            self.loop.remove(self.reserve.channel.fileno())
            self.reserve.discard()
            self.reserve = None

    def _write_note(self, id: str) -> None:
        fd = os.open(self.note, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, id.encode())
        finally:
            os.close(fd)
