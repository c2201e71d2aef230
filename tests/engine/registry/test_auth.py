"""Logging in: passwords, tokens, helper programs; and where credentials never go."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyctr_engine.engine import Engine
from pyctr_engine.errors import EngineError, NotPermitted, RegistryError
from pyctr_engine.images.store import ImageStore
from pyctr_engine.paths import Paths
from tests.engine.registry.publisher import Publisher, digest, files
from tests.engine.registry.servers import Proxy, docker_registry, htpasswd, proxy, redirects, says

pytestmark = pytest.mark.root

SECRET = "s3cret:with=odd/bytes"


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry that lets alice in, with a password."""
    directory = tmp_path_factory.mktemp("guarded")
    with docker_registry(directory, htpasswd(directory, "alice", SECRET)) as address:
        yield address


@pytest.fixture
def engine(paths: Paths) -> Iterator[Engine]:
    engine = Engine(paths)
    yield engine
    engine.close()


def tar_file(tmp_path: Path, data: bytes) -> str:
    (tmp_path / "rootfs.tar").write_bytes(data)
    return str(tmp_path / "rootfs.tar")


def docker_file() -> Path:
    return Path(os.environ["DOCKER_CONFIG"], "config.json")


def test_a_password(engine: Engine, guarded: str, tmp_path: Path) -> None:
    name = f"{guarded}/app:1"
    engine.import_image(tar_file(tmp_path, files(a=b"x")), name)
    with pytest.raises(NotPermitted, match=f"{guarded} wants a user name and password"):
        engine.push(name)
    with pytest.raises(NotPermitted, match="does not accept the user name or password"):
        engine.login(guarded, "alice", "wrong")
    assert not docker_file().exists(), "what isn't accepted isn't kept"
    assert engine.login(guarded, "alice", SECRET) == str(docker_file())
    assert stat.S_IMODE(docker_file().stat().st_mode) == 0o600
    assert engine.login_name(guarded) == "alice"
    engine.login(guarded)
    engine.push(name)
    engine.remove_image(name)
    assert engine.pull(name).newer
    assert engine.logout(guarded)
    assert not engine.logout(guarded)
    with pytest.raises(NotPermitted):
        engine.pull(name)


def test_login_keeps_what_else_the_file_holds(engine: Engine, guarded: str) -> None:
    docker_file().parent.mkdir()
    docker_file().write_text('{"auths": {"other": {"auth": "eDp5"}}, "HttpHeaders": {"X": "y"}}')
    engine.login(guarded, "alice", SECRET)
    engine.logout(guarded)
    assert json.loads(docker_file().read_text()) == {"auths": {"other": {"auth": "eDp5"}}, "HttpHeaders": {"X": "y"}}


