"""Ending and sweeping: stop, kill, remove, and what dead monitors left."""

from __future__ import annotations

import contextlib
import os
import signal as signals
import socket
import time
from typing import Any

from pyctr_engine import reserve
from pyctr_engine.cgroups import control
from pyctr_engine.containers import create, hosts, status, store, stub
from pyctr_engine.containers.context import Context
from pyctr_engine.containers.resolve import signal_number
from pyctr_engine.containers.session import StreamSession
from pyctr_engine.containers.start import disconnect_network
from pyctr_engine.errors import Conflict, EngineError, NotFound, from_os_error
from pyctr_engine.linux import namespaces
from pyctr_engine.linux.tree import remove_tree
from pyctr_engine.model.spec import ContainerSpec
from pyctr_engine.model.status import State
from pyctr_engine.paths import Paths
from pyctr_engine.runtime import protocol

_REBUILD_SECONDS = 2.0
ANSWER_SECONDS = 5.0
"""A monitor that hangs (its disk does, somebody stopped it) must not keep its container from being ended."""
_END_SECONDS = 10.0


def monitor(context: Context, spec: ContainerSpec) -> StreamSession | None:
    """A connection to a container's monitor; ``None`` when it has none.

    A monitor whose socket is gone, because somebody wiped the run directory, is asked to make it again.
    """
    connection = _connect(context, spec)
    state = {} if connection else status.read_state(context.paths, spec.id)
    if not connection and status.status_of(state).state.is_alive:
        pid = int(state["monitor_pid"])
        with contextlib.suppress(OSError):
            pidfd = os.pidfd_open(pid)
            try:
                if status.monitor_lives(state):
                    signals.pidfd_send_signal(pidfd, signals.SIGHUP)
            finally:
                os.close(pidfd)
        deadline = time.monotonic() + _REBUILD_SECONDS
        while not connection and status.monitor_lives(dict(state)) and time.monotonic() < deadline:
            time.sleep(0.005)
            connection = _connect(context, spec)
    return StreamSession(connection) if connection else None


def _connect(context: Context, spec: ContainerSpec) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with protocol.short_path(context.paths.run_container(spec.id)) as directory:
            connection.connect(f"{directory}/monitor.sock")
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    return connection


def send_signal(context: Context, spec: ContainerSpec, number: int, by: str = "") -> bool:
    """Signal a container's first process; False when it has ended already, or its monitor answers nobody.

    ``by`` says who ends it for good, ``stop`` or ``kill``: it is not restarted then, and stays so after a reboot.
    """
    session = monitor(context, spec)
    if session is None:
        return False
    try:
        session.request(protocol.SIGNAL, {"signal": number, "final": bool(by), "by": by})
        return wait_readable(session, ANSWER_SECONDS) and bool(session.expect_started(spec.name).get("sent"))
    except EngineError:
        return False
    finally:
        session.close()


def stop(context: Context, spec: ContainerSpec, timeout: float) -> None:
    """Stop signal, grace, SIGKILL; returns when it has ended. A paused container is let go first."""
    waiter = monitor(context, spec)
    if waiter is None:
        state = status.read_state(context.paths, spec.id)
        if status.status_of(state).state.is_alive:  # its monitor answers nobody
            kill_cgroup(context, spec)
            _await_monitor(state)
            after_end(context, spec)
        return
    try:
        waiter.request(protocol.WAIT, {})
        unfreeze(context, spec)
        send_signal(context, spec, signal_number(spec.stop_signal), "stop")
        ended = wait_readable(waiter, timeout)
        if not ended:
            send_signal(context, spec, signals.SIGKILL, "stop")
            ended = wait_readable(waiter, _END_SECONDS)
        if not ended:
            kill_cgroup(context, spec)
            ended = wait_readable(waiter, _END_SECONDS)
        if not ended:  # its monitor hangs
            _await_monitor(status.read_state(context.paths, spec.id))
        waiter.wait()
    finally:
        waiter.close()
    after_end(context, spec)


def kill_cgroup(context: Context, spec: ContainerSpec) -> None:
    """SIGKILL everything in a container's cgroup, whatever became of its monitor."""
    if context.cgroups.mode == "none":
        _kill_first_process(status.read_state(context.paths, spec.id))
        return
    plan = context.cgroups.plan(context.cgroup_parent, spec.id, spec.request.resources)
    control.kill(plan.unified, plan.directories)


def _kill_first_process(state: dict[str, Any]) -> None:
    """SIGKILL a container's first process, with which its pid namespace goes: all that there is without cgroups."""
    pid, started = int(state.get("pid", 0)), int(state.get("pid_start", 0))
    if pid <= 0 or status.is_of_another_boot(state):
        return
    with contextlib.suppress(ProcessLookupError):
        pidfd = os.pidfd_open(pid)
        try:
            if namespaces.is_running(pid, started):
                signals.pidfd_send_signal(pidfd, signals.SIGKILL)
                wait_readable(pidfd, _END_SECONDS)
        finally:
            os.close(pidfd)


