"""What holds a container in: capabilities, privileges, the seccomp filter, sysctls."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from pyctr_engine.containers import sharing
from pyctr_engine.errors import InvalidValue
from pyctr_engine.linux import capabilities
from pyctr_engine.model import security_options
from pyctr_engine.model.spec import ContainerRequest, DeviceRule, Security
from pyctr_engine.model.stack import Dependency
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
    """``security_opt:``, as ``run --security-opt`` takes them; a seccomp profile lies beside the stack file."""
    security = draft.request.security
    for item in values.items(node, "security_opt"):
        text = values.word(item, "a security option")
        try:
            security = security_options.apply(security, text, draft.context.directory)
        except InvalidValue as error:
            raise item.error(error.message, error.hint) from error
        if text.startswith("label"):
            draft.context.warn_node(item, f"{text} has no effect: SELinux is not used")
    draft.request = replace(draft.request, security=security)


def userns_mode(draft: Draft, node: Node) -> None:
    """``userns_mode:``, as ``run --userns`` takes it."""
    _security(draft, userns=values.string(node, "userns_mode") or "auto")
    _check(draft, node)


def pid(draft: Draft, node: Node) -> None:
    """``pid:``: host, ``service:NAME`` or ``container:NAME``."""
    _namespace(draft, node, "pid")


def ipc(draft: Draft, node: Node) -> None:
    """``ipc:``: host, none, private, shareable, ``service:NAME`` or ``container:NAME``."""
    _namespace(draft, node, "ipc")


def uts(draft: Draft, node: Node) -> None:
    """``uts:``: host."""
    _namespace(draft, node, "uts")


def cgroup(draft: Draft, node: Node) -> None:
    """``cgroup:``: host or private."""
    _namespace(draft, node, "cgroup")


def _namespace(draft: Draft, node: Node, kind: str) -> None:
    mode = values.string(node, kind) or "private"
    if mode.startswith("service:"):
        draft.shares[kind] = (mode.removeprefix("service:"), node)
        draft.depend(Dependency(mode.removeprefix("service:")), node)
        return
    changed: dict[str, Any] = {kind: mode}
    draft.request = replace(draft.request, namespaces=replace(draft.request.namespaces, **changed))
    _check(draft, node)


def _check(draft: Draft, node: Node) -> None:
    """Refuse a mode that can't be, where it stands."""
    request = ContainerRequest(
        image="", namespaces=draft.request.namespaces, security=Security(userns=draft.request.security.userns)
    )
    try:
        sharing.check(request)
    except InvalidValue as error:
        raise node.error(error.message, error.hint) from error


def group_add(draft: Draft, node: Node) -> None:
    """``group_add:``, names or ids."""
    draft.request = replace(draft.request, group_add=values.words(node, "group_add", "a group"))


def oom_score_adj(draft: Draft, node: Node) -> None:
    """``oom_score_adj:``, -1000 to 1000."""
    _security(draft, oom_score_adj=values.integer(node, "oom_score_adj", -1000, 1000))


def domainname(draft: Draft, node: Node) -> None:
    """``domainname:``."""
    draft.request = replace(draft.request, domainname=values.word(node, "domainname"))


_RULE = re.compile(r"([abc]) (\d+|\*):(\d+|\*) ([rwm]{1,3})")


def device_cgroup_rules(draft: Draft, node: Node) -> None:
    """``device_cgroup_rules:``, lines like ``c 188:* rwm``."""
    rules = []
    for item in values.items(node, "device_cgroup_rules"):
        text = values.word(item, "a device rule")
        found = _RULE.fullmatch(text)
        if found is None:
            raise item.error(f'"{text}" is not a device rule', 'for example "c 188:* rwm"')
        major, minor = (-1 if part == "*" else int(part) for part in found.group(2, 3))
        rules.append(DeviceRule(found[1], major, minor, found[4]))
    _security(draft, device_rules=tuple(rules))


def _security(draft: Draft, **changes: Any) -> None:
    draft.request = replace(draft.request, security=replace(draft.request.security, **changes))


def sysctls(draft: Draft, node: Node) -> None:
    """``sysctls:``, a mapping or a list; the engine takes those that belong to the container's namespaces."""
    found: dict[str, str] = {}
    for name, value, place in values.pairs(node, "sysctls", "sysctl"):
        if value is None:
            raise place.error(f"sysctl {name} has no value")
        found[name] = value
    draft.request = replace(draft.request, sysctls=found)
