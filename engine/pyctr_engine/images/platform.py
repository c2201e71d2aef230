"""Which platform images are made for here, in the words of the specification."""

from __future__ import annotations

import os

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


def architecture() -> str:
    """This machine's architecture as Go names it (image-spec, config.md)."""
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)
