"""Image references: what people type to name an image, by docker's rules.

Grammar: ``[domain/]path[:tag][@digest]`` (distribution/reference). ``nginx`` means
``docker.io/library/nginx:latest``; the familiar form leaves out what is understood.
"""

from __future__ import annotations

import re

from pyctr_engine.errors import InvalidValue
from pyctr_engine.record import dataclass

DEFAULT_DOMAIN = "docker.io"
_LEGACY_DOMAIN = "index.docker.io"
_OFFICIAL = "library/"
DEFAULT_TAG = "latest"
MAX_NAME = 255
"""Bytes of domain and path together."""

_HINT = "a reference looks like name, name:tag or host:port/path/name:tag, in lower case"
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_IDENTIFIER = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Reference:
    """A parsed reference.

    Attributes:
        domain: The registry's host, with port if it has one.
        path: The repository; ``library/`` stands before docker.io's one-word names.
        tag: ``latest`` when neither tag nor digest was given; empty beside a lone digest.
        digest: ``sha256:…``; empty for none.
    """

    domain: str
    path: str
    tag: str
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a reference as docker does; raises InvalidValue."""
        rest, at, digest = text.partition("@")
        if at and not _DIGEST.fullmatch(digest):
            raise InvalidValue(f"invalid reference {text!r}: {digest!r} is not a digest", _HINT)
        if _IDENTIFIER.fullmatch(rest):
            raise InvalidValue(f"invalid reference {text!r}: 64 hex digits are an image id, not a name", _HINT)
        name, colon, tag = rest.rpartition(":")
        if not colon or "/" in tag:
            name, tag, colon = rest, "", ""
        if colon and not _TAG.fullmatch(tag):
            raise InvalidValue(f"invalid reference {text!r}: {tag!r} is not a tag", _HINT)
        domain, path = _split_domain(name)
        if path != path.lower():
            raise InvalidValue(f"invalid reference {text!r}: the name must be in lower case", _HINT)
        if not _DOMAIN.fullmatch(domain) or not _PATH.fullmatch(path):
            raise InvalidValue(f"invalid reference {text!r}", _HINT)
        if len(domain) + 1 + len(path) > MAX_NAME:
            raise InvalidValue(f"invalid reference {text[:40]!r}…: longer than {MAX_NAME} characters", _HINT)
        return cls(domain, path, tag or ("" if digest else DEFAULT_TAG), digest)

    @property
    def name(self) -> str:
        """The familiar name alone: neither tag nor digest, what is understood left out."""
        if self.domain != DEFAULT_DOMAIN:
            return f"{self.domain}/{self.path}"
        one_word = self.path.removeprefix(_OFFICIAL)
        return self.path if "/" in one_word else one_word

    @property
    def familiar(self) -> str:
        """As people write it, tag always shown: ``pyctr/base:latest``."""
        return self.name + self._suffix

    @property
    def canonical(self) -> str:
        """In full: ``docker.io/library/nginx:latest``."""
        return f"{self.domain}/{self.path}{self._suffix}"

    @property
    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def _split_domain(name: str) -> tuple[str, str]:
    """The first component is a host if it looks like one; what else is of docker.io."""
    first, slash, rest = name.partition("/")
    is_host = "." in first or ":" in first or first == "localhost" or first != first.lower()
    domain, path = (first, rest) if slash and is_host else (DEFAULT_DOMAIN, name)
    if domain == _LEGACY_DOMAIN:
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and path and "/" not in path:
        path = _OFFICIAL + path
    return domain, path
