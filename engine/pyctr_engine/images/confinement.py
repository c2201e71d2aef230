"""The cell in which hostile archives are opened: a process that sees one directory and can do little in it.

The child is a fresh interpreter, never a fork of a program that may have threads. Once confined it has a mount
namespace whose root is the layer's directory, no network, no descriptor but its standard streams, bounded memory, and
only the capabilities that making files takes.
"""

from __future__ import annotations

import os
import resource
import signal

from pyctr_engine.linux import capabilities, mount, namespaces

_KEPT = frozenset({"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "MKNOD", "SETFCAP"})
_INERT = mount.MS_NODEV | mount.MS_NOSUID | mount.MS_NOEXEC
MAX_MEMORY = 1 << 30
"""Bytes of address space: a header that claims gigabytes is an error, not a full machine."""


def separate() -> None:
    """Take a mount namespace of one's own; what is mounted in it is gone with the process."""
    namespaces.unshare(namespaces.CLONE_NEWNS)
    mount.mount("", "/", "", mount.MS_REC | mount.MS_PRIVATE)


def enter(directory: str, recursive: bool = False) -> None:
    """Confine this process to ``directory``, for good. All that it will import must be imported already.

    Devices and programs made in there can't be opened or run from there. ``recursive``: with what is mounted in it.

    Raises:
        OSError: the step that the kernel refuses; the process must end then.
    """
    separate()
    namespaces.unshare(namespaces.CLONE_NEWNET | namespaces.CLONE_NEWIPC)
    mount.mount(directory, directory, "", mount.MS_BIND | (mount.MS_REC if recursive else 0))
    mount.mount("", directory, "", mount.MS_BIND | mount.MS_REMOUNT | _INERT)
    os.chdir(directory)
    mount.pivot_root(".", ".")
    mount.umount(".", mount.MNT_DETACH)
    os.chdir("/")
    namespaces.close_from(3)
    os.umask(0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    drop_capabilities()
    namespaces.prctl(namespaces.PR_SET_PDEATHSIG, signal.SIGKILL)  # who sweeps after its parent needs it gone


def drop_capabilities() -> None:
    """Keep only those that making files takes, for good."""
    kept = capabilities.mask(_KEPT)
    capabilities.drop_bounding(kept, _LAST)
    capabilities.set_capabilities(effective=kept, permitted=kept)
    namespaces.prctl(namespaces.PR_SET_NO_NEW_PRIVS, 1)


_LAST = capabilities.last_capability()  # read while /proc can still be seen
