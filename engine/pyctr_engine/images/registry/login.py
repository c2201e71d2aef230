"""Logging in and out: credentials are tried before they are kept."""

from __future__ import annotations

import threading

from pyctr_engine.errors import InvalidValue
from pyctr_engine.images.registry import credentials
from pyctr_engine.images.registry.client import Registry, Repository
from pyctr_engine.images.registry.credentials import Credentials
from pyctr_engine.images.registry.sources import connections, registry_repository
from pyctr_engine.model.reference import DEFAULT_DOMAIN, Reference


def domain_of(server: str) -> str:
    """What people call a registry as references do: URLs and paths are taken too. Raises InvalidValue."""
    host = (server.partition("://")[2] or server).split("/")[0]
    if not host or host in ("index.docker.io", "registry-1.docker.io"):
        return DEFAULT_DOMAIN
    try:
        Reference.parse(f"{host}/x") if "." in host or ":" in host else Reference.parse(f"{host}:443/x")
    except InvalidValue:
        raise InvalidValue(f"{server!r} is no registry", "a registry looks like host or host:port") from None
    return host


def login(server: str, username: str, password: str, cancel: threading.Event | None = None) -> str:
    """Try credentials and keep them; where they are now, for people to read.

    Empty ones: try those that are kept.

    Raises:
        NotPermitted: they are not accepted. RegistryError, StoreError, InvalidValue.
    """
    domain = domain_of(server)
    who = Credentials(username, password) if username else credentials.find(domain)
    with connections(cancel) as transport:
        Registry(transport, domain, who=who).login()
    return credentials.store(domain, who) if username and who is not None else ""


def kept_username(server: str) -> str:
    """Whose credentials are kept for a registry; empty for none."""
    found = credentials.find(domain_of(server))
    return found.username or "an identity token" if found else ""


def logout(server: str) -> bool:
    """Forget credentials; whether there were any."""
    return credentials.forget(domain_of(server))


def tags(name: str, cancel: threading.Event | None = None) -> list[str]:
    """All tags of a repository, as its registry lists them."""
    reference = Reference.parse(name)
    with connections(cancel) as transport:
        found: Repository = registry_repository(transport, reference)
        return found.tags()
