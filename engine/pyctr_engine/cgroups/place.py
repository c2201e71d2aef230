"""Where this process's containers have their control groups: the one place where that is decided.

Root's are where the hierarchies are mounted. An ordinary user's are where somebody who may has delegated a part of
the hierarchy to the user; where nobody has, there are none: containers run without limits, a limit that is asked for
is refused, and nothing can be paused.
"""

from __future__ import annotations

import os

from pyctr_engine.cgroups import layout
from pyctr_engine.cgroups.layout import NOWHERE, Layout
from pyctr_engine.errors import Unsupported


def here(parent: str) -> Layout:
    """The layout to use, for containers below ``parent`` of each hierarchy (`Paths.cgroup_parent`).

    Raises Unsupported when root has no control groups at all.
    """
    if not is_users_own():
        return layout.detect().within(parent)
    try:
        found = layout.detect()
    except Unsupported:
        return NOWHERE
    return found.within(parent) if is_delegated(found, parent) else NOWHERE


def is_delegated(found: Layout, parent: str) -> bool:
    """Whether groups can be made below ``parent`` in every hierarchy, or next to it where it is not there yet.

    On v2 processes may only be moved within what was delegated: its top must be ours, with the file that moves them.
    """
    for base in found.bases():
        directory = f"{base}/{parent}"
        while not os.path.isdir(directory) and directory != base:
            directory = os.path.dirname(directory)
        if not os.access(directory, os.W_OK) or not os.access(f"{directory}/cgroup.procs", os.W_OK):
            return False
    return True


def is_users_own() -> bool:
    """Whether this process is an ordinary user's, in the user's own user namespace or before it is entered.

    The initial user namespace has the whole range of ids at their own numbers, that of a container manager some
    range that begins with 0; an ordinary user's begins with the user alone.
    """
    if os.geteuid():
        return True
    try:
        with open("/proc/self/uid_map") as file:
            inside, outside, count = (int(word) for word in file.readline().split())
    except (OSError, ValueError):
        return False
    return inside == 0 and outside != 0 and count == 1
