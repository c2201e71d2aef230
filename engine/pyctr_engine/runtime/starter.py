"""The starter: serves one caller who wants a container started, from its first message to the handover.

It shares its process and its loop with others (`starters`): nothing in it waits. What is bound from the host's file
systems may hang (a dead NFS server), so a start with such binds goes on in a fork of its own.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

from pyctr_engine import events
from pyctr_engine.errors import EngineError
from pyctr_engine.linux import namespaces
from pyctr_engine.runtime import birth, passing, protocol, statefile
from pyctr_engine.runtime.loop import Loop
from pyctr_engine.runtime.orders import Descriptors, Handover
from pyctr_engine.runtime.protocol import Failure, StartRequest


class NoSpawner(Exception):
    """Nobody is there any more who could clone a monitor."""


class Reserve:
    """A monitor that waits for a container: its process, our end of the socket to it, and what is made already.

    ``id`` is that of the container for which ``birth`` was begun; empty when none was. ``was_tried``: whether it was
    to begin with one, and could or could not.
    """

    __slots__ = ("birth", "channel", "id", "pid", "was_tried")

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self.pid = pid
        self.channel = channel
        self.id = ""
        self.birth: birth.Birth | None = None
        self.was_tried = False

    def hear(self) -> bool:
        """Take an answer of the monitor's while nobody has asked for it yet; False when it is of no use any more."""
        try:
            assert self.birth is not None
            self.birth.hear_monitor()
        except (birth.BirthError, OSError, ValueError):  # ValueError: it came without its descriptor (EMFILE)
            return False
        return True

    def discard(self) -> None:
        """Let it go: it undoes what was made, and ends."""
        self.channel.close()
        if self.birth is not None:
            self.birth.undo()