def unfreeze(context: Context, spec: ContainerSpec) -> None:
    """Thaw it, if it is frozen: a frozen process takes no signal."""
    if context.cgroups.mode == "none":
        return
    plan = context.cgroups.plan(context.cgroup_parent, spec.id, spec.request.resources)
    control.thaw(plan.unified, plan.directories)


def wait_readable(fd: StreamSession | int, timeout: float) -> bool:
    """Wait until a session has something to read, or the process of a pidfd has ended."""
    import select

    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(max(0.0, timeout) * 1000))


def after_end(context: Context, spec: ContainerSpec) -> None:
    """What the engine owes a container that has ended: its ports, and its name at its peers."""
    disconnect_network(context, spec)
    hosts.announce(context, spec)


def remove(context: Context, spec: ContainerSpec, force: bool, volumes: bool, keep_shared: bool = False) -> None:
    """Remove a container. Raises Conflict when it runs and ``force`` is off.

    With the last container go the bridge and the cgroups that all share, unless ``keep_shared``: one that comes and
    goes by ``--rm`` is likely to be followed by another, and the spawner sweeps when it leaves.
    """
    alive = status.status_of(status.read_state(context.paths, spec.id)).state.is_alive
    if alive and not force:
        raise Conflict(
            f"container {spec.name} is running", f"stop it first, or remove it anyway: `pyctr-tui rm -f {spec.name}`"
        )
    if alive:
        unfreeze(context, spec)
        if not send_signal(context, spec, signals.SIGKILL, "rm"):
            kill_cgroup(context, spec)
    reserve.make_room(context.paths.state)
    with contextlib.ExitStack() as held:
        with contextlib.suppress(NotFound):  # an interrupted removal took its directory: the rest is still to do
            held.enter_context(context.container_lock(spec.id))
        if not _is_recorded(context, spec):  # another process has removed it meanwhile
            if not keep_shared:
                remove_shared(context)
            return
        whole = create.is_whole(context, spec.id)
        if not whole:
            _settle_volumes(context, spec)
        state = status.read_state(context.paths, spec.id)
        if not alive:  # whose end is recorded, of that nothing more is written: its monitor may go meanwhile
            create.remove_directories(context, spec.id)
        _await_monitor(state)
        sweep_kernel(context, spec)
        disconnect_network(context, spec)
        if alive:
            create.remove_directories(context, spec.id)
        _forget(context, spec, volumes)
    if not whole:
        _sweep_leftovers(context)
    reserve.keep(context.paths.state)
    if not keep_shared:
        remove_shared(context)
    hosts.announce(context, spec)
    context.event("container", "destroy", spec.id, spec.name)


def _is_recorded(context: Context, spec: ContainerSpec) -> bool:
    with context.lock:
        return store.exists(context.database, spec.id)


def _forget(context: Context, spec: ContainerSpec, volumes: bool) -> None:
    """Give back what it leased, with ``volumes`` its unnamed volumes too, unless another container has them now."""
    with context.lock:
        create.forget(context, spec)
    for mount in create.volume_mounts(spec) if volumes else ():
        with contextlib.suppress(Conflict, NotFound):
            remove_volume(context, mount.source)


def remove_volume(context: Context, name: str) -> None:
    """Remove a volume. Raises NotFound, and Conflict when a container mounts it."""
    reserve.make_room(context.paths.state)
    with context.lock, context.database.transaction():  # containers are recorded in one: none can come between
        create.check_unused(context, name)
        context.volumes.remove(name)
    context.volumes.purge()
    reserve.keep(context.paths.state)
    context.event("volume", "destroy", name, name)


def _await_monitor(state: dict[str, Any]) -> None:
    """Wait for a monitor that is on its way out; one that doesn't go is killed with all it looks after."""
    pid, started = int(state.get("monitor_pid", 0)), int(state.get("monitor_start", 0))
    if pid in (0, os.getpid()):
        return  # there was none, or this is the monitor, become the reaper of its own container
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if namespaces.is_running(pid, started) and not wait_readable(pidfd, _END_SECONDS):
            signals.pidfd_send_signal(pidfd, signals.SIGKILL)
            wait_readable(pidfd, _END_SECONDS)
    finally:
        os.close(pidfd)


def sweep_kernel(context: Context, spec: ContainerSpec) -> None:
    """Kill and remove whatever the kernel still holds of a container that has no monitor."""
    layout, parent = context.cgroups, context.cgroup_parent
    left = layout.existing(parent, spec.id)
    if left or layout.mode == "none":
        kill_cgroup(context, spec)
        control.remove(left)


def sweep_strays(context: Context) -> list[str]:
    """Remove the cgroups of no container: whoever was making one, or held it in reserve, was killed."""
    from pyctr_engine.containers import mend

    return [mend.cgroup(context, id).detail for id in mend.stray_cgroups(context)]


