"""For `doctor`: what the configuration makes usual for containers, and what AppArmor adds."""

from __future__ import annotations

from pyctr_engine.containers import apparmor, settings
from pyctr_engine.errors import EngineError
from pyctr_engine.model.host import Finding
from pyctr_engine.paths import is_rootless


def findings() -> list[Finding]:
    """Raises nothing."""
    return [configuration(), mandatory_access(apparmor.is_enabled(), bool(apparmor.parser()), is_rootless())]


def configuration() -> Finding:
    """What is said of all containers, and whether it can be read."""
    try:
        says = settings.read()
    except EngineError as error:
        return Finding("fail", "configuration", error.message, f"no container can be made: {error.hint}")
    privileges = "no new privileges" if says.no_new_privileges or says.profile == "hardened" else "set-user-id works"
    binds = {
        "plain": "binds that can't be idmapped keep the host's ids",
        "refuse": "binds that can't be idmapped are refused",
    }[says.unmappable_binds]
    return Finding("ok", "configuration", f"profile {says.profile}, {privileges}; {binds}")


def mandatory_access(enabled: bool, parser: bool, rootless: bool) -> Finding:
    """Whether containers are under an AppArmor profile."""
    if rootless:
        return Finding("ok", "AppArmor", "profiles are loaded by root: an ordinary user's containers have none")
    if not enabled:
        return Finding("ok", "AppArmor", "not on this host: containers are held without it")
    if not parser:
        return Finding(
            "warn",
            "AppArmor",
            "its profile can't be loaded: apparmor_parser is missing",
            "containers are held without it: `apt-get install apparmor`",
        )
    return Finding("ok", "AppArmor", f"containers are under the profile {apparmor.DEFAULT}")
