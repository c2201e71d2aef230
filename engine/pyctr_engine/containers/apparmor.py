"""AppArmor: the profile that a container is under, where the host has AppArmor.

Sources: the kernel's admin-guide/LSM/apparmor.rst, apparmor.d(5), apparmor_parser(8).
"""

from __future__ import annotations

import os

from pyctr_engine.errors import Unsupported
from pyctr_engine.model.spec import Security
from pyctr_engine.paths import is_rootless
from pyctr_engine.runtime.protocol import OWN_PROFILE

DEFAULT = OWN_PROFILE
UNCONFINED = "unconfined"
_ENABLED = "/sys/module/apparmor/parameters/enabled"
_LOADED = "/sys/kernel/security/apparmor/profiles"
_PARSER = ("/usr/sbin/apparmor_parser", "/sbin/apparmor_parser")

PROFILE = f"""
profile {DEFAULT} flags=(attach_disconnected,mediate_deleted) {{
  network,
  capability,
  file,
  umount,
  unix,
  signal (send,receive) peer={DEFAULT},
  signal (receive) peer=unconfined,
  ptrace (trace,read,tracedby,readby) peer={DEFAULT},

  deny mount,
  deny /proc/sysrq-trigger rwklx,
  deny /proc/kcore rwklx,
  deny /proc/sys/kernel/{{core_pattern,modprobe,hotplug,poweroff_cmd,random/**,yama/**}} w,
  deny /proc/sys/{{abi,debug,dev,vm}}/** w,
  deny /proc/sys/fs/{{binfmt_misc/**,suid_dumpable,protected_*}} w,
  deny /sys/** w,
  deny /sys/firmware/** rwklx,
  deny /sys/devices/virtual/powercap/** rwklx,
  deny /sys/kernel/security/** rwklx,
}}
"""


def is_enabled() -> bool:
    """Whether the kernel enforces AppArmor, and can be told of profiles (by securityfs, which may not be mounted)."""
    try:
        with open(_ENABLED) as file:
            return file.read(1) == "Y" and os.path.exists(_LOADED)
    except OSError:
        return False


def profile_for(security: Security) -> str:
    """The profile to enter, loaded if need be; empty for none. Raises Unsupported for one that can't be had."""
    wanted = security.apparmor
    if wanted == UNCONFINED or (not wanted and security.privileged):
        return ""
    if is_rootless() and not wanted:
        return ""  # only root loads profiles
    if not is_enabled():
        if wanted:
            raise Unsupported(f"this host has no AppArmor for the profile {wanted}", "leave it out")
        return ""
    if wanted:
        if not _is_loaded(wanted):
            raise Unsupported(f"the AppArmor profile {wanted} is not loaded", "load it: apparmor_parser -r FILE")
        return wanted
    if _is_loaded(DEFAULT) or _load():
        return DEFAULT
    return ""  # `doctor` says that the parser is missing


def parser() -> str:
    """Where the program that loads profiles is; empty where it is not installed."""
    return next((path for path in _PARSER if os.path.exists(path)), "")


def _is_loaded(name: str) -> bool:
    """By the kernel's list; lines are like ``name (enforce)``."""
    try:
        with open(_LOADED) as file:
            return any(line.rpartition(" (")[0] == name for line in file)
    except OSError:
        return False


def _load() -> bool:
    program = parser()
    if not program:
        return False
    import subprocess

    done = subprocess.run([program, "-Kr"], input=PROFILE, text=True, capture_output=True, check=False)
    if done.returncode:
        raise Unsupported(
            f"the AppArmor profile {DEFAULT} can't be loaded: {done.stderr.strip()}",
            "run it with --security-opt apparmor=unconfined",
        )
    return True
