"""What holds a container in: capabilities, privileges, the seccomp filter, sysctls."""

from __future__ import annotations

from dataclasses import replace

from pyctr_engine.linux import capabilities
from pyctr_engine.stacks import values
from pyctr_engine.stacks.document import Node, nearest
from pyctr_engine.stacks.draft import Draft


def privileged(draft: Draft, node: Node) -> None:
    """``privileged:``."""
    given = values.boolean(node, "privileged", draft.context.warn_node)
    draft.request = replace(draft.request, security=replace(draft.request.security, privileged=given))


def read_only(draft: Draft, node: Node) -> None:
    """``read_only:``, of the root file system."""
    given = values.boolean(node, "read_only", draft.context.warn_node)
    draft.request = replace(draft.request, security=replace(draft.request.security, read_only=given))


def cap_add(draft: Draft, node: Node) -> None:
    """``cap_add:``, names with or without CAP_, or ALL."""
    names = _capabilities(node, "cap_add")
    draft.request = replace(draft.request, security=replace(draft.request.security, cap_add=names))


def cap_drop(draft: Draft, node: Node) -> None:
    """``cap_drop:``, the same."""
    names = _capabilities(node, "cap_drop")
    draft.request = replace(draft.request, security=replace(draft.request.security, cap_drop=names))


def _capabilities(node: Node, what: str) -> tuple[str, ...]:
    found: list[str] = []
    for item in values.items(node, what):
        name = values.word(item, "a capability").upper().removeprefix("CAP_")
        if name != "ALL" and name not in capabilities.NAMES:
            raise item.error(f"there is no capability {name}", nearest(name, capabilities.NAMES))
        if name not in found:
            found.append(name)
    return tuple(found)


def security_opt(draft: Draft, node: Node) -> None:
    """``security_opt:``: no-new-privileges, seccomp=unconfined; to ask for no AppArmor or SELinux has no effect."""
    security = draft.request.security
    for item in values.items(node, "security_opt"):
        text = values.word(item, "a security option")
        name, _, value = text.replace("=", ":", 1).partition(":")
        if name == "no-new-privileges" and value in ("", "true", "false"):
            security = replace(security, no_new_privileges=value != "false")
        elif name == "seccomp" and value == "unconfined":
            security = replace(security, seccomp="unconfined")
        elif (name, value) in (("apparmor", "unconfined"), ("label", "disable")):
            draft.context.warn_node(item, f"{text} has no effect: nothing of the kind is applied")
        else:
            raise item.error(
                f"the security option {text} is not supported yet", "no-new-privileges and seccomp:unconfined are"
            )
    draft.request = replace(draft.request, security=security)


def userns_mode(draft: Draft, node: Node) -> None:
    """``userns_mode:``, host or nothing."""
    mode = values.string(node, "userns_mode")
    if mode not in ("", "host"):
        raise node.error(f"userns_mode {mode} is not supported yet", "host is")
    security = replace(draft.request.security, userns=mode or "auto")
    draft.request = replace(draft.request, security=security)


def sysctls(draft: Draft, node: Node) -> None:
    """``sysctls:``, a mapping or a list; the engine takes those that belong to the container's namespaces."""
    found: dict[str, str] = {}
    for name, value, place in values.pairs(node, "sysctls", "sysctl"):
        if value is None:
            raise place.error(f"sysctl {name} has no value")
        found[name] = value
    draft.request = replace(draft.request, sysctls=found)
