"""Which platform images are made for here, in the words of the specification."""

from __future__ import annotations

import os
import re

from pyctr_engine.errors import InvalidValue
from pyctr_engine.record import dataclass

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "i686": "386"}
_ALIASES = {**_ARCHITECTURES, "x86-64": "amd64", "i386": "386", "armhf": "arm", "armel": "arm"}
_VARIANTS = {"armv7l": "v7", "armhf": "v7", "armv6l": "v6", "armel": "v6"}
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def architecture() -> str:
    """This machine's architecture as Go names it (image-spec, config.md)."""
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)


@dataclass(frozen=True, slots=True)
class Platform:
    """``linux/arm64/v8``: an operating system, an architecture, and its variant (empty: any)."""

    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def host(cls) -> Platform:
        """This machine's."""
        return cls("linux", architecture(), _VARIANTS.get(os.uname().machine, ""))

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read docker's ``--platform``: ``os/architecture[/variant]``, or an architecture. Raises InvalidValue."""
        if not text:
            return cls.host()
        parts = text.split("/")
        if len(parts) > 3 or not all(_PART.fullmatch(part) for part in parts):
            raise InvalidValue(f"invalid platform {text!r}", "a platform looks like linux/arm64")
        if len(parts) == 1:
            parts = [text, architecture()] if text.lower() == "linux" else ["linux", text]
        name = parts[1].lower()
        variant = parts[2].lower() if len(parts) == 3 else _VARIANTS.get(name, "")
        return cls(parts[0].lower(), _ALIASES.get(name, name), variant)

    @classmethod
    def from_json(cls, value: object) -> Platform | None:
        """An index entry's ``platform``; ``None`` when it has none that can be read."""
        if not isinstance(value, dict):
            return None
        parts = [value.get(key) or "" for key in ("os", "architecture", "variant")]
        if not all(isinstance(part, str) for part in parts) or not parts[0] or not parts[1]:
            return None
        return cls(*parts)

    def rank(self, offered: Platform) -> int | None:
        """How well an image for ``offered`` runs here: 0 best; ``None`` not at all."""
        if (self.os, self.architecture) != (offered.os, offered.architecture):
            return None
        if self.architecture == "arm64":
            wanted, found = self.variant or "v8", offered.variant or "v8"
            return 0 if wanted == found else None
        if self.architecture == "arm":
            wanted, found = self.variant or "v7", offered.variant or "v7"
            difference = _number(wanted) - _number(found)
            return difference if difference >= 0 else None
        if self.architecture == "amd64":
            wanted, found = self.variant or "v1", offered.variant or "v1"
            difference = _number(wanted) - _number(found)
            return difference if difference >= 0 else None
        return 0 if not self.variant or self.variant == offered.variant else None

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))


def _number(variant: str) -> int:
    digits = variant.removeprefix("v")
    return int(digits) if digits.isdecimal() else 0