class Starter:
    """One caller.

    ``take`` gives it a monitor that has begun with a container already, ``blank`` one that has not; ``relieve`` is
    told when the processors have time for another.
    """

    def __init__(
        self,
        loop: Loop,
        connection: socket.socket,
        take: Callable[[], Reserve],
        blank: Callable[[], Reserve],
        relieve: Callable[[], None],
    ) -> None:
        self.loop = loop
        self.connection = connection
        self.take = take
        self.blank = blank
        self.relieve = relieve
        self.monitor: Reserve | None = None
        self.birth: birth.Birth | None = None
        self.request: StartRequest | None = None
        self.memfd = -1
        self.began = 0.0
        self.proceeding = self.letting_go = False
        self.listener: socket.socket | None = None
        self.held_ports: list[socket.socket] = []
        self.failure: Failure | None = None
        self.ended: Callable[[], None] = _nothing
        loop.add(connection.fileno(), select.EPOLLIN, self._on_caller)

    # -- events -------------------------------------------------------------------------------------------------

    def _on_caller(self, _: int) -> None:
        with self._failing():
            kind, memfd = self._receive()
            if kind == protocol.HELLO and self.monitor is None:
                self._take_monitor(self.take())
                self.connection.sendall(protocol.frame(protocol.OFFER, self.monitor_taken.id.encode()))
            elif kind == protocol.START and memfd >= 0 and self.request is None:
                self.loop.remove(self.connection.fileno())
                self.memfd = memfd
                self.request = StartRequest.decode(_read(memfd))
                self._begin()
                if _may_hang(self.request):
                    self._go_on_in_child()
                else:
                    self._advance()
            else:  # whoever asked has gone, or speaks something else
                self._end()

    def _on_monitor(self, _: int) -> None:
        with self._failing():
            assert self.birth is not None
            self.birth.hear_monitor()
            self._advance()

    def _on_init(self, _: int) -> None:
        with self._failing():
            assert self.birth is not None
            if self.birth.hear_init():
                self._started()

    def part(self) -> None:
        """There will be no monitor for it: unless its start is under way, let the caller find another starter."""
        if self.request is None:
            self._end()

    # -- the start ----------------------------------------------------------------------------------------------

    @property
    def monitor_taken(self) -> Reserve:
        """The monitor of this start."""
        assert self.monitor is not None
        return self.monitor

    def _take_monitor(self, reserve: Reserve) -> None:
        self.monitor, self.birth = reserve, reserve.birth
        self.loop.add(reserve.channel.fileno(), select.EPOLLIN, self._on_monitor)

    def _begin(self) -> None:
        """Have init cloned, unless one that waits in reserve was taken and will do."""
        assert self.request is not None
        self.began = time.monotonic()
        wanted = self.request.preparation()
        if self.birth is not None:
            if self.request.id != self.monitor_taken.id or not self.birth.preparation.serves(wanted):
                raise birth.BirthError(Failure("prepare", "it is not what was offered", 0, "", 125))
            self.birth.adapt(wanted)
            return
        if self.monitor is None:
            self._take_monitor(self.blank())
        self.birth = birth.Birth(wanted, self.monitor_taken.channel)
        self.birth.begin()

    def _advance(self) -> None:
        """Take the steps that are possible by now."""
        assert self.birth is not None
        if self.request is None or not self.birth.pid:
            return
        if not self.proceeding:
            self.proceeding = True
            self.birth.proceed(self.request, self.memfd)
            self.birth.steps.begin("monitor socket")
            self.listener = protocol.listen(self.request.run_dir)
            self._hold_ports()
            self.birth.steps.begin("cgroups")
            self.loop.add(self.birth.control.fileno(), select.EPOLLIN, self._on_init)
        if not self.birth.joining and not self.letting_go:
            self.letting_go = True
            self.birth.let_go()

    def _started(self) -> None:
        """Init has become the program: record it, answer, hand over."""
        assert self.birth is not None
        assert self.request is not None
        assert self.listener is not None
        request, born = self.request, self.birth
        state = self._state()
        state.update(
            state="running",
            pid=born.pid,
            pid_start=namespaces.start_time(born.pid),
            started_at=time.time(),
            start_ms=round((time.monotonic() - self.began) * 1000, 3),
            interface=request.network.interface if request.network else "",
            plain_binds=born.plain_binds,
            limits=request.limits,
        )
        # One that goes at its end (--rm) needs no copy that outlives a reboot, unless it lives for a while.
        statefile.write(state, *([] if request.reap else [request.state_dir]), request.run_dir)
        with contextlib.suppress(OSError):  # whoever asked may have gone: that is no reason to end it
            answer = {"pid": born.pid, "plain_binds": born.plain_binds}
            self.connection.sendall(protocol.frame_json(protocol.STARTED, answer))
        events.append(request.events_dir, "container", "start", request.id, request.name)
        trace = self._trace()
        descriptors = Descriptors(
            self.connection.fileno(), self.memfd, self.listener.fileno(), born.kept, born.streams
        )
        with contextlib.suppress(OSError):  # without its monitor a container ends
            self._handover(state, trace if request.reap else []).send(
                self.monitor_taken.channel, descriptors, [held.fileno() for held in self.held_ports]
            )
        if not request.reap:
            statefile.write_trace(trace, request.state_dir)
        self._end()

    def _trace(self) -> list[list[Any]]:
        assert self.birth is not None
        began = self.began
        return [
            [name, round((a - began) * 1000, 3), round((b - began) * 1000, 3)] for name, a, b in self.birth.steps.done
        ]

    def _handover(self, state: dict[str, Any], trace: list[list[Any]]) -> Handover:
        assert self.request is not None
        request = self.request
        return Handover(
            id=request.id,
            name=request.name,
            run_dir=request.run_dir,
            state_dir=request.state_dir,
            events_dir=request.events_dir,
            state=state,
            trace=trace,
            tty=request.tty,
            attach=request.attach,
            log=request.log,
            restart=request.restart,
            health=request.health,
            unified=request.cgroup.unified,
            directories=request.cgroup.directories,
            oom=request.cgroup.oom,
            monitor_directories=request.cgroup.monitor_directories,
            monitor_attach=request.cgroup.monitor_attach,
            sweeps=not request.new & namespaces.CLONE_NEWPID,
            reap=request.reap,
        )

    # -- its failure and its end --------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        """Turn what goes wrong into an answer to the caller."""
        step = self.birth.steps.current if self.birth else "prepare"
        try:
            yield
        except NoSpawner:  # nothing was begun: who has no answer finds another starter, with a spawner
            self._end()
        except birth.BirthError as error:
            self._refuse(error.failure)
        except EngineError as error:
            self._refuse(Failure(self._step(step), error.message, 0, "", 125))
        except OSError as error:
            path = error.filename if isinstance(error.filename, str) else os.fsdecode(error.filename or b"")
            self._refuse(Failure(self._step(step), error.strerror or str(error), error.errno or 0, path, 125))
        except Exception as error:  # noqa: BLE001 - a fault of ours must not end the others' starts, or leave a caller waiting
            self._refuse(Failure(self._step(step), f"{type(error).__name__}: {error}", 0, "", 125))

    def _step(self, before: str) -> str:
        return (self.birth.steps.current if self.birth else "") or before

    def _refuse(self, failure: Failure) -> None:
        """Have undone what was done, and say so, in the state file and to the caller."""
        if self.failure is not None:
            self._end()  # a fault while undoing
            return
        self.failure = failure
        if self.request is not None:
            state = {**self._state(), "state": "exited", "pid": 0, "exit_code": failure.code}
            state["finished_at"] = time.time()
            statefile.write({**state, "error": failure.describe()}, self.request.state_dir, self.request.run_dir)
            with contextlib.suppress(OSError):
                os.unlink(f"{self.request.run_dir}/monitor.sock")
        if self.monitor is None:
            self._say_failed()
            return
        channel = self.monitor.channel
        for held in (self.connection, channel, *([self.birth.control] if self.birth else [])):
            self.loop.remove(held.fileno())
        channel.shutdown(socket.SHUT_WR)  # it undoes all then, and ends
        self.loop.add(channel.fileno(), select.EPOLLIN, self._on_undone)

    def _on_undone(self, _: int) -> None:
        with self._failing():
            message, fds = passing.receive(self.monitor_taken.channel)
            for fd in fds:
                os.close(fd)
            if not message:
                self._say_failed()

    def _say_failed(self) -> None:
        assert self.failure is not None
        with contextlib.suppress(OSError):
            self.connection.sendall(protocol.frame_json(protocol.FAILED, self.failure._asdict()))
        self._end()

    def _end(self) -> None:
        """Let go of everything."""
        self.relieve()
        sockets = [self.connection, *self.held_ports]
        if self.listener is not None:
            sockets.append(self.listener)
        if self.monitor is not None:
            sockets.append(self.monitor.channel)
        if self.birth is not None:
            sockets.append(self.birth.control)
            self.birth.forget()
        for held in sockets:
            if held.fileno() >= 0:
                self.loop.remove(held.fileno())
                held.close()
        if self.memfd >= 0:
            os.close(self.memfd)
            self.memfd = -1
        ended, self.ended = self.ended, _nothing  # it refers to us
        ended()

    # -- parts --------------------------------------------------------------------------------------------------

    def _receive(self) -> tuple[bytes, int]:
        """The caller's next message and its descriptor; ``(b"", -1)`` at its end."""
        try:
            message, ancillary, _, _ = self.connection.recvmsg(1, socket.CMSG_LEN(4), socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            return b"", -1
        if not ancillary:
            return message, -1
        (fd,) = struct.unpack("i", ancillary[0][2][:4])
        return message, int(fd)

    def _state(self) -> dict[str, Any]:
        assert self.request is not None
        pid = started = 0
        if self.monitor is not None:
            with contextlib.suppress(OSError):  # it has gone
                started = namespaces.start_time(self.monitor.pid)
                pid = self.monitor.pid
        return {
            "id": self.request.id,
            "state": "created",
            "monitor_pid": pid,
            "monitor_start": started,
            "boot": namespaces.boot_id(),
        }

    def _hold_ports(self) -> None:
        """Bind the published ports, so that no other program takes them and a taken one is an error now."""
        assert self.request is not None
        network = self.request.network
        for kind, host_ip, port in network.ports if network else []:
            held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
            self.held_ports.append(held)
            try:
                _bind(held, (host_ip or "0.0.0.0", port))
                if network and network.namespace and kind == "tcp":
                    held.listen(1)  # what leads into a user's network looks for ports that are listened on
            except OSError as error:
                where = f"{host_ip or '0.0.0.0'}:{port}/{kind}"
                raise birth.BirthError(
                    Failure("publish port", error.strerror or str(error), error.errno or 0, where, 125)
                ) from error

    def _go_on_in_child(self) -> None:
        """Leave the rest to a fork with a loop of its own; the others' starts go on without it."""
        assert self.birth is not None
        if os.fork():  # it is reaped by the kernel: see `Starters.serve`
            self._end()
            return
        try:
            kept = {
                self.connection.fileno(),
                self.monitor_taken.channel.fileno(),
                self.birth.control.fileno(),
                self.memfd,
            }
            namespaces.close_all_but(kept | ({self.birth.pidfd} - {-1}))
            self.loop = Loop()
            self.ended = self.loop.stop
            self.relieve = _nothing
            self.loop.add(self.monitor_taken.channel.fileno(), select.EPOLLIN, self._on_monitor)
            with self._failing():
                self._advance()
            self.loop.run()
        finally:
            os._exit(0)


def _nothing() -> None:
    """Nobody has to be told."""


def _may_hang(request: StartRequest) -> bool:
    """Whether something is bound that is neither ours nor a volume."""
    return any(bind.recursive for bind in request.binds)


def _read(memfd: int) -> bytes:
    return os.pread(memfd, os.fstat(memfd).st_size, 0)


def _bind(held: socket.socket, where: tuple[str, int]) -> None:
    """Bind; what is left of a server's closed connections (TIME_WAIT) is no reason to refuse, a listener is."""
    try:
        held.bind(where)
    except OSError as error:
        if error.errno != errno.EADDRINUSE or held.type == socket.SOCK_DGRAM:
            raise
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(where)
