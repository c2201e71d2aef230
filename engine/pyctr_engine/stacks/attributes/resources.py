"""Limits and replicas, in the flat attributes and under ``deploy:``; what both say must agree."""

from __future__ import annotations

import re
from dataclasses import replace

from pyctr_engine.model.spec import RestartName, RestartPolicy
from pyctr_engine.stacks import values
from pyctr_engine.stacks.document import Mapping, Node, nearest
from pyctr_engine.stacks.draft import Draft

_CPUSET = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")
_LIMITS = (
    "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack as"
).split()
_SWARM_ONLY = ("placement", "update_config", "rollback_config", "endpoint_mode", "labels")
MAX_REPLICAS = 1000


def mem_limit(draft: Draft, node: Node) -> None:
    """``mem_limit:``, bytes; 0 is no limit."""
    _memory(draft, node, "mem_limit", "memory")


def mem_reservation(draft: Draft, node: Node) -> None:
    """``mem_reservation:``, bytes."""
    _memory(draft, node, "mem_reservation", "memory_reservation")


def memswap_limit(draft: Draft, node: Node) -> None:
    """``memswap_limit:``, bytes of memory and swap together; -1 is unlimited swap."""
    unlimited = values.scalar(node, "memswap_limit").text == "-1"
    draft.limit("memory_swap", -1 if unlimited else values.size(node, "memswap_limit"), "memswap_limit", node)


def cpus(draft: Draft, node: Node) -> None:
    """``cpus:``, CPUs' worth of time; 0 is no limit."""
    _cpus(draft, node, "cpus")


def cpu_shares(draft: Draft, node: Node) -> None:
    """``cpu_shares:``, a weight; docker's scale, where 1024 is usual."""
    shares = values.integer(node, "cpu_shares", 0, 262144)
    if shares:
        draft.limit("cpu_shares", max(2, shares), "cpu_shares", node)


def cpu_quota(draft: Draft, node: Node) -> None:
    """``cpu_quota:``, microseconds of CPU time in each period; 0 and -1 are no limit."""
    quota = values.integer(node, "cpu_quota", -1)
    if quota > 0:
        draft.limit("cpu_quota", quota, "cpu_quota", node)


def cpu_period(draft: Draft, node: Node) -> None:
    """``cpu_period:``, microseconds, also as a duration (``100ms``)."""
    text = values.scalar(node, "cpu_period").text
    period = (
        values.integer(node, "cpu_period", 0)
        if text.isdigit()
        else round(values.duration(node, "cpu_period") * 1_000_000)
    )
    if period:
        draft.limit("cpu_period", period, "cpu_period", node)


def windows_only(draft: Draft, node: Node) -> None:
    """``cpu_count:`` and ``cpu_percent:``, which mean something to Windows' containers only."""
    raise node.error("cpu_count and cpu_percent are for Windows' containers", "cpus: 1.5 limits CPU time here")


def mem_swappiness(draft: Draft, node: Node) -> None:
    """``mem_swappiness:``, 0 to 100; -1 is the host's."""
    swappiness = values.integer(node, "mem_swappiness", -1, 100)
    if swappiness >= 0:
        draft.limit("memory_swappiness", swappiness, "mem_swappiness", node)


def oom_kill_disable(draft: Draft, node: Node) -> None:
    """``oom_kill_disable:``, whether who goes over the limit of memory waits instead of being killed."""
    draft.limit(
        "oom_kill_disable",
        values.boolean(node, "oom_kill_disable", draft.context.warn_node),
        "oom_kill_disable",
        node,
    )


_RATES = ("device_read_bps", "device_write_bps", "device_read_iops", "device_write_iops")


def blkio_config(draft: Draft, node: Node) -> None:
    """``blkio_config:``, a weight, weights of single disks, and limits of rate."""
    options = values.mapping(node, "blkio_config")
    values.known_keys(options, "blkio_config", ("weight", "weight_device", *_RATES))
    if (given := options.get("weight")) is not None and (weight := values.integer(given, "weight", 0, 1000)):
        draft.limit("blkio_weight", weight, "blkio_config.weight", given)
    if (given := options.get("weight_device")) is not None:
        draft.limit("blkio_weight_device", _disks(given, "weight_device", "weight"), "blkio_config", given)
    for name in _RATES:
        if (given := options.get(name)) is not None:
            draft.limit(name, _disks(given, name, "rate"), f"blkio_config.{name}", given)


def _disks(node: Node, what: str, amount: str) -> tuple[tuple[str, int], ...]:
    """A list of mappings of ``path`` and weight or rate; a rate of bytes may have a unit."""
    found: dict[str, int] = {}
    for item in values.items(node, what):
        options = values.mapping(item, what)
        values.known_keys(options, what, ("path", amount))
        path, value = options.get("path"), options.get(amount)
        if path is None or value is None:
            raise item.error(f"{what} needs path and {amount}")
        name = values.word(path, "path")
        if name in found:
            raise path.error(f"{what}: {name} is given twice", "keep one of them")
        found[name] = values.size(value, amount) if what.endswith("_bps") else values.integer(value, amount, 0)
    return tuple((name, value) for name, value in found.items() if value)


def cpuset(draft: Draft, node: Node) -> None:
    """``cpuset:``, CPUs by number."""
    text = values.string(node, "cpuset")
    if text and not _CPUSET.fullmatch(text):
        raise node.error(f'cpuset can\'t be "{text}"', "for example 0-1,3")
    draft.limit("cpuset", text, "cpuset", node)


