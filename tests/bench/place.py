"""Where it is measured: an engine with directories of its own, and the programs that are timed on it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from pyctr_engine.engine import Engine, Session
from pyctr_engine.model.spec import ContainerRequest, ExecRequest
from pyctr_engine.paths import Paths
from tests import leaks

IMAGE = "pyctr/base"


class Place:
    """One engine, and what is timed on it. Durations are milliseconds."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.engine = Engine(paths)
        self.program = os.path.join(os.path.dirname(sys.executable), "pyctr-tui")
        dropped = ("PYTHONDONTWRITEBYTECODE", "PYCTR_STATE_DIR", "PYCTR_RUN_DIR", "PYCTR_SPAWNER_IDLE")
        kept = {name: value for name, value in os.environ.items() if name not in dropped}
        self.environment = {**kept, "PYCTR_STATE_DIR": paths.state, "PYCTR_RUN_DIR": paths.run}

    # -- by API -------------------------------------------------------------------------------------------------

    def run(self) -> float:
        """``run --rm pyctr/base true``, from the request to the removed container."""
        request = ContainerRequest(IMAGE, command=("true",), auto_remove=True)
        began = time.perf_counter()
        _, session = self.engine.run(request)
        to_the_end(session)
        return (time.perf_counter() - began) * 1000

    def start(self, name: str) -> str:
        """A container that waits; its id."""
        request = ContainerRequest(IMAGE, command=("sleep", "100000"), name=name, stop_grace=0.5)
        return self.engine.start(self.engine.create(request).id).id

    def exec(self, id: str) -> float:
        """``exec CONTAINER true``, from the request to its end."""
        began = time.perf_counter()
        to_the_end(self.engine.exec(id, ExecRequest(("true",))))
        return (time.perf_counter() - began) * 1000

    def remove_all(self) -> None:
        """Remove every container."""
        for container in self.engine.containers():
            self.engine.remove(container.id, force=True, volumes=True)

    # -- by command line ----------------------------------------------------------------------------------------

    def cli(self, *words: str) -> float:
        """A call of the installed program, from the fork to its end; what it prints is thrown away."""
        quiet = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1)]
        began = time.perf_counter()
        pid = os.posix_spawn(self.program, [self.program, *words], self.environment, file_actions=quiet)
        _, status = os.waitpid(pid, 0)
        took = time.perf_counter() - began
        if status:
            raise RuntimeError(f"pyctr-tui {' '.join(words)} ended with {os.waitstatus_to_exitcode(status)}")
        return took * 1000

    def interpreter(self) -> float:
        """The same interpreter, doing nothing: the least that any call of ours takes."""
        began = time.perf_counter()
        pid = os.posix_spawn(sys.executable, [sys.executable, "-c", ""], self.environment)
        os.waitpid(pid, 0)
        return (time.perf_counter() - began) * 1000

    def end_spawner(self) -> None:
        """Make the next call start a spawner of its own."""
        pid = leaks.spawner(self.paths)
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        while leaks.spawner(self.paths):
            time.sleep(0.001)

    # -- the floor ----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def floor(self) -> Iterator[Floor]:
        """The bare start of the same program from the same image."""
        image = self.engine._context.images.resolve(IMAGE)  # its layers are nobody else's business
        lowers = ":".join(os.path.realpath(f"{self.paths.layers}/{link}") for link in image.chain)
        directory = tempfile.mkdtemp(prefix="floor-", dir=self.paths.state)
        # its program must find a directory to mount /proc onto, which the engine's lowest layer has and an image may
        os.makedirs(f"{directory}/stub/proc")
        server = Floor(f"{lowers}:{directory}/stub", directory)
        try:
            yield server
        finally:
            server.close()
            shutil.rmtree(directory, ignore_errors=True)


class Floor:
    """The process that measures the floor; it is small, because a fork costs by what there is to copy."""

    def __init__(self, lowers: str, directory: str) -> None:
        here = os.path.dirname(os.path.abspath(__file__))
        engine = os.path.dirname(os.path.dirname(os.path.abspath(sys.modules["pyctr_engine"].__file__ or "")))
        command = [sys.executable, "-I", "-S", f"{here}/floor.py", engine, lowers, directory, "/bin/true"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def measure(self, rounds: int, idle: float) -> list[float]:
        """Durations of ``rounds`` starts, each after ``idle`` seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{rounds} {idle}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("the floor could not be measured: see above")
        return [float(word) for word in answer.split()]

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def to_the_end(session: Session) -> None:
    """Read until the program has ended."""
    code = session.wait()
    session.close()
    if code:
        raise RuntimeError(f"the program ended with {code}")


@contextlib.contextmanager
def place() -> Iterator[Place]:
    """An engine with the built-in image made; afterwards nothing is left of it."""
    state = tempfile.mkdtemp(prefix="pyctr-bench-")
    run = tempfile.mkdtemp(prefix="pb-", dir="/run" if os.geteuid() == 0 else None)
    paths = Paths(state=f"{state}/state", run=run)
    before = leaks.held(paths)
    here = Place(paths)
    with contextlib.ExitStack() as after:
        for directory in (state, run):
            after.callback(shutil.rmtree, directory, ignore_errors=True)
        after.callback(leaks.settled, paths, before)  # who still ends would write into what is removed
        after.callback(here.engine.close)
        after.callback(here.end_spawner)
        after.callback(here.remove_all)
        here.run()  # which makes the image, the bridge and the spawner
        yield here
