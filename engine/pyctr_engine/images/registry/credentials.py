"""The files and helper programs in which docker and podman keep passwords.

Looked up in this order: ``$REGISTRY_AUTH_FILE``; ``$DOCKER_CONFIG/config.json`` or ``~/.docker/config.json``;
``$XDG_RUNTIME_DIR/containers/auth.json``; ``~/.config/containers/auth.json``. `store` writes to the first two.
Sources: docker login's documentation, containers-auth.json(5), docker-credential-helpers.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
from collections.abc import Iterator

from pyctr_engine.errors import NotFound, RegistryError, StoreError, from_os_error
from pyctr_engine.model.reference import DEFAULT_DOMAIN
from pyctr_engine.record import dataclass

DOCKER_HUB = "https://index.docker.io/v1/"
"""What docker calls docker.io in its files."""

_TOKEN_USER = "<token>"  # noqa: S105  how helpers say that the secret is an identity token
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HELPER_SECONDS = 60
_ABSENT = "credentials not found"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and password, or an identity token; they never show in a repr."""

    username: str
    password: str
    identity_token: str = ""

    def __repr__(self) -> str:
        return f"Credentials({self.username!r})"


def find(domain: str, path: str = "") -> Credentials | None:
    """The credentials for a repository of a registry; ``None`` for none.

    Raises:
        StoreError: a file that can't be read.
        RegistryError: a helper that fails.
    """
    for file in _files():
        document = _read(file)
        found = _from_helpers(document, _key(domain))
        for key in _keys(domain, path):
            found = found or _from_auths(document, key)
        if found is not None:
            return found
    return None


def store(domain: str, credentials: Credentials) -> str:
    """Keep credentials; where they are now, for people to read. Raises StoreError, RegistryError."""
    file = _own_file()
    document = _read(file)
    key = _key(domain)
    helper = _helper(document, key)
    if helper:
        secret = credentials.identity_token or credentials.password
        user = _TOKEN_USER if credentials.identity_token else credentials.username
        _run(helper, "store", json.dumps({"ServerURL": key, "Username": user, "Secret": secret}))
        return f"the credential helper {helper}"
    auth = base64.b64encode(f"{credentials.username}:{credentials.password}".encode()).decode()
    entry: dict[str, object] = {"auth": auth}
    if credentials.identity_token:
        auth = base64.b64encode(f"{credentials.username}:".encode()).decode()
        entry = {"auth": auth, "identitytoken": credentials.identity_token}
    _write(file, {**document, "auths": {**_auths(document), key: entry}})
    return file


def forget(domain: str) -> bool:
    """Erase the credentials for a registry wherever they are; whether there were any."""
    found = False
    for file in _files():
        document = _read(file)
        helper = _helper(document, _key(domain))
        if helper and _ask(helper, _key(domain)) is not None:
            _run(helper, "erase", _key(domain))
            found = True
        auths = _auths(document)
        kept = {key: value for key, value in auths.items() if _host(key) != _host(_key(domain))}
        if kept != auths:
            _write(file, {**document, "auths": kept})
            found = True
    return found


def _files() -> Iterator[str]:
    own = _own_file()
    home = os.path.expanduser("~")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    found = [own, _docker_file()]
    if not os.environ.get("REGISTRY_AUTH_FILE"):
        found += [f"{runtime}/containers/auth.json"] if runtime else []
        found.append(f"{os.environ.get('XDG_CONFIG_HOME') or home + '/.config'}/containers/auth.json")
    yield from dict.fromkeys(found)


def _own_file() -> str:
    return os.environ.get("REGISTRY_AUTH_FILE") or _docker_file()


def _docker_file() -> str:
    return f"{os.environ.get('DOCKER_CONFIG') or os.path.expanduser('~/.docker')}/config.json"


def _key(domain: str) -> str:
    return DOCKER_HUB if domain == DEFAULT_DOMAIN else domain


def _keys(domain: str, path: str) -> list[str]:
    """What an entry may be called, the most particular first: podman also keeps them by repository."""
    parts = path.split("/") if path else []
    names = ["/".join([domain, *parts[:count]]) for count in range(len(parts), 0, -1)]
    return [*names, *dict.fromkeys([_key(domain), domain])]


