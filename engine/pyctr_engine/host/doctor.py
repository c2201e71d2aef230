"""What this host can do for containers, and what each lack costs.

Nothing is changed: what only trying can tell is tried by `pyctr_engine.host.probe`, in a process thrown away after.
Works for ordinary users too: what they may not even look at is said, not raised.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping

from pyctr_engine.host import control_groups, files, kernel, network, rootless, storage
from pyctr_engine.model.host import Finding
from pyctr_engine.paths import Paths, is_rootless

_PROBE_SECONDS = 30

Check = Callable[[Paths, Mapping[str, tuple[str, str]]], list[Finding]]
_ROOTS: tuple[Check, ...] = (kernel.check, control_groups.check, network.check, storage.check)
_USERS: tuple[Check, ...] = (kernel.check_for_user, rootless.check, network.check_for_user, storage.check_for_user)


def doctor(paths: Paths) -> list[Finding]:
    """Examine the host, the most important things first. Takes a fraction of a second; raises nothing."""
    outcomes = probe(files.nearest(paths.state))
    found: list[Finding] = []
    for check in _USERS if is_rootless() else _ROOTS:
        try:
            found += check(paths, outcomes)
        except (OSError, ValueError) as error:  # a file of a form we don't know must not hide all the rest
            found.append(Finding("warn", check.__module__.rsplit(".", 1)[1], f"could not be examined: {error}"))
    return found


def probe(directory: str) -> dict[str, tuple[str, str]]:
    """Try things out: name → (``ok`` or an errno's name or ``failed``, detail). Empty when nothing could be tried."""
    import subprocess

    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    program = (
        f"import sys; sys.path.insert(0, {package!r})\nfrom pyctr_engine.host.probe import main; main(sys.argv[1])"
    )
    try:
        ran = subprocess.run(
            [sys.executable, "-I", "-S", "-c", program, directory],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    outcomes = {}
    for line in ran.stdout.splitlines():
        name, _, rest = line.partition(" ")
        result, _, detail = rest.partition(" ")
        outcomes[name] = (result, detail)
    return outcomes