def remove_shared(context: Context) -> None:
    """Remove what containers share once no container is left on it: the bridge with its firewall table, cgroups."""
    with context.lock:
        alone = not store.all_specs(context.database)
    if alone:
        sweep_strays(context)
    control.remove_shared(context.cgroups.shared(context.cgroup_parent))
    with context.lock:
        networks = context.networks.list()
        if not networks:
            return
        network = networks[0]
        with context.database.transaction():
            if context.networks.is_empty(network):
                from pyctr_engine.network import bridge

                bridge.remove(network)


def recover(context: Context) -> list[str]:
    """Sweep containers whose monitor died without a word; what was done, a line each."""
    done = _sweep_half_made(context)
    with contextlib.suppress(EngineError):  # what can't be removed now stays dead, and is told by `rm` and `check`
        _sweep_leftovers(context)
    with context.lock:
        specs = store.all_specs(context.database)
    for spec in specs:
        state = status.read_state(context.paths, spec.id)
        if status.monitor_lives(state):
            continue
        if not state:
            if spec.request.ports:
                release_ports(context, spec)
            continue
        if State(state["state"]).is_alive:
            if _sweep_dead(context, spec):
                done.append(f"{spec.name}: its monitor had died; ended with 137")
        elif spec.request.ports:
            release_ports(context, spec)
        if spec.request.auto_remove and state.get("state") == State.EXITED:
            with contextlib.suppress(EngineError):
                remove(context, spec, force=False, volumes=True)
                done.append(f"{spec.name}: removed (--rm)")
    return done + sweep_strays(context)


def _sweep_half_made(context: Context) -> list[str]:
    """Forget containers that were never whole, or no longer are: their making or removal was interrupted."""
    done = []
    with context.lock:
        specs = [spec for spec in store.all_specs(context.database) if not create.is_whole(context, spec.id)]
    if not specs:
        return []
    with context.nobody_creating() as alone:
        for spec in specs if alone else ():
            if create.is_whole(context, spec.id) or status.is_alive(context.paths, spec.id):
                continue
            sweep_kernel(context, spec)
            disconnect_network(context, spec)
            try:
                create.remove_directories(context, spec.id)
            except EngineError:  # it stays dead, and `rm` says why
                continue
            _settle_volumes(context, spec)
            with context.lock:
                create.forget(context, spec)
            context.event("container", "destroy", spec.id, spec.name, reason="half made")
            done.append(f"{spec.name}: removed, for its making or removal was interrupted")
    if done:
        remove_shared(context)
    return done


def _sweep_leftovers(context: Context) -> None:
    """Delete the files of what is removed already, or was never finished: interrupted calls left them."""
    try:
        create.purge(context)
    except OSError as error:
        raise from_os_error(error, "remove a container's files") from error
    if context.volumes.leftovers() or stub.leftovers(context.paths):
        with context.nobody_creating() as alone:
            context.volumes.purge(half_made=alone)
            for path in stub.leftovers(context.paths) if alone else ():
                remove_tree(path)


def _settle_volumes(context: Context, spec: ContainerSpec) -> None:
    with context.lock:
        for mount in spec.mounts:
            if mount.type == "volume":
                context.volumes.settle(mount.source, spec.request.stack)


def release_ports(context: Context, spec: ContainerSpec) -> None:
    """Take back the ports of a container that does not run; who is just starting it keeps them."""
    with contextlib.suppress(NotFound, BlockingIOError), context.container_lock(spec.id, wait=False):
        if not status.is_alive(context.paths, spec.id):
            disconnect_network(context, spec)


def _sweep_dead(context: Context, spec: ContainerSpec) -> bool:
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(context.container_lock(spec.id, wait=False))
        except (BlockingIOError, NotFound):
            return False  # another engine is starting or removing it, and sees the same
        state = status.read_state(context.paths, spec.id)
        if not State(state.get("state", "created")).is_alive or status.monitor_lives(state):
            return False
        sweep_kernel(context, spec)
        status.write_dead(context.paths, spec.id, state)
    after_end(context, spec)
    context.event("container", "die", spec.id, spec.name, exitCode="137", reason="monitor died")
    return True


def sweep_idle(state_dir: str, run_dir: str) -> None:
    """What the spawner becomes when it leaves: remove what is shared if nobody is left on it."""
    paths = Paths(state_dir, run_dir)
    if os.path.exists(paths.database):
        remove_shared(Context(paths))


def reap(state_dir: str, run_dir: str, id: str) -> None:
    """Remove a ``--rm`` container at its end; what its monitor becomes. See `start`."""
    context = Context(Paths(state_dir, run_dir))
    with contextlib.suppress(NotFound):
        remove(context, store.find(context.database, id), force=True, volumes=True)
