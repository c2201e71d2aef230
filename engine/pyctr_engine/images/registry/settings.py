"""What the administrator says about registries, in TOML: ``/etc/pyctr-tui/registries.toml`` (PYCTR_REGISTRIES).

::

    attempts = 6           # how often something is tried before it is given up
    delay = 0.5            # seconds before the second attempt; they double
    timeout = 60           # seconds without a byte after which a connection counts as dead
    parallel = 4           # layers under way at once
    certificates = ["/etc/pyctr-tui/certs.d", "/etc/docker/certs.d", "/etc/containers/certs.d"]

    [registry."docker.io"]
    mirrors = ["https://mirror.example.org"]   # asked first, in this order; pulls only
    blocked = false                            # whether nothing is pulled from it or pushed to it

    [registry."registry.lan:5000"]
    insecure = true        # plain HTTP, or a certificate that nobody vouches for
    ca = "/etc/ssl/lan.pem"
    certificate = "/etc/ssl/me.cert"
    key = "/etc/ssl/me.key"

In a directory of ``certificates`` there is one per registry (``registry.lan:5000/``) with authorities in ``*.crt``
and client certificates in pairs ``*.cert`` and ``*.key``, as docker has it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pyctr_engine.errors import InvalidValue, from_os_error
from pyctr_engine.paths import is_rootless
from pyctr_engine.record import dataclass, field

VARIABLE = "PYCTR_REGISTRIES"
_HINT = "the README says what it may hold"
_SYSTEM_FILE = "/etc/pyctr-tui/registries.toml"
_CERTIFICATES = ("/etc/pyctr-tui/certs.d", "/etc/docker/certs.d", "/etc/containers/certs.d")


@dataclass(frozen=True, slots=True)
class Host:
    """What is said about one registry; ``mirrors`` are URLs."""

    mirrors: tuple[str, ...] = ()
    insecure: bool = False
    blocked: bool = False
    ca: str = ""
    certificate: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """All that is said; see the module."""

    attempts: int = 6
    delay: float = 0.5
    timeout: float = 60.0
    parallel: int = 4
    certificates: tuple[str, ...] = _CERTIFICATES
    hosts: Mapping[str, Host] = field(default_factory=dict)

    def host(self, name: str) -> Host:
        """What is said about the registry ``name`` (``host[:port]``)."""
        return self.hosts.get(name, Host())


def load() -> Settings:
    """The settings in force; the defaults without a file. Raises InvalidValue."""
    named = os.environ.get(VARIABLE)
    for path in [named] if named else [_user_file(), _SYSTEM_FILE]:
        if path and (named or os.path.exists(path)):
            return read(path)
    return Settings()


def _user_file() -> str:
    if not is_rootless():
        return ""
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return f"{base}/pyctr-tui/registries.toml"


def read(path: str) -> Settings:
    """Read one file. Raises InvalidValue, naming what is wrong in it."""
    import tomllib

    try:
        with open(path, "rb") as file:
            document = tomllib.load(file)
    except OSError as error:
        raise from_os_error(error, "read the registries' settings") from error
    except ValueError as error:
        raise InvalidValue(f"{path} is not TOML: {error}", _HINT) from error
    registries = document.pop("registry", {})
    if not isinstance(registries, dict):
        raise _wrong(path, "registry", registries)
    hosts = {name: Host(**_fields(path, f'registry."{name}"', value, _HOST)) for name, value in registries.items()}
    return Settings(**_fields(path, "", document, _GENERAL), hosts=hosts)


_GENERAL = {"attempts": int, "delay": float, "timeout": float, "parallel": int, "certificates": tuple}
_HOST = {"mirrors": tuple, "insecure": bool, "blocked": bool, "ca": str, "certificate": str, "key": str}


def _fields(path: str, where: str, table: object, kinds: Mapping[str, type]) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise _wrong(path, where, table)
    found: dict[str, Any] = {}
    for name, value in table.items():
        kind = kinds.get(name)
        if kind is None:
            raise InvalidValue(f"{path}: there is no setting {_join(where, name)}", f"known: {', '.join(kinds)}")
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if kind is tuple and isinstance(value, list) and all(isinstance(item, str) for item in value):
            value = tuple(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise _wrong(path, _join(where, name), value)
        if isinstance(value, (int, float)) and kind is not bool and value <= 0:
            raise InvalidValue(f"{path}: {_join(where, name)} must be more than 0, not {value}")
        found[name] = value
    return found


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _wrong(path: str, where: str, value: object) -> InvalidValue:
    return InvalidValue(f"{path}: {where} can't be {value!r}", _HINT)
