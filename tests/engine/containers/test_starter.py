"""Starts and running containers outlive what happens to the processes that make and keep them."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
from pathlib import Path

import pytest

from pyctr_engine.cgroups.layout import detect
from pyctr_engine.cgroups.systemd import home
from pyctr_engine.containers import remove, spawner
from pyctr_engine.errors import EngineError, StartError
from pyctr_engine.model.spec import ContainerRequest, Mount, Port
from pyctr_engine.model.status import State
from pyctr_engine.runtime import protocol
from tests import leaks
from tests.conftest import end_spawner
from tests.engine.containers.conftest import IMAGE, Bench
from tests.engine.containers.test_lifecycle import until

pytestmark = pytest.mark.root


def processes(bench: Bench, name: str) -> list[int]:
    """This engine's processes of that name."""
    found = []
    for pid in leaks.processes(bench.engine.paths):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if Path(f"/proc/{pid}/comm").read_text().strip() == name:
                found.append(pid)
    return found


def reserved_init(bench: Bench) -> int:
    """The process that waits for the next container; 0 while there is none."""
    paths = bench.engine.paths
    for directory in detect().existing(home(paths.cgroup_name).parent, spawner.reserved_id(paths) or "-"):
        pids = Path(directory, "cgroup.procs").read_text().split()
        if pids and "/containers/" in directory:
            return int(pids[0])
    return 0


def descriptors(pid: int) -> int:
    """How many it has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def links(pid: int) -> list[str]:
    """What its descriptors are of."""
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found.append(os.readlink(f"/proc/{pid}/fd/{name}"))
    return found


def test_a_reserve_whose_first_process_was_killed_is_not_used(bench: Bench) -> None:
    bench.run("true")
    until(lambda: reserved_init(bench))
    pidfd = os.pidfd_open(reserved_init(bench))
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    remove.wait_readable(pidfd, 5)
    os.close(pidfd)
    assert bench.run("echo", "still").out == "still\n"


def test_of_a_reserve_whose_monitor_was_killed_nothing_stays(bench: Bench) -> None:
    bench.run("true")
    until(lambda: reserved_init(bench))
    init = reserved_init(bench)
    id = spawner.reserved_id(bench.engine.paths)
    (monitor,) = set(processes(bench, "pyctr-monitor")) - {init}
    os.kill(monitor, signal.SIGKILL)
    context = bench.engine._context
    until(lambda: not context.cgroups.existing(context.cgroup_parent, id))
    assert bench.run("echo", "still").out == "still\n"


@pytest.mark.parametrize("victim", ["pyctr-spawner", "pyctr-starter"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_callers_who_wait_when_it_goes_are_served(bench: Bench, victim: str, number: signal.Signals) -> None:
    """They connected before: one gets what is in reserve, the others need monitors that are still to be cloned."""
    bench.run("true")
    created = [bench.engine.create(ContainerRequest(IMAGE, command=("sleep", "1000"))).id for _ in range(3)]
    for _ in created:
        bench.engine.warm()
    (pid,) = processes(bench, victim)
    os.kill(pid, number)
    for id in created:
        assert bench.engine.start(id).state is State.RUNNING


@pytest.mark.parametrize("spare", [0, 1])
def test_a_spawner_without_descriptors_says_so_and_stays(bench: Bench, spare: int) -> None:
    """With one to spare it gets the request's, but can't have the new process's."""
    bench.run("true")
    until(
        lambda: reserved_init(bench) and len(processes(bench, "pyctr-monitor")) == 2
    )  # the reserve: it and its init
    pid = leaks.spawner(bench.engine.paths)
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    free = min(set(range(len(used) + 1)) - used)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (free + spare, before[1]))
    try:
        with pytest.raises(StartError, match="too many open files"):
            bench.start()
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    assert bench.start().state is State.RUNNING
    assert leaks.spawner(bench.engine.paths) == pid


def test_an_exec_for_which_the_monitor_has_no_descriptors_leaves_the_container_alone(bench: Bench) -> None:
    container = bench.start()
    monitor = container.status.monitor_pid
    before = resource.prlimit(monitor, resource.RLIMIT_NOFILE)
    until(lambda: bench.exec(container, "true").code == 0)
    for spare in range(1, 8):
        resource.prlimit(monitor, resource.RLIMIT_NOFILE, (descriptors(monitor) + spare, before[1]))
        try:
            assert bench.exec(container, "true").code == 0
        except EngineError as error:
            assert "too many open files" in str(error).lower()
        resource.prlimit(monitor, resource.RLIMIT_NOFILE, before)
    assert bench.exec(container, "echo", "still").out == "still\n"


@pytest.mark.parametrize(
    "nonsense",
    [
        protocol.frame_json(protocol.SIGNAL, {"signal": 999}),
        protocol.frame_json(protocol.SIGNAL, {"signal": "TERM"}),
        protocol.frame_json(protocol.SIGNAL, []),
        protocol.frame(protocol.SIGNAL, b"\xff"),
        protocol.frame_json(protocol.ATTACH, {})
        + protocol.frame_json(protocol.RESIZE, {"rows": 1 << 20, "columns": 1}),
    ],
)
def test_nonsense_ends_the_conversation_not_the_container(bench: Bench, nonsense: bytes) -> None:
    container = bench.start(tty=True)
    session = remove.monitor(bench.engine._context, container.spec)
    assert session is not None
    with socket.socket(fileno=os.dup(session.fileno())) as connection:
        connection.sendall(nonsense)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass
    session.close()
    assert bench.exec(container, "echo", "still").out == "still\n"


def test_as_many_ports_as_one_likes(bench: Bench) -> None:
    """What is told of each must fit whatever carries it."""
    ports = tuple(Port(number, number, "127.0.0.99") for number in range(20000, 22500))
    container = bench.start(ports=ports)
    assert bench.exec(container, "true").code == 0
    bench.engine.stop(container.id, timeout=0)


def test_nothing_is_kept_of_starts_that_are_over(bench: Bench, host_directory: Path) -> None:
    def some() -> None:
        for command, mounts in (
            (("true",), ()),
            (("/nope",), ()),
            (("true",), (Mount("bind", str(host_directory), "/m"),)),
        ):
            for _ in range(4):
                try:
                    bench.run(*command, mounts=mounts)
                except EngineError as error:
                    assert command == ("/nope",), error
        for asks in (False, True):
            connection = spawner.connect(bench.engine.paths)
            offered = ""
            if asks:
                spawner.ask_for_id(connection)
                offered = spawner.offered_id(connection)
                assert len(offered) == 64
            connection.close()
        until(lambda: spawner.reserved_id(bench.engine.paths) != offered)  # that one goes, unused
        until(lambda: reserved_init(bench) and len(processes(bench, "pyctr-monitor")) == 2)  # it and its init
        (starter,) = processes(bench, "pyctr-starter")
        until(lambda: "anon_inode:[pidfd]" in links(starter))  # and that it is told so

    some()
    pids = [*processes(bench, "pyctr-spawner"), *processes(bench, "pyctr-starter")]
    before = [descriptors(pid) for pid in pids]
    some()
    until(lambda: [descriptors(pid) for pid in pids] == before)


def test_what_a_caller_has_open_is_not_kept(bench: Bench) -> None:
    """Who waits for the end of a pipe, or for a lock, that a script left open must not wait for containers."""
    bench.start()
    end_spawner(bench.engine.paths)
    until(lambda: not leaks.spawner(bench.engine.paths))
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    bench.start()
    os.close(writing)
    os.set_blocking(reading, False)
    with open(reading, "rb") as pipe:
        until(lambda: pipe.read() == b"")
