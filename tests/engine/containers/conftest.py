"""One engine for all these tests, on the real kernel; each test begins and ends without containers."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pyctr_engine.containers.remove import sweep_idle
from pyctr_engine.engine import Engine, Session
from pyctr_engine.model.spec import ContainerRequest, ExecRequest
from pyctr_engine.model.status import Container
from pyctr_engine.paths import Paths
from tests import leaks
from tests.conftest import end_spawner

IMAGE = "pyctr/base"


@dataclass(frozen=True)
class Outcome:
    """What a program wrote and how it ended."""

    out: str
    err: str
    code: int


def collect(session: Session) -> Outcome:
    """Read a session to its end."""
    pieces: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
    while True:
        kind, data = session.read()
        if kind in pieces:
            pieces[kind].append(data)
            continue
        session.close()
        assert kind == "exit", "the monitor went away"
        return Outcome(
            b"".join(pieces["stdout"]).decode(errors="surrogateescape"),
            b"".join(pieces["stderr"]).decode(errors="surrogateescape"),
            int(data),
        )


class Bench:
    """An engine with shorthands."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def run(self, *command: str, **options: Any) -> Outcome:
        """Run to the end and remove."""
        _, session = self.engine.run(ContainerRequest(IMAGE, command=command, auto_remove=True, **options))
        return collect(session)

    def start(self, *command: str, **options: Any) -> Container:
        """Start in the background; by default something that waits."""
        options.setdefault("stop_grace", 1.0)
        container = self.engine.create(ContainerRequest(IMAGE, command=command or ("sleep", "1000"), **options))
        return self.engine.start(container.id)

    def start_when(self, line: str, *command: str, **options: Any) -> Container:
        """Start in the background, and wait until it has written ``line``: whatever a shell does before is done."""
        container = self.start(*command, **options)
        assert any(found.text == line for found in self.engine.logs(container.id, follow=True)), f"no {line!r}"
        return container

    def exec(self, container: Container, *argv: str, **options: Any) -> Outcome:
        """Run a further program to its end."""
        return collect(self.engine.exec(container.id, ExecRequest(argv, **options)))


@pytest.fixture(scope="session")
def shared_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The engine, with the built-in image made; checks at the end that nothing of it is left on the machine."""
    run = tempfile.mkdtemp(prefix="pt-", dir="/run")
    paths = Paths(state=str(tmp_path_factory.mktemp("engine") / "state"), run=run)
    before = leaks.held(paths)
    engine = Engine(paths)
    if archive := os.environ.get("PYCTR_TEST_BASE"):
        engine.load(archive)  # the built-in image, made elsewhere: where it would take minutes
    Bench(engine).run("true")  # the built-in image is made by the first use
    yield engine
    for container in engine.containers():
        engine.remove(container.id, force=True, volumes=True)
    engine.remove(engine.create(ContainerRequest(IMAGE)).id)  # a last one that is no --rm takes what all share along
    engine.close()
    end_spawner(paths)
    sweep_idle(paths.state, paths.run)  # as the spawner does when it leaves by itself
    leaked = leaks.settled(paths, before)
    shutil.rmtree(run, ignore_errors=True)
    assert not leaked, f"left behind: {leaked}"


@pytest.fixture
def bench(shared_engine: Engine) -> Iterator[Bench]:
    """Shorthands on the engine; afterwards containers are removed, and nothing may be wrong with the store."""
    yield Bench(shared_engine)
    for container in shared_engine.containers():
        shared_engine.remove(container.id, force=True, volumes=True)
    wrong = [finding for finding in shared_engine.check() if finding.level == "fail"]
    assert not wrong, wrong


@pytest.fixture
def host_directory(tmp_path: Path) -> Path:
    """A directory of the host that a container's ids may reach."""
    tmp_path.chmod(0o755)
    directory = tmp_path / "host"
    directory.mkdir(mode=0o755)
    return directory
