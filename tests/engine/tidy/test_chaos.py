"""Containers start, stop, exec, commit and log at random, while everything that can go wrong does.

Monitors, spawners, starters, recorders, callers and interfaces are killed, the disk fills, the run directory is
wiped, processes and descriptors run out. Afterwards nothing is lost that should live, every record has its container
and the reverse, the store is sound and nothing is left. `make chaos` does 500 faults and prints the tally.
"""

from __future__ import annotations

import contextlib
import os
import pty
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from pyctr_engine.cgroups.layout import detect
from pyctr_engine.containers import status
from pyctr_engine.engine import Engine
from pyctr_engine.errors import EngineError
from pyctr_engine.model.spec import ContainerRequest, ExecRequest, RestartPolicy
from pyctr_engine.model.status import Container, State
from pyctr_engine.paths import Paths
from tests import leaks
from tests.engine.images.tars import write
from tests.engine.tidy.conftest import THOROUGH, busybox
from tests.engine.tidy.test_full_disk import fill

pytestmark = pytest.mark.root

FAULTS = 500 if THOROUGH else 25
SEED = int(os.environ.get("PYCTR_CHAOS_SEED", "1"))
WORKERS = 3
KEEPERS = 4
DISK = 160 << 20


class Chaos:
    """The engine under test, those who work with it, and what is done to them."""

    def __init__(self, paths: Paths, errors: IO[str]) -> None:
        self.paths = paths
        self.engine = Engine(paths)
        self.tally: Counter[str] = Counter()
        self.actions: Counter[str] = Counter()
        self.ended_by_us: set[str] = set()
        self.errors = errors
        self.keepers: list[str] = []
        self.workers: list[subprocess.Popen[str]] = []
        self.interface = 0
        self.pids = self._pids_cgroup()

    def _pids_cgroup(self) -> str:
        """A cgroup in which all that we start is, so that processes can run out in it; empty where there is none."""
        version, base = detect().home("pids")
        if version != 1:
            return ""  # on v2 the containers' own cgroups would have to lie below it
        directory = f"{base}/pyctr-chaos-{os.getpid()}"
        os.mkdir(directory)
        return directory

    # -- those who work ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Some that must live, and some who work."""
        for number in range(KEEPERS):
            policy = RestartPolicy("always" if number % 2 else "no")
            request = ContainerRequest(
                "small",
                command=("sh", "-c", "while :; do echo alive; sleep 0.1; done"),
                name=f"keeper-{number}",
                restart=policy,
            )
            self.keepers.append(self.engine.create(request).id)
            self.engine.start(self.keepers[-1])
        for number in range(WORKERS):
            self.workers.append(self._worker(number, SEED * 1000 + number))

    def _worker(self, number: int, seed: int) -> subprocess.Popen[str]:
        def join_cgroup() -> None:
            if self.pids:
                Path(self.pids, "cgroup.procs").write_text("0")

        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.engine.tidy.worker",
                self.paths.state,
                self.paths.run,
                f"w{number}",
                str(seed),
            ],
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            preexec_fn=join_cgroup,
            cwd=Path(__file__).parents[3],
        )

    def _count(self, worker: subprocess.Popen[str]) -> None:
        assert worker.stdout is not None
        for line in worker.stdout.read().splitlines():
            self.actions[line] += 1

    # -- faults ------------------------------------------------------------------------------------------------

    def faults(self) -> list[Callable[[], None]]:
        """All kinds, the likelier more than once."""
        found = [
            self.kill_monitor, self.kill_monitor, self.kill_spawner, self.kill_a_child_of_the_spawner,
            self.kill_worker, self.kill_worker, self.kill_interface, self.fill_the_disk,
            self.wipe_the_run_directory, self.exhaust_descriptors,
        ]  # fmt: skip
        return [*found, self.exhaust_processes] if self.pids else found

    def kill_monitor(self) -> None:
        """Its container ends with it: who kills one of a container that should live says so."""
        alive = [(c.id, c.status.monitor_pid) for c in self._containers() if c.state.is_alive]
        if not alive:
            return
        id, pid = random.choice(alive)
        if id in self.keepers:
            if sum(1 for keeper in self.keepers if keeper not in self.ended_by_us) < 3:
                return
            self.ended_by_us.add(id)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def _containers(self) -> list[Container]:
        for _ in range(20):
            with contextlib.suppress(EngineError):
                return self.engine.containers()
            time.sleep(0.1)
        raise AssertionError("the containers can't be listed")

    def kill_spawner(self) -> None:
        """Containers go on; the next call makes another."""
        pid = leaks.spawner(self.paths)
        if pid:
            os.kill(pid, signal.SIGKILL)

    def kill_a_child_of_the_spawner(self) -> None:
        """The starters, the recorder, or a monitor in reserve."""
        known = {container.status.monitor_pid for container in self._containers()}
        pid = leaks.spawner(self.paths)
        children = [child for child in _children(pid) if child not in known]
        if children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(random.choice(children), signal.SIGKILL)

    def kill_worker(self) -> None:
        """A caller, in the midst of whatever it does."""
        number = random.randrange(len(self.workers))
        worker = self.workers[number]
        worker.kill()
        self._count(worker)
        worker.wait()
        self.workers[number] = self._worker(number, random.randrange(10**9))

    def kill_interface(self) -> None:
        """The terminal interface: one is begun, the next time it is killed."""
        if self.interface:
            os.kill(self.interface, signal.SIGKILL)
            os.waitpid(self.interface, 0)
            os.close(self.terminal)
            self.interface = 0
            return
        program = "from pyctr_tui.cli.main import main; main()"
        words = ["--state-dir", self.paths.state, "--run-dir", self.paths.run]
        self.interface, self.terminal = pty.fork()
        if self.interface == 0:
            os.execv(sys.executable, [sys.executable, "-c", program, *words])
        os.set_blocking(self.terminal, False)

    def fill_the_disk(self) -> None:
        """For a moment nothing can be written."""
        with contextlib.suppress(OSError):
            fill(self.paths)
        time.sleep(0.3)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self.paths.state}/filler")

    def wipe_the_run_directory(self) -> None:
        """All sockets and live states are gone."""
        for entry in os.scandir(self.paths.run):
            with contextlib.suppress(OSError):
                shutil.rmtree(entry.path) if entry.is_dir() else os.unlink(entry.path)

    def exhaust_descriptors(self) -> None:
        """A monitor, the starters or the spawner may open nothing more, for a moment."""
        pids = [pid for pid in leaks.processes(self.paths) if _is_ours(pid)]
        if not pids:
            return
        pid = random.choice(pids)
        with contextlib.suppress(OSError):
            before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")), before[1]))
            time.sleep(0.2)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)

    def exhaust_processes(self) -> None:
        """No process can be made, for a moment."""
        current = int(Path(self.pids, "pids.current").read_text())
        Path(self.pids, "pids.max").write_text(str(max(1, current)))
        time.sleep(0.3)
        Path(self.pids, "pids.max").write_text("max")

    def _stray_monitors(self, monitors: set[int]) -> set[int]:
        """Those that look after nothing, but for the two of each living spawner: in reserve, and asked for."""
        ours = leaks.processes(self.paths)
        spawners = [pid for pid in ours if _comm(pid) == "pyctr-spawner"]
        found = {pid for pid in ours if _comm(pid) == "pyctr-monitor" and _leads(pid)} - monitors
        for pid in spawners:
            found.difference_update([child for child in _children(pid) if child in found][:2])
        return found

    # -- afterwards --------------------------------------------------------------------------------------------

    def end(self) -> None:
        """Nobody works any more."""
        if self.interface:
            self.kill_interface()
        for worker in self.workers:
            worker.kill()
            self._count(worker)
            worker.wait()

    def verdict(self) -> None:
        """What must hold."""
        self.engine.recover()
        containers = self.engine.containers()
        by_id = {container.id: container for container in containers}
        for id in self.keepers:
            container = by_id[id]
            if id in self.ended_by_us:
                assert container.state is State.EXITED, f"{container.name} outlived its monitor"
                continue
            assert container.state is State.RUNNING, f"{container.name} is lost: {container.status}"
            assert container.status.restart_count == 0
            session = self.engine.exec(id, ExecRequest(("true",)))
            assert session.wait() == 0
            session.close()
        monitors = {container.status.monitor_pid for container in containers if container.state.is_alive}
        for container in containers:
            state = status.read_state(self.paths, container.id)
            if State(state.get("state", "created")).is_alive:  # it may have ended since
                assert status.monitor_lives(state), container
        deadline = time.monotonic() + 10
        while (stray := self._stray_monitors(monitors)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not stray, [Path(f"/proc/{pid}/stat").read_text()[:60] for pid in stray]
        wrong = [finding for finding in self.engine.check() if finding.level == "fail"]
        assert not wrong, wrong
        assert not [line for line in self.actions if line.endswith("wrong")], "errors that are no sentences"


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _leads(pid: int) -> bool:
    """Whether it is a monitor, alive: not a helper of one, nor a first process that is not its program yet."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        told = {line.partition(":")[0]: line.split()[1:] for line in lines}
        return os.getsid(pid) == pid and told["State"][0] != "Z" and len(told["NSpid"]) == 1
    return False


def _comm(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def _is_ours(pid: int) -> bool:
    return _comm(pid) in ("pyctr-monitor", "pyctr-spawner", "pyctr-starter", "pyctr-recorder")


@pytest.fixture
def chaos(no_leaks: Paths, tmp_path: Path) -> Iterator[Chaos]:
    """The engine on a disk of its own, with an image."""
    os.makedirs(no_leaks.state)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", no_leaks.state], check=True)
    with tempfile.TemporaryFile("w+") as errors:
        chaos = Chaos(no_leaks, errors)
        try:
            chaos.engine.import_image(write(tmp_path / "small.tar", busybox()), "small", ["CMD true"])
            yield chaos
        finally:
            chaos.end()
            for _ in range(3):
                for container in chaos.engine.containers():
                    with contextlib.suppress(EngineError):
                        chaos.engine.remove(container.id, force=True, volumes=True)
            chaos.engine.close()
            errors.seek(0)
            print(errors.read()[-4000:], file=sys.stderr)
            _leave(no_leaks, chaos.pids)


def _leave(paths: Paths, pids: str) -> None:
    """End spawners (one may be orphaned of its socket), move what is left out of our cgroup, unmount."""
    deadline = time.monotonic() + 10
    while (left := [pid for pid in leaks.processes(paths) if _is_ours(pid)]) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        time.sleep(0.1)
    if pids:
        for _ in range(100):
            with contextlib.suppress(OSError):
                os.rmdir(pids)
                break
            time.sleep(0.05)
    subprocess.run(["umount", "-l", paths.state], check=True)


def test_nothing_is_lost_and_nothing_is_left(chaos: Chaos) -> None:
    random.seed(SEED)
    chaos.begin()
    kinds = chaos.faults()
    for number in range(FAULTS):
        fault = kinds[number % len(kinds)] if number < len(kinds) else random.choice(kinds)
        fault()
        chaos.tally[fault.__name__] += 1
        time.sleep(random.uniform(0.05, 0.4))
    chaos.end()
    chaos.workers.clear()
    chaos.verdict()
    done = sum(count for line, count in chaos.actions.items() if line.endswith("ok"))
    refused = sum(count for line, count in chaos.actions.items() if line.endswith("refused"))
    print(f"\n{sum(chaos.tally.values())} faults: {dict(chaos.tally)}")
    print(f"{done} actions done, {refused} refused with a sentence: {dict(chaos.actions)}")
    assert done > FAULTS
