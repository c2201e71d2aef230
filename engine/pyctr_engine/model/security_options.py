"""docker's ``--security-opt`` words (and podman's), as ``run`` and stack files give them."""

from __future__ import annotations

import os

from pyctr_engine.errors import InvalidValue
from pyctr_engine.model.spec import Security
from pyctr_engine.record import replace

KNOWN = (
    "no-new-privileges[=false], profile=hardened, seccomp=FILE|unconfined, apparmor=PROFILE|unconfined, "
    "systempaths=unconfined, mask=PATH[:PATH…], unmask=ALL|PATH[:PATH…]"
)
_MOST_BYTES = 1 << 20


def apply(security: Security, text: str, directory: str) -> Security:
    """What ``text`` (``name=value``, or ``name:value``) makes of it; a file is looked up from ``directory``.

    Raises InvalidValue for what is unknown, or a profile that can't be read.
    """
    separator = "=" if "=" in text.partition(":")[0] else ":"
    name, _, value = text.partition(separator)
    match name, value:
        case "no-new-privileges", ("" | "true" | "false"):
            return replace(security, no_new_privileges=value != "false")
        case "profile", ("default" | "hardened"):
            return replace(security, profile=value)
        case "seccomp", ("unconfined" | "default"):
            return replace(security, seccomp=value)
        case "seccomp", "builtin":
            return replace(security, seccomp="default")
        case "seccomp", profile if profile.startswith("{"):
            return replace(security, seccomp=profile)
        case "seccomp", path if path:
            return replace(security, seccomp=_read(os.path.join(directory, os.path.expanduser(path))))
        case "apparmor", profile if profile:
            return replace(security, apparmor=profile)
        case "systempaths", "unconfined":
            return replace(security, unmask=("ALL",))
        case "mask", paths if paths:
            return replace(security, mask=(*security.mask, *paths.split(":")))
        case "unmask", paths if paths:
            return replace(security, unmask=(*security.unmask, *paths.split(":")))
        case "label", _:
            return security  # of SELinux, which is not used here
    raise InvalidValue(f"the security option {text!r} is unknown", f"options: {KNOWN}")


def _read(path: str) -> str:
    """A profile's text. What is wrong with it is said when the container is made."""
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InvalidValue(
            f"cannot read the seccomp profile {path}: {(error.strerror or '').lower()}", "name a file of JSON"
        ) from error
    if len(data) > _MOST_BYTES:
        raise InvalidValue(f"the seccomp profile {path} is larger than 1 MiB", "is it the right file?")
    return data.decode(errors="replace")
