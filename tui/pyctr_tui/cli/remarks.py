"""What is said on standard error of a container that has been started, where it is not quite as one may think."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_tui.cli.call import report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyctr_engine.model.status import Container


def host_ids(container: Container) -> None:
    """Say when it is in the host's user namespace because of something else that was asked for."""
    asked = container.spec.request
    if container.spec.ids or asked.security.userns == "host":
        return
    reasons = {
        "--privileged": asked.security.privileged,
        "--network host": asked.network == "host",
        "--pid host": asked.namespaces.pid == "host",
        "--ipc host": asked.namespaces.ipc == "host",
    }
    why = next((option for option, given in reasons.items() if given), "")
    if not why:
        return
    from pyctr_engine.paths import is_rootless

    if not is_rootless():  # else root inside is the user all the same
        report(f"note: {why} implies --userns=host: root inside is root on the host")


def plain_binds(targets: Sequence[str], name: str = "") -> None:
    """Say which binds could not be idmapped."""
    if targets:
        whose = f"{name}: " if name else ""
        them = "their file systems" if len(targets) > 1 else "its file system"
        report(
            f"warning: {whose}files in {', '.join(targets)} keep the host's ids, which are nobody's inside:"
            f" {them} can't be idmapped"
        )
