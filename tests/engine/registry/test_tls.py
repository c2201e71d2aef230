"""TLS: authorities of one's own, client certificates, plain HTTP only where it is allowed; proxies."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pyctr_engine.errors import RegistryError
from pyctr_engine.images.store import ImageStore
from tests.engine.registry.conftest import Configure
from tests.engine.registry.publisher import Publisher, files
from tests.engine.registry.servers import Proxy, authority, certified, docker_registry, proxy, redirects

pytestmark = pytest.mark.root


@dataclass
class Secured:
    """A registry over TLS: where, its authority, and the proxy it stands behind."""

    address: str
    ca: tuple[str, str]
    directory: Path
    server: tuple[str, str]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Secured:
    directory = tmp_path_factory.mktemp("certificates")
    ca = authority(directory)
    return Secured("", ca, directory, certified(directory, ca, "server"))


@pytest.fixture(scope="session")
def secured(certificates: Secured, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """docker-registry over TLS."""
    with docker_registry(tmp_path_factory.mktemp("secured"), "", *certificates.server) as address:
        yield address


@pytest.fixture
def behind(publisher: Publisher, certificates: Secured) -> Iterator[Proxy]:
    """A TLS proxy in front of the plain registry, which has an image ``1``."""
    publisher.image("1", [files(a=b"x")])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates.server)
    with proxy(publisher.address, context) as made:
        yield made


def trust(tmp_path: Path, address: str, certificates: Secured) -> Path:
    """Put the authority where docker looks for it."""
    directory = tmp_path / "certs.d" / address
    directory.mkdir(parents=True)
    shutil.copy(certificates.ca[0], directory / "ca.crt")
    return directory


def test_an_authority_of_ones_own(
    store: ImageStore, publisher: Publisher, behind: Proxy, certificates: Secured, tmp_path: Path
) -> None:
    name = f"{behind.address}/{publisher.path}:1"
    with pytest.raises(RegistryError, match=r"the certificate of .* can't be trusted: ") as caught:
        store.pull(name)
    assert f"{tmp_path}/certs.d/{behind.address}/ca.crt" in caught.value.hint
    assert not behind.seen
    trust(tmp_path, behind.address, certificates)
    assert store.pull(name).newer


def test_the_real_registry_over_tls(
    store: ImageStore, secured: str, certificates: Secured, configure: Configure, tmp_path: Path
) -> None:
    configure(f'[registry."{secured}"]\nca = "{certificates.ca[0]}"')
    (tmp_path / "rootfs.tar").write_bytes(files(a=b"x"))
    store.import_tar(str(tmp_path / "rootfs.tar"), f"{secured}/app:1")
    pushed = store.push(f"{secured}/app:1")
    store.remove(f"{secured}/app:1")
    assert store.pull(f"{secured}/app:1").digest == pushed.digest


def test_insecure_is_said_per_registry(
    store: ImageStore, publisher: Publisher, behind: Proxy, configure: Configure
) -> None:
    configure(f'[registry."{behind.address}"]\ninsecure = true')
    assert store.pull(f"{behind.address}/{publisher.path}:1").newer


def test_a_client_certificate(store: ImageStore, publisher: Publisher, certificates: Secured, tmp_path: Path) -> None:
    publisher.image("1", [files(a=b"x")])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates.server)
    context.load_verify_locations(certificates.ca[0])
    context.verify_mode = ssl.CERT_REQUIRED
    with proxy(publisher.address, context) as guarded:
        directory = trust(tmp_path, guarded.address, certificates)
        name = f"{guarded.address}/{publisher.path}:1"
        with pytest.raises(RegistryError):
            store.pull(name)
        certified(directory, certificates.ca, "client", "clientAuth")
        assert store.pull(name).newer


def test_nothing_goes_from_tls_to_plain(
    store: ImageStore, publisher: Publisher, behind: Proxy, certificates: Secured, configure: Configure
) -> None:
    """A registry elsewhere may not send us to plain HTTP; its name leads here by a proxy for TLS."""
    configure('[registry."registry.example"]\nmirrors = ["http://mirror.example:5000"]\nblocked = true')
    with pytest.raises(RegistryError, match="it has no TLS"):
        store.pull("registry.example/x")
    configure(f'[registry."{behind.address}"]\nca = "{certificates.ca[0]}"')
    behind.wrong("GET", "/blobs/", redirects(lambda handler: f"http://127.0.0.1:9{handler.path}"))
    with pytest.raises(RegistryError, match="connection refused"):
        store.pull(f"{behind.address}/{publisher.path}:1")


def test_a_proxy_from_the_environment(
    store: ImageStore, publisher: Publisher, faulty: Proxy, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain HTTP to a host that only the proxy knows; the proxy is ours, and gets absolute URLs."""
    publisher.image("1", [files(a=b"x")])
    configure('[registry."registry.example:80"]\ninsecure = true\nmirrors = ["http://registry.example:80"]')
    monkeypatch.setenv("http_proxy", f"http://user:proxy-secret@{faulty.address}")
    store.pull(f"registry.example:80/{publisher.path}:1")
    assert all(seen.path.startswith("http://registry.example:80/v2/") for seen in faulty.seen)
    assert all("proxy-authorization" in map(str.lower, seen.headers) for seen in faulty.seen)
    monkeypatch.setenv("no_proxy", "registry.example")
    with pytest.raises(RegistryError, match=r"there is no host registry\.example") as caught:
        store.pull(f"registry.example:80/{publisher.path}:1")
    assert "proxy-secret" not in str(caught.value)


def test_loopback_needs_no_proxy(store: ImageStore, publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    publisher.image("1", [files(a=b"x")])
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert store.pull(f"{publisher.address}/{publisher.path}:1").newer


def test_who_is_not_there(store: ImageStore) -> None:
    with pytest.raises(RegistryError, match=r"cannot reach 127.0.0.1:9: 127.0.0.1:9: connection refused"):
        store.pull("127.0.0.1:9/x")


def test_who_is_no_registry(store: ImageStore, faulty: Proxy) -> None:
    faulty.wrong("GET", "/v2/$", lambda handler: handler.answer(404, {}, b"") or True)
    with pytest.raises(RegistryError, match="is no registry: /v2/ answers 404 Not Found"):
        store.pull(f"{faulty.address}/x")