def pids_limit(draft: Draft, node: Node) -> None:
    """``pids_limit:``, processes and threads; -1 (or 0) is no limit."""
    _pids(draft, node, "pids_limit")


def scale(draft: Draft, node: Node) -> None:
    """``scale:``, how many containers."""
    draft.limit("replicas", values.integer(node, "scale", 0, MAX_REPLICAS), "scale", node)


def ulimits(draft: Draft, node: Node) -> None:
    """``ulimits:``, name → a number, or a mapping of soft and hard; -1 is unlimited."""
    found: dict[str, tuple[int, int]] = {}
    for key, value in values.mapping(node, "ulimits"):
        if key.text not in _LIMITS:
            raise key.error(f"there is no limit {key.text}", nearest(key.text, _LIMITS))
        if isinstance(value, Mapping):
            values.known_keys(value, f"ulimit {key.text}", ("soft", "hard"))
            soft, hard = value.get("soft"), value.get("hard")
            if soft is None or hard is None:
                raise value.error(f"ulimit {key.text} needs soft and hard")
            found[key.text] = (values.integer(soft, "soft", -1), values.integer(hard, "hard", -1))
        else:
            both = values.integer(value, f"ulimit {key.text}", -1)
            found[key.text] = (both, both)
        low, high = found[key.text]
        if high != -1 and (low == -1 or low > high):
            raise value.error(f"ulimit {key.text}: soft is above hard")
    draft.request = replace(draft.request, ulimits=found)


def deploy(draft: Draft, node: Node) -> None:
    """``deploy:``: replicas, resources and restart_policy; what only a cluster can do has no effect."""
    options = values.mapping(node, "deploy")
    values.known_keys(options, "deploy", ("mode", "replicas", "resources", "restart_policy", *_SWARM_ONLY))
    for key, value in options:
        if key.text in _SWARM_ONLY:
            draft.context.warn(key.mark, f"deploy.{key.text} has no effect on one machine")
        elif key.text == "mode" and values.string(value, "mode") != "replicated":
            raise value.error("only the mode replicated is supported")
        elif key.text == "replicas":
            draft.limit("replicas", values.integer(value, "replicas", 0, MAX_REPLICAS), "deploy.replicas", value)
        elif key.text == "resources":
            _resources(draft, value)
        elif key.text == "restart_policy":
            _restart_policy(draft, value)


def _resources(draft: Draft, node: Node) -> None:
    options = values.mapping(node, "resources")
    values.known_keys(options, "resources", ("limits", "reservations"))
    if (limits := options.get("limits")) is not None:
        limits = values.mapping(limits, "limits")
        values.known_keys(limits, "limits", ("cpus", "memory", "pids"))
        if (given := limits.get("cpus")) is not None:
            _cpus(draft, given, "deploy.resources.limits.cpus")
        if (given := limits.get("memory")) is not None:
            _memory(draft, given, "deploy.resources.limits.memory", "memory")
        if (given := limits.get("pids")) is not None:
            _pids(draft, given, "deploy.resources.limits.pids")
    if (reservations := options.get("reservations")) is not None:
        reservations = values.mapping(reservations, "reservations")
        values.known_keys(reservations, "reservations", ("cpus", "memory"), ("devices", "generic_resources"))
        if (given := reservations.get("memory")) is not None:
            _memory(draft, given, "deploy.resources.reservations.memory", "memory_reservation")
        if (given := reservations.get("cpus")) is not None:
            values.number(given, "cpus")
            draft.context.warn_node(given, "a reservation of CPUs has no effect on one machine")


_CONDITIONS: dict[str, RestartName] = {"none": "no", "on-failure": "on-failure", "any": "always"}


def _restart_policy(draft: Draft, node: Node) -> None:
    """``restart:`` wins where both are given, as in Compose."""
    options = values.mapping(node, "restart_policy")
    values.known_keys(options, "restart_policy", ("condition", "max_attempts", "delay", "window"))
    for name in ("delay", "window"):
        if (given := options.get(name)) is not None:
            values.duration(given, name)
            draft.context.warn_node(given, f"restart_policy.{name} has no effect yet")
    condition, attempts = options.get("condition"), options.get("max_attempts")
    name = _CONDITIONS["any" if condition is None else values.choice(condition, "condition", _CONDITIONS)]
    retries = 0 if attempts is None else values.integer(attempts, "max_attempts", 0)
    if retries and name == "always":
        raise node.error("max_attempts needs the condition on-failure")
    if draft.node.get("restart") is None:
        draft.request = replace(draft.request, restart=RestartPolicy(name, retries if name != "no" else 0))


def _memory(draft: Draft, node: Node, attribute: str, name: str) -> None:
    size = values.size(node, attribute)
    if size:
        draft.limit(name, size, attribute, node)


def _cpus(draft: Draft, node: Node, attribute: str) -> None:
    given = values.number(node, attribute)
    if 0 < given < 0.01:
        raise node.error(f"{attribute} must be at least 0.01, not {given}")
    if given:
        draft.limit("cpus", given, attribute, node)


def _pids(draft: Draft, node: Node, attribute: str) -> None:
    draft.limit("pids", values.integer(node, attribute, -1) or -1, attribute, node)
