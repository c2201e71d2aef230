"""Device access: which device nodes a container's processes may open.

A program on its directory in the unified tree where there is one (any hierarchy of version 2 takes such programs,
with or without controllers), else rules of the v1 controller. Sources: admin-guide/cgroup-v2.rst ("Device
controller"), admin-guide/cgroup-v1/devices.rst.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyctr_engine.errors import StartError

Rules = Sequence[Sequence[Any]]
"""(``c``, ``b`` or ``a`` for both, major, minor, letters of ``rwm``) each; -1 is any number."""


def guard(unified: str, rules: Rules) -> None:
    """Allow a container in the unified tree these devices and no others. Raises StartError."""
    if not unified:
        return  # `settings` were written with its limits
    from pyctr_engine.linux import bpf

    try:
        bpf.attach_device_program(
            unified, bpf.device_program([(rule[0], rule[1], rule[2], rule[3]) for rule in rules])
        )
    except OSError as error:
        raise StartError(
            f"cannot keep the container to its devices: {(error.strerror or '').lower()}",
            "this kernel lacks CONFIG_CGROUP_BPF: run it in a user namespace, or with --privileged",
        ) from error


def settings(rules: Rules) -> list[tuple[str, str]]:
    """The same as writes into files of a directory of the v1 controller, in order."""
    found = [("devices.deny", "a")]
    for kind, major, minor, access in rules:
        numbers = ":".join("*" if number < 0 else str(number) for number in (major, minor))
        # "a" alone would be everything, whatever follows
        found += [("devices.allow", f"{one} {numbers} {access}") for one in ("bc" if kind == "a" else kind)]
    return found
