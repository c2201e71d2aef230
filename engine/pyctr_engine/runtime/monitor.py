"""The monitor: looks after one container from its start to its end, whoever comes or goes.

It owns the first process's pidfd, the standard streams, the log, the exec sessions, the health checks and
``state.json``, starts the container again when its policy says so, and serves ``monitor.sock`` (see `protocol`).
One epoll; a second thread writes to the disk (`disk`). When it has nothing left to look after, it ends.

What takes much code is done elsewhere: a start by the starters' process (`starter`), which hands over what it made;
execs and restarts by children that end soon (`exec`, `restarts`). So the monitor waits for nobody, and most of its
memory stays shared with others.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import signal
import socket
import struct
import time
from collections import deque
from typing import Any

from pyctr_engine import events
from pyctr_engine.cgroups import control as control_groups
from pyctr_engine.errors import EngineError
from pyctr_engine.linux import namespaces
from pyctr_engine.linux import pidfd as pidfds
from pyctr_engine.model.status import State
from pyctr_engine.runtime import cloning, health, logs, orders, passing, protocol, restarts, statefile
from pyctr_engine.runtime import exec as execs
from pyctr_engine.runtime.disk import Disk
from pyctr_engine.runtime.loop import Loop, Timer
from pyctr_engine.runtime.orders import Descriptors, Handover
from pyctr_engine.runtime.program import Client, Program
from pyctr_engine.runtime.sessions import Session

_FLUSH_SECONDS = 5.0
_DISK_SECONDS = 10.0
"""How long the end of a container waits for its disk."""
_SETTLE_SECONDS = 0.03
"""What a container is not waited for is done when it has lived this long; many live shorter."""
_LOG_SECONDS = 2.0
_STRANGER_SECONDS, _STRANGER_TRIES = 0.1, 100
_ENDED_SESSIONS = 8
"""So many that have ended are still listed."""


def main(fd: int) -> None:
    """Wait for a start and look after what comes of it. Runs in a clone of the spawner, before anybody asks.

    ``fd`` is a socket that leads to a starter; see `orders`.
    """
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fd)
    os.setsid()
    _set_name(b"pyctr-monitor")
    handed = cloning.obey(channel)
    channel.close()
    if handed is not None:
        Monitor(*handed).run()


def _set_name(name: bytes) -> None:
    """By a file, because a call by ctypes would touch memory that can be shared. Source: proc_pid_comm(5)."""
    fd = os.open("/proc/self/comm", os.O_WRONLY | os.O_CLOEXEC)
    os.write(fd, name)
    os.close(fd)


def pass_on(number: int) -> bool:
    """Pass a signal on to the container that this process looks after; False when it is no monitor (yet).

    Whoever ends monitors shuts the machine down: the container is not started again by this one.
    """
    if _monitor is None:
        return False
    _monitor.note_signal(number)
    return True


def on_hangup(*_: object) -> None:
    """SIGHUP's handler, set in the spawner too: nobody but a monitor takes notice."""
    if _monitor is not None:
        _monitor.note_signal(signal.SIGHUP)


def _run_unpublishing(request: int) -> None:
    from pyctr_engine.linux import nftables

    network = protocol.StartRequest.decode(os.pread(request, os.fstat(request).st_size, 0)).network
    if network and network.namespace:
        namespaces.join_network(network.namespace)
    for commands in network.unpublish if network else ():
        with contextlib.suppress(EngineError):  # another container's by now, or the table is gone
            nftables.run(commands)


_monitor: Monitor | None = None


