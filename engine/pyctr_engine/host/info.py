"""Whose engine this is, and on which host."""

from __future__ import annotations

import os

from pyctr_engine.cgroups import place
from pyctr_engine.errors import Unsupported
from pyctr_engine.model.host import HostInfo
from pyctr_engine.paths import user_id


def info(parent: str) -> HostInfo:
    """What the top line shows. ``cgroup_mode`` is ``none`` where containers below ``parent`` have no cgroups."""
    try:
        mode: str = place.here(parent).mode
    except Unsupported:
        mode = "none"
    return HostInfo(os.uname().nodename, _user(), mode)


def _user() -> str:
    uid = user_id()
    if uid == 0:
        return "root"
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