@pytest.mark.parametrize("where", ["docker", "podman", "named", "by repository", "old docker"])
def test_credentials_of_other_tools(
    engine: Engine, guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    key = {"by repository": f"{guarded}/app", "old docker": f"http://{guarded}/v1/"}.get(where, guarded)
    file = docker_file()
    if where in ("podman", "by repository"):
        file = tmp_path / ".config/containers/auth.json"
    elif where == "named":
        file = tmp_path / "named.json"
        monkeypatch.setenv("REGISTRY_AUTH_FILE", str(file))
    file.parent.mkdir(parents=True, exist_ok=True)
    auth = base64.b64encode(f"alice:{SECRET}".encode()).decode()
    file.write_text(json.dumps({"auths": {key: {"auth": auth}}}))
    engine.import_image(tar_file(tmp_path, files(a=b"x")), f"{guarded}/app:1")
    engine.push(f"{guarded}/app:1")
    other = f"{guarded}/other:1"
    engine.tag(f"{guarded}/app:1", other)
    if where == "by repository":
        with pytest.raises(NotPermitted):
            engine.push(other)
    else:
        engine.push(other)


HELPER = """#!{python}
import json, sys
store = {store!r}
try:
    kept = json.load(open(store))
except FileNotFoundError:
    kept = {{}}
action, text = sys.argv[1], sys.stdin.read()
if action == "get":
    if text not in kept:
        print("credentials not found in native keychain")
        sys.exit(1)
    print(json.dumps(kept[text]))
elif action == "store":
    entry = json.loads(text)
    kept[entry["ServerURL"]] = entry
else:
    del kept[text]
json.dump(kept, open(store, "w"))
"""


@pytest.mark.parametrize("how", ["credsStore", "credHelpers"])
def test_a_credential_helper(
    engine: Engine, guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    program, kept = tmp_path / "bin/docker-credential-tests", tmp_path / "kept.json"
    program.parent.mkdir()
    program.write_text(HELPER.format(python=sys.executable, store=str(kept)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    docker_file().parent.mkdir()
    docker_file().write_text(json.dumps({how: "tests" if how == "credsStore" else {guarded: "tests"}}))
    with pytest.raises(NotPermitted):
        engine.pull(f"{guarded}/nothing")
    assert engine.login(guarded, "alice", SECRET) == "the credential helper tests"
    assert json.loads(kept.read_text())[guarded]["Secret"] == SECRET
    assert SECRET not in docker_file().read_text()
    engine.login(guarded)
    assert engine.logout(guarded)
    assert json.loads(kept.read_text()) == {}
    program.write_text("#!/bin/sh\necho $(cat) >&2; exit 3")
    with pytest.raises(RegistryError, match="failed to store them") as caught:
        engine.login(guarded, "alice", SECRET)
    assert SECRET not in str(caught.value)
    with pytest.raises(RegistryError, match="failed to get them"):
        engine.pull(f"{guarded}/nothing")


def test_tokens(engine: Engine, publisher: Publisher, faulty: Proxy, tmp_path: Path) -> None:
    faulty.want_tokens({"alice": SECRET})
    name = f"{faulty.address}/{publisher.path}:1"
    engine.import_image(tar_file(tmp_path, files(a=b"x")), name)
    with pytest.raises(NotPermitted, match="wants a user name and password"):
        engine.push(name)
    with pytest.raises(NotPermitted, match="does not accept"):
        engine.login(faulty.address, "alice", "wrong")
    engine.login(faulty.address, "alice", SECRET)
    engine.push(name)
    engine.remove_image(name)
    faulty.seen.clear()
    engine.pull(name)
    assert faulty.count("GET", "/token") == 1, "one token is enough for a manifest and all blobs"
    passwords = [seen for seen in faulty.seen if seen.headers.get("Authorization", "").startswith("Basic")]
    assert [seen.path.partition("?")[0] for seen in passwords] == ["/token"]


def test_an_identity_token(store: ImageStore, publisher: Publisher, faulty: Proxy) -> None:
    """What a login leaves where registries give one instead of keeping the password: it buys tokens by POST."""
    publisher.image("1", [files(a=b"x")])
    faulty.want_tokens({"identity": "", "alice": SECRET})
    docker_file().parent.mkdir()
    entry = {"auth": base64.b64encode(b"alice:").decode(), "identitytoken": "identity"}
    docker_file().write_text(json.dumps({"auths": {faulty.address: entry}}))
    store.pull(f"{faulty.address}/{publisher.path}:1")
    assert faulty.count("POST", "/token") == 1
    docker_file().write_text(json.dumps({"auths": {faulty.address: {**entry, "identitytoken": "stale"}}}))
    with pytest.raises(NotPermitted, match="does not accept"):
        store.pull(f"{faulty.address}/{publisher.path}:1")


def test_tokens_for_everybody(store: ImageStore, address: str, faulty: Proxy) -> None:
    Publisher(address, "free/app").image("1", [files(a=b"x")])
    faulty.want_tokens({})
    store.pull(f"{faulty.address}/free/app:1")


def test_a_token_that_is_no_longer_good_is_replaced(store: ImageStore, address: str, faulty: Proxy) -> None:
    Publisher(address, "free/app").image("2", [files(a=b"y")])
    faulty.want_tokens({})

    def forget(handler: object) -> bool:
        faulty.tokens.clear()
        return False

    faulty.wrong("GET", "/manifests/", forget)
    store.pull(f"{faulty.address}/free/app:2")
    assert faulty.count("GET", "/token") == 2


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b'{"token": 5}', b'{"token": "a\\nb"}', b"{" * 100_000, b'{"token":"x","expires_in":"y"}'],
)
def test_a_token_server_that_is_wrong(store: ImageStore, faulty: Proxy, body: bytes) -> None:
    with proxy(faulty.address) as seller:
        seller.wrong("GET", "/token", lambda handler: handler.answer(200, {}, body) or True)
        realm = f'Bearer realm="http://{seller.address}/token",service="x"'
        faulty.wrong("GET", "/", says(401, WWW_Authenticate=realm))
        with pytest.raises(RegistryError, match="answers something else than a token"):
            store.pull(f"{faulty.address}/x")


@pytest.mark.parametrize(
    "realm", ["ftp://127.0.0.1/", "", "http://alice:pw@127.0.0.1/", "http://[x/", "http://x:99999/"]
)
def test_an_impossible_token_server(store: ImageStore, faulty: Proxy, realm: str) -> None:
    faulty.wrong("GET", "/", says(401, WWW_Authenticate=f'Bearer realm="{realm}"'))
    with pytest.raises(RegistryError, match="names an impossible token server") as caught:
        store.pull(f"{faulty.address}/x")
    assert "pw" not in str(caught.value)


def test_credentials_stay_where_they_belong(engine: Engine, guarded: str, tmp_path: Path) -> None:
    """A redirect to another host gets neither password nor token, and the error shows neither."""
    name = "app:1"
    engine.import_image(tar_file(tmp_path, files(a=b"x")), f"{guarded}/{name}")
    engine.login(guarded, "alice", SECRET)
    engine.push(f"{guarded}/{name}")
    with proxy(guarded) as registry, proxy(guarded) as elsewhere:
        registry.pass_credentials = elsewhere.pass_credentials = True
        engine.login(registry.address, "alice", SECRET)
        registry.wrong("GET", "/blobs/", redirects(lambda handler: f"http://{elsewhere.address}{handler.path}"))
        with pytest.raises(NotPermitted) as caught:
            engine.pull(f"{registry.address}/{name}")
        assert elsewhere.seen
        assert not [seen for seen in elsewhere.seen if "Authorization" in seen.headers]
        assert [seen for seen in registry.seen if "Authorization" in seen.headers]
        assert SECRET not in repr(caught.value) + caught.value.hint


def test_a_signed_address_is_not_shown(store: ImageStore, publisher: Publisher, faulty: Proxy) -> None:
    layer = files(a=b"x")
    publisher.image("1", [layer], compression="none")
    target = f"http://user:pw@{faulty.address}/elsewhere?signature=SIGNED"
    faulty.wrong("GET", f"/blobs/{digest(layer)}", redirects(lambda _handler: target))
    with pytest.raises(EngineError) as caught:
        store.pull(f"{faulty.address}/{publisher.path}:1")
    assert "SIGNED" not in str(caught.value)
    assert "pw" not in str(caught.value)


def test_the_command_line(guarded: str, paths: Paths) -> None:
    program = os.path.join(os.path.dirname(sys.executable), "pyctr-tui")

    def call(*words: str, text: str = "") -> subprocess.CompletedProcess[str]:
        options = ["--state-dir", paths.state, "--run-dir", paths.run]
        return subprocess.run([program, *options, *words], input=text, capture_output=True, text=True, check=False)

    done = call("login", "-u", "alice", "--password-stdin", guarded, text=SECRET + "\n")
    assert (done.returncode, done.stdout) == (0, "Login Succeeded\n")
    assert SECRET not in done.stderr
    assert call("login", guarded).stdout == "Login Succeeded\n"
    done = call("login", "-u", "alice", "-p", "wrong", guarded)
    assert done.returncode == 1
    assert "does not accept the user name or password" in done.stderr
    done = call("login", "-u", "bob", guarded)
    assert done.returncode == 125
    assert "there is no terminal to ask for a password" in done.stderr
    assert call("logout", guarded).stdout == f"Removed the login credentials for {guarded}\n"
    assert call("logout", guarded).stdout == f"Not logged in to {guarded}\n"