class Monitor:
    """One container's monitor."""

    def __init__(self, pidfd: int, given: Handover, fds: Descriptors, ports: list[int]) -> None:
        self.given = given
        self.state = given.state
        self.held_ports = ports
        self.request = fds.request
        self.kept = fds.kept
        self.loop = Loop()
        self.pidfd = pidfd
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fds.listener)
        self.sessions: dict[str, Session] = {}
        self.ended_sessions: deque[Session] = deque(maxlen=_ENDED_SESSIONS)
        self.launches: dict[execs.Launch, tuple[Client, Session]] = {}
        self.waiters: list[Client] = []
        self.clients: set[Client] = set()
        self.holders: set[Client] = set()
        self.overdue = False
        self.reaps = False
        self.settled = False
        self.ending = False
        self.disk = Disk(self.loop, self._relieve)
        self.log = logs.LogWriter(given.state_dir, logs.Rotation(*given.log))
        self.policy = restarts.Policy(*given.restart)
        self.restart_timer: Timer | None = None
        self.restart: execs.Launch | None = None
        self.began_at = 0.0
        self.newborn = (0, -1)
        self.signals: list[int] = []
        self.wake = -1
        self.log_timer: Timer | None = None
        self.health: health.Health | None = None
        self.health_results: list[dict[str, Any]] = []
        self.ooms = 0
        self.untold_kills = 0
        self.main: Program | None = None
        self._begin_program(given.state["pid"], pidfd, fds.streams)
        self._greet(fds.connection)

    # -- the life of a container --------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until it has ended, record how."""
        global _monitor
        with contextlib.suppress(OSError):  # without, signals are seen at the next thing that happens
            self.wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            self.loop.add(self.wake, select.EPOLLIN, self._on_signal)
        _monitor = self
        self.loop.add(self.listener.fileno(), select.EPOLLIN, self._accept)
        self.loop.call_later(_SETTLE_SECONDS, self.settle)
        self.loop.run()
        self._finish()

    def _begin_program(self, pid: int, pidfd: int, streams: orders.Streams) -> None:
        self.pidfd = pidfd
        self.main = Program(
            self.loop, pid, pidfd, streams, self.given.tty, self._main_ended, self._log, lambda: self.disk.is_full
        )

    def _greet(self, fd: int) -> None:
        """The caller has its answer already; with ``attach``, its connection becomes the first client."""
        assert self.main is not None
        if self.given.attach:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fd)
            connection.setblocking(False)
            client = Client(self.loop, connection, self._on_frame, self._on_gone)
            self.clients.add(client)
            self.main.attach(client, owns_input=True)
        else:
            os.close(fd)
        self.main.begin()

    def _log(self, kind: bytes, data: bytes) -> None:
        if not self.given.log[0]:
            return
        stream = "stderr" if kind == protocol.STDERR else "stdout"
        self.disk.submit(functools.partial(self.log.write, stream, data, time.time()), len(data))

    def _relieve(self) -> None:
        """The disk has taken most of what waited for it."""
        if self.main is not None:
            self.main.relieve()

    def note_signal(self, number: int) -> None:
        """In a signal's handler: nothing is done here, for anything may be half done just now."""
        self.signals.append(number)
        if self.wake >= 0:
            with contextlib.suppress(OSError):
                os.eventfd_write(self.wake, 1)

    def _on_signal(self, _: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.wake)
        while self.signals:
            number = self.signals.pop(0)
            if number == signal.SIGHUP:
                self.listen_anew()
                continue
            self.signal(number)
            self.end_after_this()

    def listen_anew(self) -> None:
        """Make socket and state file again: somebody wiped the run directory."""
        if self.state["state"] == State.EXITED:
            return
        directory = self.given.run_dir
        with contextlib.suppress(OSError):
            os.makedirs(directory, 0o700, exist_ok=True)
            listener = protocol.listen(directory)
            self.loop.remove(self.listener.fileno())
            self.listener.close()
            self.listener = listener
            self.loop.add(listener.fileno(), select.EPOLLIN, self._accept)
            statefile.write(self.state, directory)
            self._write_health()

    def settle(self) -> None:
        """What need not be waited for: the monitor's own cgroup, and what outlives a reboot of one that is to go."""
        given = self.given
        if given.reap:  # most of these (--rm) have ended by now, and nobody has to clean up after them
            self.disk.submit(functools.partial(statefile.write_trace, given.trace, given.state_dir))
            self._keep_state()
        for directory in given.monitor_directories:
            with contextlib.suppress(OSError):
                os.mkdir(directory, 0o755)
        with contextlib.suppress(EngineError):  # without it only a lost run directory is harder to rebuild
            control_groups.attach(given.monitor_attach, 0)
        self.settled = True
        self._watch()

    def _watch(self) -> None:
        """Begin with health checks and the log's, for each run of the program anew."""
        if self.main is None:
            return
        given = self.given
        if given.health:
            self.health = health.Health(
                self.loop,
                health.Check(*given.health),
                self._launch_probe,
                self._can_probe,
                self._on_health,
                self._expect_strangers,
            )
            self._on_health(True)
        if given.log[2]:
            self.log_timer = self.loop.call_later(_LOG_SECONDS, self._settle_log)

    def _become(self, state: State, **changes: Any) -> None:
        """Take the next state, in memory; who calls has it written."""
        before = State(self.state["state"])
        if not before.may_become(state):
            raise ValueError(f"{before} does not become {state}")
        self.state.update(state=str(state), **changes)

    def _keep_state(self) -> None:
        """Have the durable copy written as it is now."""
        self.disk.submit(functools.partial(statefile.write, dict(self.state), self.given.state_dir))

    def _append_event(self, action: str, **attributes: str) -> None:
        given = self.given
        self.disk.submit(
            functools.partial(
                events.append, given.events_dir, "container", action, given.id, given.name, attributes, time.time()
            )
        )

    # -- its end, and what may follow -----------------------------------------------------------------------------

    def _main_ended(self, program: Program) -> None:
        """The first process has ended, and with it its pid namespace: start it again, or record how it ended."""
        self.main = None
        untold = self._take_kills()
        now = time.time()
        lived = time.monotonic() - program.began
        told: dict[str, Any] = {
            "pid": 0,
            "exit_code": program.code,
            "signal": program.signal,
            "finished_at": now,
            "oom_killed": bool(self.state.get("oom_killed") or untold),
            "limit_events": control_groups.limit_events(self.given.unified, self.given.directories),
            "lived": round(lived, 3),
        }
        self.untold_kills = untold
        self._stop_watching()
        if self.given.sweeps:
            with contextlib.suppress(EngineError):  # what can't be killed now is by the next engine call
                control_groups.kill(self.given.unified, self.given.directories, reuse=True)
        for launch in list(self.launches):
            while launch in self.launches:
                self._launched(launch)
        for session in list(self.sessions.values()):
            if session.program is not None:
                session.program.wait_for_end()
        pause = self.policy.next_pause(program.code, lived) if self._may_restart() else None
        if pause is None:
            self._end(program.code, told)
            self.reaps = bool(self.given.reap) and not (self.given.attach and program.clients)
        else:
            self._await_restart(pause, told)
        program.tell_end()
        self._tell_waiters(program.code)

    def _tell_waiters(self, code: int) -> None:
        for waiter in self.waiters:
            waiter.send(protocol.frame_json(protocol.EXIT, {"code": code}))
            waiter.close_when_sent()
        self.waiters.clear()

    def _may_restart(self) -> bool:
        """Not when somebody ended it, when it goes at its end, or without the namespaces to go back into."""
        return not self.ending and not self.given.reap and self.kept is not None

    def _end(self, code: int, told: dict[str, Any]) -> None:
        """Record the last end; nothing follows."""
        given = self.given
        self._become(State.EXITED, **told)
        # The live copy last: who reads of the end there may count on nothing more being written.
        # One that goes at its end (--rm) needs no copy that outlives a reboot.
        self.disk.finish(self._close_files, _DISK_SECONDS)
        statefile.write(self.state, given.run_dir)
        with contextlib.suppress(FileNotFoundError):  # before anybody is told: by it peers know who runs
            os.unlink(f"{given.run_dir}/monitor.sock")
        self.disk.finish(functools.partial(self._append_ends, code), _DISK_SECONDS)
        self.loop.stop()

    def _close_files(self) -> None:
        """The last that is written: lines without an end, checks, how it ended."""
        self.log.close()
        given = self.given
        if self.health_results and not given.reap:
            statefile.write_value(f"{given.state_dir}/health.json", self.health_results)
        if not given.reap:
            statefile.write(self.state, given.state_dir)

    def _append_ends(self, code: int) -> None:
        given = self.given
        if self.untold_kills:
            attributes = self._kill_attributes(self.untold_kills)
            events.append(given.events_dir, "container", "oom", given.id, given.name, attributes)
        events.append(given.events_dir, "container", "die", given.id, given.name, self._die_attributes(code))

    def _die_attributes(self, code: int) -> dict[str, str]:
        attributes = {"exitCode": str(code), "execDuration": str(int(self.state["lived"]))}
        if self.state["signal"]:
            attributes["signal"] = str(self.state["signal"])
        return attributes

    def _await_restart(self, pause: float, told: dict[str, Any]) -> None:
        """It will be started again, in so many seconds."""
        self.disk.submit(self.log.finish_lines)
        self._become(State.RESTARTING, restart_at=time.time() + pause, error="", **told)
        statefile.write(self.state, self.given.run_dir)
        self._keep_state()
        if self.untold_kills:
            self._append_event("oom", **self._kill_attributes(self.untold_kills))
        self._append_event("die", **self._die_attributes(self.state["exit_code"]))
        self.restart_timer = self.loop.call_later(pause, self._begin_restart)

    def _begin_restart(self) -> None:
        self.restart_timer = None
        self.overdue = bool(self.holders)
        if self.overdue:  # somebody works on its files: it begins when they have gone
            return
        self.began_at = time.monotonic()
        try:
            self.restart = restarts.begin(self.request)
        except OSError as error:  # no more processes, or descriptors: later there may be
            self._restart_failed(protocol.Failure("restart", error.strerror or str(error), error.errno or 0, "", 125))
            return
        self.loop.add(self.restart.channel.fileno(), select.EPOLLIN, self._on_restart)

    def _on_restart(self, _: int) -> None:
        """The helper wants init cloned, or tells what became of it."""
        assert self.restart is not None
        channel = self.restart.channel
        message, fds = passing.receive(channel)
        if message[:1] == orders.CLONE:
            order = orders.clone_order(message)
            self.newborn = cloning.give_birth(order, fds, channel, self.kept)
            if self.newborn[0]:
                cloning.join(order.procs, self.newborn[0], channel)
            return
        failure = protocol.Failure("restart", execs.LOST, 0, "", 125)
        try:
            if message[:1] == orders.AGAIN:
                self._restarted(*orders.again(message, fds))
                return
            if message[:1] == orders.REFUSED:
                failure = protocol.Failure(*orders.loads(message))
        except ValueError:  # too many files are open
            pass
        self._drop_restart()
        self._restart_failed(failure)

    def _restarted(self, again: orders.Again, streams: orders.Streams) -> None:
        _, pidfd = self.newborn
        self.newborn = (0, -1)
        self._let_go_of_helper()
        self._become(
            State.RUNNING,
            pid=again.pid,
            pid_start=namespaces.start_time(again.pid),
            started_at=time.time(),
            start_ms=round((time.monotonic() - self.began_at) * 1000, 3),
            plain_binds=again.plain_binds,
            error="",
            oom_killed=False,
            restart_count=self.state.get("restart_count", 0) + 1,
        )
        self._begin_program(again.pid, pidfd, streams)
        assert self.main is not None
        self.main.begin()
        statefile.write(self.state, self.given.run_dir)
        self._keep_state()
        self.disk.submit(functools.partial(statefile.write_trace, again.trace, self.given.state_dir))
        self._append_event("start", reason="restart")
        self._watch()

    def _restart_failed(self, failure: protocol.Failure) -> None:
        """It could not be started: try again later, if the policy has more tries, as if it had run and failed."""
        pause = self.policy.next_pause(failure.code, 0.0) if self._may_restart() else None
        told = {"error": failure.describe(), "exit_code": failure.code, "signal": 0, "finished_at": time.time()}
        told["lived"] = 0.0
        if pause is None:
            self._end(failure.code, told)
            return
        self.state.update(**told, restart_at=time.time() + pause)
        statefile.write(self.state, self.given.run_dir)
        self._keep_state()
        self.restart_timer = self.loop.call_later(pause, self._begin_restart)

    def _let_go_of_helper(self) -> None:
        assert self.restart is not None
        self.loop.remove(self.restart.channel.fileno())
        self.restart.channel.close()
        os.waitpid(self.restart.helper, 0)
        self.restart = None

    def _drop_restart(self) -> None:
        """Undo a restart that is under way."""
        self._let_go_of_helper()
        pid, pidfd = self.newborn
        if pid:
            self.newborn = (0, -1)
            with contextlib.suppress(ProcessLookupError):
                pidfds.send_signal(pidfd, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(pidfd)

    def end_after_this(self) -> None:
        """No more restarts; one that is awaited, or under way, does not take place."""
        self.ending = True
        if self.main is not None:
            return
        if self.restart is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.restart.helper, signal.SIGKILL)  # our own child, not yet waited for
            self._drop_restart()
        elif self.restart_timer is None and not self.overdue:
            return
        self.overdue = False
        self.loop.cancel(self.restart_timer)
        self.restart_timer = None
        self._end(self.state["exit_code"], {"pid": 0})
        self._tell_waiters(self.state["exit_code"])

    def _finish(self) -> None:
        """Leave nothing: cgroups, socket, log; then end, or become what removes the container."""
        self.listener.close()
        self._unpublish()
        control_groups.remove(self.given.directories)
        deadline = time.monotonic() + _FLUSH_SECONDS
        while any(client.pending for client in self.clients) and time.monotonic() < deadline:
            self.loop.turn(0.1)
        for client in list(self.clients):
            client.close()
        if self.settled:
            self._leave_cgroup()
        if self.reaps:
            os.execv(self.given.reap[0], self.given.reap)

    def _unpublish(self) -> None:
        """Lead the published ports nowhere again, then let go of them: their next owner must get its own traffic.

        In a child, because libnftables would stay in this process's memory; a container's restart needs no engine.
        """
        if not self.held_ports:
            return
        with contextlib.suppress(OSError):  # no more processes: the rules go when the next call finds it ended
            child = os.fork()
            if child == 0:
                try:
                    _run_unpublishing(self.request)
                finally:
                    os._exit(0)
            os.waitpid(child, 0)
        for held in self.held_ports:
            os.close(held)

    def _leave_cgroup(self) -> None:
        given = self.given
        for path in given.monitor_attach:
            parent = path.split("/monitors/")[0]
            leaf = f"{parent}/spawner"  # systemd's tree has no place for processes further up
            root = leaf if os.path.isdir(leaf) else parent.rsplit("/", 1)[0]
            with contextlib.suppress(EngineError):
                control_groups.attach([f"{root}/cgroup.procs"], 0)
        for directory in reversed(given.monitor_directories):
            with contextlib.suppress(OSError):
                os.rmdir(directory)

    # -- health and the log -----------------------------------------------------------------------------------------

    def _launch_probe(self, argv: list[str]) -> execs.Launch:
        command = execs.ExecCommand(argv, [], "", "", False, False, False, execs.THE_CONTAINERS)
        return execs.begin(json.dumps(command._asdict()).encode(), self.request, self.pidfd)

    def _can_probe(self) -> bool:
        return self.main is not None and not control_groups.is_frozen(self.given.unified, self.given.directories)

    def _on_health(self, changed: bool) -> None:
        assert self.health is not None
        self.state["health"] = self.health.status
        self.state["health_streak"] = self.health.streak
        self._write_health()  # first: who reads the status there finds what it comes from
        statefile.write(self.state, self.given.run_dir)
        if changed and self.health.status != health.STARTING:
            self._append_event(f"health_status: {self.health.status}")

    def _write_health(self) -> None:
        if self.health is not None:
            statefile.write_value(f"{self.given.run_dir}/health.json", self.health.results)

    def _settle_log(self) -> None:
        """Have the log tell of the lines that its rate has dropped, though no other line comes."""
        if self.main is not None:
            self.disk.submit(self.log.settle)
            self.log_timer = self.loop.call_later(_LOG_SECONDS, self._settle_log)

    def _stop_watching(self) -> None:
        self.loop.cancel(self.log_timer)
        if self.health is not None:
            self.health.stop()
            self.health_results = self.health.results
            self.health = None

    # -- what is killed for want of memory ------------------------------------------------------------------------

    def _take_kills(self) -> int:
        """How many the OOM killer has taken since this was last asked."""
        kills = control_groups.oom_kills(self.given.oom)
        fresh, self.ooms = max(0, kills - self.ooms), max(kills, self.ooms)
        return fresh

    def _look_for_kills(self) -> None:
        """Tell of what was killed just now. Of the first process, and of what goes with it, its end tells."""
        fresh = self._take_kills() if self.main is not None else 0
        if fresh:
            self.state["oom_killed"] = True
            self._append_event("oom", **self._kill_attributes(fresh))
            statefile.write(self.state, self.given.run_dir)
            self._keep_state()

    def _kill_attributes(self, kills: int) -> dict[str, str]:
        limit = int((self.state.get("limits") or [0, 0, 0])[1])
        return {"kills": str(kills), **({"limit": str(limit)} if limit else {})}

    # -- what callers ask ---------------------------------------------------------------------------------------

    def _accept(self, _: int) -> None:
        try:
            connection, _address = self.listener.accept()
        except OSError:
            return
        _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid != os.geteuid():
            connection.close()
            return
        connection.setblocking(False)
        self.clients.add(Client(self.loop, connection, self._on_frame, self._on_gone))

    def _on_gone(self, client: Client) -> None:
        self.clients.discard(client)
        self.holders.discard(client)
        if self.overdue and not self.holders:
            self._begin_restart()
        if client in self.waiters:
            self.waiters.remove(client)

    def _on_frame(self, client: Client, kind: bytes, payload: bytes) -> None:
        if client.program is not None:
            client.program.on_frame(client, kind, payload)
        elif kind == protocol.EXEC:
            self._exec(client, payload)
        elif kind == protocol.ATTACH:
            self._attach(client, json.loads(payload).get("session", ""))
        elif kind == protocol.SIGNAL:
            asked = json.loads(payload)
            if asked.get("final"):
                self._note_stop(asked.get("by", ""))
            sent = self.signal(asked["signal"])
            if asked.get("final"):
                self.end_after_this()
            client.send(protocol.frame_json(protocol.STARTED, {"sent": sent}))
        elif kind == protocol.WAIT:
            self.waiters.append(client)
        elif kind == protocol.UPDATE:
            if self._update(json.loads(payload)):
                client.send(protocol.frame_json(protocol.STARTED, {}))
            else:
                self._refuse(client, "update", "it is ending just now")
        elif kind == protocol.LOOK:
            self._look_for_kills()
        elif kind == protocol.HOLD:
            held = self.restart_timer is not None or self.overdue
            if held:
                self.holders.add(client)
            client.send(protocol.frame_json(protocol.STARTED, {"held": held}))
        elif kind == protocol.LIST:
            listed = [session.describe() for session in (*self.ended_sessions, *self.sessions.values())]
            client.send(protocol.frame_json(protocol.STARTED, {"sessions": listed}))
        else:
            client.close()

    def _note_stop(self, by: str) -> None:
        """Somebody ends it on purpose: after a reboot it stays as it is, unless it is to be started always."""
        self.state["stopped_by"] = by

    def signal(self, number: int) -> bool:
        """Signal its first process; False when that has ended, or the signal is none."""
        if self.main is None:
            return False
        try:
            pidfds.send_signal(self.pidfd, number)
        except OSError:  # EBADF: it has been reaped
            return False
        return True

    def _update(self, changes: dict[str, Any]) -> bool:
        """Take over what can change while it runs: name, restart policy, limits as the history has them.

        False when it can't be restarted any more: what it would go back into is gone.
        """
        if "restart" in changes and changes["restart"][0] != "no" and self.kept is None:
            try:
                self.kept = orders.keep_namespaces(self.main.pid if self.main is not None else 0)
            except OSError:
                return False
        if "name" in changes:
            self.given = self.given._replace(name=changes["name"])
        if "limits" in changes:
            self.state["limits"] = changes["limits"]
            statefile.write(self.state, self.given.run_dir)
            self._keep_state()
        if "restart" in changes:
            self.policy.name, self.policy.most = changes["restart"]
        return True

    # -- exec sessions ------------------------------------------------------------------------------------------

    def _attach(self, client: Client, id: str) -> None:
        """Attach to the first program, or to an exec session: then with what it wrote last."""
        if not id:
            if self.main is None:
                self._refuse(client, "attach", "it does not run just now", code=125)
                return
            client.send(protocol.frame_json(protocol.STARTED, {"pid": self.main.pid, "tty": self.given.tty}))
            self.main.attach(client)
            return
        session = self.sessions.get(id)
        if session is None or session.program is None:
            self._refuse(client, "attach", f"there is no session {id}")
            return
        pieces = session.replay.pieces()
        answer = {"pid": session.program.pid, "tty": session.tty, "id": id, "replay": sum(len(d) for _, d in pieces)}
        client.send(protocol.frame_json(protocol.STARTED, answer))
        for kind, data in pieces:
            client.send(protocol.frame(kind, data))
        session.program.attach(client)

    def _refuse(self, client: Client, step: str, reason: str, errno: int = 0, code: int = 126) -> None:
        failure = protocol.Failure(step, reason, errno, "", code)
        client.send(protocol.frame_json(protocol.FAILED, failure._asdict()))
        client.close_when_sent()

    def _exec(self, client: Client, payload: bytes) -> None:
        if self.main is None:
            self._refuse(client, "begin", "it does not run just now", code=125)
            return
        try:
            launch = execs.begin(payload, self.request, self.pidfd)
        except OSError as error:  # no more processes, or descriptors: that is no reason to end the container
            self._refuse(client, "exec", error.strerror or str(error), error.errno or 0)
            return
        asked = json.loads(payload)
        self.launches[launch] = client, Session(asked["argv"], asked["tty"])
        self.loop.add(launch.channel.fileno(), select.EPOLLIN, lambda _: self._launched(launch))

    def _launched(self, launch: execs.Launch) -> None:
        """An exec's helper has something to say: the program it started, or why it could not."""
        executed = launch.hear()
        if executed is None:
            return
        client, session = self.launches.pop(launch)
        self.loop.remove(launch.channel.fileno())
        launch.close()
        if isinstance(executed, protocol.Failure):
            if executed.reason == execs.LOST:
                self._expect_strangers()
            client.send(protocol.frame_json(protocol.FAILED, executed._asdict()))
            client.close_when_sent()
            return
        program = Program(
            self.loop,
            executed.pid,
            executed.pidfd,
            executed.streams,
            executed.tty,
            functools.partial(self._session_ended, session),
            session.replay.add,
        )
        session.program = program
        self.sessions[session.id] = session
        client.send(protocol.frame_json(protocol.STARTED, {"pid": executed.pid, "id": session.id}))
        program.attach(client, owns_input=True)
        program.begin()
        if client not in self.clients:  # it went while its program was made
            program.detach(client)

    def _expect_strangers(self) -> None:
        """A helper was killed: its child, whom we don't know, ends now, and keeps its pid namespace until reaped."""
        self.loop.call_later(_STRANGER_SECONDS, functools.partial(self._reap_strangers, _STRANGER_TRIES))

    def _reap_strangers(self, tries: int) -> None:
        """Reap children whom nobody knows. Source: proc_pid_task(5), children."""
        known = {launch.helper for launch in self.launches} | {launch.pid for launch in self.launches}
        known |= {session.program.pid for session in self.sessions.values() if session.program is not None}
        known |= self.health.pids if self.health is not None else set()
        known |= {self.newborn[0], self.main.pid if self.main is not None else 0}
        known |= {self.restart.helper if self.restart is not None else 0}
        strangers = set[int]()
        with contextlib.suppress(OSError), open(f"/proc/self/task/{os.getpid()}/children") as file:
            strangers = {int(pid) for pid in file.read().split()} - known
        for pid in list(strangers):
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(pid, os.WNOHANG)[0]:
                    strangers.discard(pid)
        if strangers and tries:
            self.loop.call_later(_STRANGER_SECONDS, functools.partial(self._reap_strangers, tries - 1))

    def _session_ended(self, session: Session, program: Program) -> None:
        self.sessions.pop(session.id, None)
        session.program, session.code, session.ended = None, program.code, time.time()
        session.replay.clear()
        self.ended_sessions.append(session)
        program.tell_end()
