"""What the administrator says about all containers, in TOML: ``/etc/pyctr-tui/engine.toml`` (PYCTR_CONFIG).

::

    profile = "default"            # or "hardened": what holds a container in, unless it says otherwise
    no_new_privileges = false      # whether programs may gain privileges by set-user-id files and the like
    unmappable_binds = "plain"     # what is done with a bind whose file system can't be idmapped: or "refuse"
    pids_limit = 2048              # processes and threads of a container that names no limit; -1 is no limit
"""

from __future__ import annotations

import os

from pyctr_engine.errors import InvalidValue, from_os_error
from pyctr_engine.record import dataclass

VARIABLE = "PYCTR_CONFIG"
_FILE = "/etc/pyctr-tui/engine.toml"
PIDS = 2048
"""Podman's number."""
_CHOICES = {"profile": ("default", "hardened"), "unmappable_binds": ("plain", "refuse")}


@dataclass(frozen=True, slots=True)
class Settings:
    """All that is said; see the module."""

    profile: str = "default"
    no_new_privileges: bool = False
    unmappable_binds: str = "plain"
    pids_limit: int = PIDS


def read() -> Settings:
    """The settings; what no file says is as usual. Raises InvalidValue, with the file's name."""
    path = os.environ.get(VARIABLE) or _FILE
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        raise from_os_error(error, f"read {path}") from error
    import tomllib

    try:
        values = tomllib.loads(data.decode())
    except ValueError as error:
        raise InvalidValue(f"{path} is not TOML: {error}", "mend it, or take it away") from error
    for name, value in values.items():
        if name in _CHOICES and value not in _CHOICES[name]:
            raise InvalidValue(f"{path}: {name} can't be {value!r}", f"one of: {', '.join(_CHOICES[name])}")
        if name == "no_new_privileges" and not isinstance(value, bool):
            raise InvalidValue(f"{path}: {name} can't be {value!r}", "true or false")
        if name == "pids_limit" and (type(value) is not int or value < -1):
            raise InvalidValue(f"{path}: {name} can't be {value!r}", "a number of processes, or -1 for no limit")
        if name not in Settings.__match_args__:
            raise InvalidValue(
                f"{path}: there is no setting {name}", f"settings: {', '.join(Settings.__match_args__)}"
            )
    return Settings(**values)