def _host(key: str) -> str:
    """An entry's host: docker once wrote URLs."""
    host = key.partition("://")[2] or key
    host = host.split("/")[0]
    return DEFAULT_DOMAIN if host in ("index.docker.io", "registry-1.docker.io") else host


def _read(file: str) -> dict[str, object]:
    try:
        with open(file, "rb") as stream:
            document = json.loads(stream.read() or b"{}")
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise from_os_error(error, "read the credentials") from error
    except ValueError as error:
        raise StoreError(f"{file} is not JSON", "mend it, or remove it and log in again") from error
    if not isinstance(document, dict):
        raise StoreError(f"{file} holds no JSON object", "mend it, or remove it and log in again")
    return document


def _write(file: str, document: dict[str, object]) -> None:
    """Whole or not at all, for its owner's eyes only."""
    directory = os.path.dirname(os.path.realpath(file))
    aside = f"{directory}/.{os.path.basename(file)}.{os.urandom(8).hex()}"
    try:
        os.makedirs(directory, 0o700, exist_ok=True)
        fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(fd, "wb") as stream:
                stream.write(json.dumps(document, indent="\t").encode() + b"\n")
                stream.flush()
                os.fsync(fd)
            os.rename(aside, os.path.realpath(file))
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(aside)
            raise
    except OSError as error:
        raise from_os_error(error, "keep the credentials") from error


def _auths(document: dict[str, object]) -> dict[str, object]:
    auths = document.get("auths")
    return auths if isinstance(auths, dict) else {}


def _from_auths(document: dict[str, object], key: str) -> Credentials | None:
    auths = _auths(document)
    entry = auths.get(key)
    if entry is None and "/" not in key.partition("://")[2].rstrip("/") and ("/" not in key or "://" in key):
        entry = next((value for name, value in auths.items() if "://" in name and _host(name) == _host(key)), None)
    if not isinstance(entry, dict):
        return None
    username, password = _text(entry, "username"), _text(entry, "password")
    with contextlib.suppress(ValueError):
        text = base64.b64decode(_text(entry, "auth"), validate=True).decode()
        if ":" in text:
            username, _, password = text.partition(":")
    password = password.rstrip("\0")
    token = _text(entry, "identitytoken")
    return Credentials(username, password, token) if token or username else None


def _text(entry: dict[str, object], name: str) -> str:
    value = entry.get(name)
    return value if isinstance(value, str) else ""


def _helper(document: dict[str, object], key: str) -> str:
    """The name of the helper that keeps this registry's credentials; empty for none."""
    helpers = document.get("credHelpers")
    name: object = None
    if isinstance(helpers, dict):
        name = helpers.get(key) or helpers.get(_host(key))
    name = name or document.get("credsStore") or ""
    if not isinstance(name, str) or (name and not _HELPER.fullmatch(name)):
        raise StoreError(f"impossible name of a credential helper: {name!r}", "mend credHelpers or credsStore")
    return name


def _from_helpers(document: dict[str, object], key: str) -> Credentials | None:
    helper = _helper(document, key)
    return _ask(helper, key) if helper else None


def _ask(helper: str, key: str) -> Credentials | None:
    try:
        answer = json.loads(_run(helper, "get", key))
        username, secret = str(answer["Username"]), str(answer["Secret"])
    except NotFound:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise RegistryError(f"the credential helper {helper} answers something else than credentials") from error
    if username == _TOKEN_USER:
        return Credentials("", "", secret)
    return Credentials(username, secret) if username or secret else None


def _run(helper: str, action: str, text: str) -> str:
    """What the helper program says. NotFound: it has nothing for us."""
    import subprocess

    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run(
            [program, action], input=text, capture_output=True, text=True, timeout=_HELPER_SECONDS, check=False
        )
    except FileNotFoundError as error:
        raise RegistryError(
            f"there is no credential helper {program}", "install it, or take it out of docker's config.json"
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RegistryError(f"the credential helper {program} does not answer") from error
    if done.returncode:
        if _ABSENT in done.stdout:
            raise NotFound(f"{program} has no such credentials")
        # What it printed may hold the secret that it was given: only `get` was given none.
        said = f": {done.stdout.strip()[:200]}" if action == "get" and done.stdout.strip() else ""
        raise RegistryError(f"the credential helper {program} failed to {action} them{said}")
    return done.stdout
