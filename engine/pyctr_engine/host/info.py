"""Whose engine this is, and on which host."""

from __future__ import annotations

import os

from pyctr_engine.cgroups import layout
from pyctr_engine.errors import Unsupported
from pyctr_engine.model.host import HostInfo


def info() -> HostInfo:
    """What the top line shows. ``cgroup_mode`` is ``none`` where no cgroups are mounted."""
    try:
        mode: str = layout.detect().mode
    except Unsupported:
        mode = "none"
    return HostInfo(os.uname().nodename, _user(), mode)


def _user() -> str:
    uid = os.geteuid()
    if uid == 0:
        return "root"
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
