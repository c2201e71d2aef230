"""A small engine with a small image, and what a store that is as it should be looks like."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyctr_engine.engine import Engine
from pyctr_engine.model.host import Finding
from pyctr_engine.model.spec import ContainerRequest
from pyctr_engine.paths import Paths
from tests.engine.images.tars import entry, tar, write

THOROUGH = os.environ.get("PYCTR_CHAOS") == "all"
"""Whether to go through every step, not one of each kind: `make chaos`."""


def busybox() -> bytes:
    """A system of one program, statically linked; with something in /data."""
    with open("/bin/busybox", "rb") as file:
        program = file.read()
    names = [entry(f"bin/{name}", tarfile.SYMTYPE, linkname="busybox") for name in ("sh", "true", "sleep", "cat")]
    return tar(
        entry("bin", tarfile.DIRTYPE),
        entry("bin/busybox", data=program, mode=0o755),
        *names,
        entry("data", tarfile.DIRTYPE),
        entry("data/seed", data=b"seed"),
        entry("etc", tarfile.DIRTYPE),
        entry("etc/passwd", data=b"root:x:0:0::/:/bin/sh\n"),
    )


class Place:
    """An engine and what it can work with."""

    def __init__(self, paths: Paths, archive: str) -> None:
        self.paths = paths
        self.archive = archive
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """This process's engine."""
        if self._engine is None:
            self._engine = self.fresh()
        return self._engine

    def rest(self) -> None:
        """Let go of all: before a fork, since SQLite's connections don't survive one."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def fresh(self) -> Engine:
        """Another engine of the same directories, as another process has."""
        return Engine(self.paths)

    def wrong(self) -> list[Finding]:
        """What a check says that is not all right."""
        return [finding for finding in self.engine.check() if finding.level != "ok"]

    def ended(self, name: str, *command: str) -> str:
        """A container that has run and ended; its id."""
        container, session = self.engine.run(ContainerRequest("small", command=command or ("true",), name=name))
        assert session.wait() == 0
        session.close()
        return container.id


@pytest.fixture
def place(no_leaks: Paths, tmp_path: Path) -> Iterator[Place]:
    """An engine with the image ``small``."""
    archive = write(tmp_path / "small.tar", busybox())
    place = Place(no_leaks, archive)
    place.engine.import_image(archive, "small", ["CMD true"])
    yield place
    for container in place.engine.containers():
        place.engine.remove(container.id, force=True, volumes=True)
    wrong = place.wrong()
    place.rest()
    assert not wrong, wrong
