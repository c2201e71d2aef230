"""A registry for all tests of this room, stores and settings of each test's own. Nothing leaves this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyctr_engine.images.store import ImageStore
from pyctr_engine.paths import Paths
from tests.engine.registry.publisher import Publisher
from tests.engine.registry.servers import Proxy, docker_registry, proxy

Configure = Callable[[str], None]

PATIENT = "attempts = 4\ndelay = 0.01\ntimeout = 1\n"
"""Settings that keep tests short."""


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry that lets everybody do everything."""
    with docker_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture
def publisher(address: str, request: pytest.FixtureRequest) -> Publisher:
    """A repository of the test's own."""
    name = "".join(character for character in request.node.name.lower() if character.isalnum())
    return Publisher(address, f"tests/{name[:80]}")


@pytest.fixture
def faulty(address: str) -> Iterator[Proxy]:
    """A proxy in front of the registry."""
    with proxy(address) as made:
        yield made


@pytest.fixture(autouse=True)
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Settings and credentials of the test's own; call it to add to the settings."""
    file = tmp_path / "registries.toml"

    def configure(more: str) -> None:
        file.write_text(PATIENT + f'certificates = ["{tmp_path}/certs.d"]\n' + more)

    configure("")
    monkeypatch.setenv("PYCTR_REGISTRIES", str(file))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (
        "REGISTRY_AUTH_FILE",
        "XDG_RUNTIME_DIR",
        "XDG_CONFIG_HOME",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return configure


@pytest.fixture
def store(paths: Paths) -> ImageStore:
    """An empty image store."""
    return ImageStore(paths)
