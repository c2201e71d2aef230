"""An engine with a Debian image for all these tests; each begins and ends without containers and volumes."""

from __future__ import annotations

import shutil
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pyctr_engine.engine import Engine
from pyctr_engine.model.spec import ContainerRequest, ExecRequest
from pyctr_engine.model.status import Container
from pyctr_engine.paths import Paths
from tests import leaks
from tests.conftest import end_spawner
from tests.engine.containers.conftest import Outcome, collect
from tests.engine.programs import debian

IMAGE = "debian:bookworm"


def until(true: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Whether something comes true in time."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def fetch(port: int, path: str = "/", seconds: float = 60.0) -> str:
    """A page of a server on this host, which may still be starting."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + seconds
    while True:
        try:
            with opener.open(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                return str(answer.read().decode())
        except (ConnectionError, TimeoutError, urllib.error.URLError) as error:
            if isinstance(error, urllib.error.HTTPError) or time.monotonic() > end:
                raise
        time.sleep(0.05)


class House:
    """An engine with shorthands; containers are of the Debian image unless an ``image`` is given."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def run(self, *command: str, image: str = IMAGE, **options: Any) -> Outcome:
        """Run to the end and remove."""
        _, session = self.engine.run(ContainerRequest(image, command=command, auto_remove=True, **options))
        return collect(session)

    def start(self, *command: str, image: str = IMAGE, **options: Any) -> Container:
        """Start in the background; by default something that waits."""
        if not command:
            command = ("sleep", "infinity")
            options.setdefault("stop_grace", 0.0)
        options.setdefault("stop_grace", 60.0)
        container = self.engine.create(ContainerRequest(image, command=command, **options))
        return self.engine.start(container.id)

    def exec(self, container: Container, *argv: str, **options: Any) -> Outcome:
        """Run a further program to its end."""
        return collect(self.engine.exec(container.id, ExecRequest(argv, **options)))

    def shell(self, container: Container, script: str, **options: Any) -> str:
        """What a script prints, which must end well."""
        outcome = self.exec(container, "sh", "-ec", script, **options)
        assert outcome.code == 0, outcome
        return outcome.out.strip()

    def logged(self, container: Container, words: str, stream: str = "") -> bool:
        """Whether a line with these words was written, to this stream if one is given."""
        return any(words in line.text and stream in ("", line.stream) for line in self.engine.logs(container.id))

    def log(self, container: Container) -> str:
        """All that it wrote: for an assertion to show."""
        return "\n".join(line.text for line in self.engine.logs(container.id))

    def clear(self) -> None:
        """Remove containers, volumes, and the images that tests made."""
        for container in self.engine.containers():
            self.engine.remove(container.id, force=True, volumes=True)
        for volume in self.engine.volumes():
            self.engine.remove_volume(volume["name"])
        for image in self.engine.images():
            if IMAGE not in image.names:
                self.engine.remove_image(image.id, force=True)


@pytest.fixture(scope="session")
def debian_engine() -> Iterator[Engine]:
    """The engine, with Debian imported; checks at the end that nothing of it is left on the machine."""
    run = tempfile.mkdtemp(prefix="pt-", dir="/run")
    state = tempfile.mkdtemp(prefix="pyctr-programs-")
    paths = Paths(state=f"{state}/state", run=run)
    before = leaks.held(paths)
    engine = Engine(paths)
    try:
        engine.import_image(str(debian.rootfs()), IMAGE, ('CMD ["bash"]',))
        yield engine
        House(engine).clear()
        engine.close()
        end_spawner(paths)
        leaked = leaks.settled(paths, before)
        assert not leaked, f"left behind: {leaked}"
    finally:
        shutil.rmtree(run, ignore_errors=True)
        shutil.rmtree(state, ignore_errors=True)


@pytest.fixture
def house(debian_engine: Engine) -> Iterator[House]:
    """Shorthands on the engine; afterwards all is removed, and nothing may be wrong with the store."""
    house = House(debian_engine)
    yield house
    house.clear()
    wrong = [finding for finding in debian_engine.check() if finding.level == "fail"]
    assert not wrong, wrong


@pytest.fixture
def host_directory(tmp_path: Path) -> Path:
    """An empty directory of the host, to be bound."""
    directory = tmp_path / "host"
    directory.mkdir(mode=0o755)
    return directory
