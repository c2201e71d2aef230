"""Why an ordinary user can't have namespaces here, and what an administrator can do about it.

Sources: user_namespaces(7), Debian's and Ubuntu's kernel documentation of their own settings, apparmor.d(5).
"""

from __future__ import annotations

import errno
import os
from typing import NamedTuple

from pyctr_engine.errors import EngineError, Unsupported

_APPARMOR = "/sys/module/apparmor/parameters/enabled"
_PASTAS_RULES = "/etc/apparmor.d/abstractions/pasta"
SIGHT = (
    f"`sed -i 's,@{{PROC}}/net/,@{{PROC}}/@{{pid}}/net/,' {_PASTAS_RULES}"
    " && apparmor_parser -r /etc/apparmor.d/usr.bin.passt`"
)
"""What an administrator types so that pasta sees which ports are listened on."""


def pasta_is_blind(enabled: str = _APPARMOR, rules: str = _PASTAS_RULES) -> bool:
    """Whether AppArmor keeps pasta from reading which ports are listened on.

    The rules that Debian 12's passt comes with name /proc/net/tcp, which is a link: what is opened is
    /proc/<pid>/net/tcp, and refused.
    """
    try:
        with open(enabled) as file:
            if file.read(1) != "Y":
                return False
        with open(rules) as file:
            text = file.read()
    except OSError:
        return False
    return "@{PROC}/net/tcp" in text and "@{pid}/net/tcp" not in text


class Obstacle(NamedTuple):
    """What is in the way, and the exact remedy."""

    what: str
    remedy: str


_SWITCHES = (
    ("kernel/unprivileged_userns_clone", "kernel.unprivileged_userns_clone=1"),
    ("user/max_user_namespaces", "user.max_user_namespaces=15000"),
    ("user/max_mnt_namespaces", "user.max_mnt_namespaces=15000"),
    ("user/max_net_namespaces", "user.max_net_namespaces=15000"),
)
PROFILE = "/etc/apparmor.d/pyctr-tui"


def found(sysctls: str = "/proc/sys") -> Obstacle | None:
    """What the kernel's settings forbid; ``None`` when they forbid nothing."""
    for name, setting in _SWITCHES:
        if _read(f"{sysctls}/{name}") == "0":
            shown = name.replace("/", ".")
            return Obstacle(
                f"user namespaces are switched off ({shown}=0)",
                f"as root: `echo {setting} > /etc/sysctl.d/50-pyctr-tui.conf && sysctl --system`",
            )
    if _read(f"{sysctls}/kernel/apparmor_restrict_unprivileged_userns") == "1":
        return Obstacle(
            "AppArmor keeps ordinary users from using their namespaces (apparmor_restrict_unprivileged_userns=1)",
            f"as root, allow the interpreter that runs this (all that it runs may then): {apparmor_remedy()}",
        )
    return None


def apparmor_remedy() -> str:
    """The commands that let the interpreter have user namespaces. Profiles go by the path of what is executed."""
    lines = "\\n".join(apparmor_profile().splitlines()) + "\\n"
    return f"`printf '{lines}' > {PROFILE} && apparmor_parser -r {PROFILE}`"


def apparmor_profile() -> str:
    """A profile for the interpreter that runs us: unconfined, but for the right to user namespaces."""
    import sys

    return (
        f'abi <abi/4.0>,\nprofile pyctr-tui "{os.path.realpath(sys.executable)}" flags=(unconfined) {{ userns, }}\n'
    )


def explain(code: int, doing: str) -> EngineError:
    """An errno met while ``doing`` as an error that says what to do."""
    obstacle = found()
    reason = os.strerror(code).lower() if code else "it ended without a word"
    if obstacle is not None and code in (errno.EPERM, errno.EACCES, errno.ENOSPC, errno.EUSERS):
        return Unsupported(f"an ordinary user can't run containers here: {obstacle.what}", obstacle.remedy)
    hint = "`pyctr-tui doctor` shows what this host lets ordinary users do"
    if code in (errno.EPERM, errno.EACCES):
        hint = f"a container or a security module around us may forbid it; {hint}"
    elif code in (errno.ENOSPC, errno.EUSERS):
        hint = f"the limits user.max_*_namespaces are reached: `sysctl -a | grep user.max`; {hint}"
    elif code == errno.EINVAL:
        hint = f"the kernel may be without CONFIG_USER_NS; {hint}"
    return Unsupported(f"cannot {doing}: {reason}", hint)


def unmapped(program: str, said: str) -> EngineError:
    """What newuidmap or newgidmap refused."""
    name = os.path.basename(program)
    obstacle = found()
    if obstacle is not None:
        return Unsupported(f"an ordinary user can't run containers here: {obstacle.what}", obstacle.remedy)
    if not os.stat(program).st_mode & 0o4000 and not _has_capability(program):
        return Unsupported(
            f"{program} may not map ids: it is not set-user-id root", "as root: `apt-get install --reinstall uidmap`"
        )
    file = "/etc/subuid" if name == "newuidmap" else "/etc/subgid"
    return Unsupported(f"{name} refuses: {said or 'it did not say why'}", f"see that {file} is as subuid(5) says")


def _has_capability(program: str) -> bool:
    try:
        return bool(os.getxattr(program, "security.capability"))
    except OSError:
        return False


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""
