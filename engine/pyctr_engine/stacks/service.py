"""A service: the table of its attributes, and what is put together when all of them are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pyctr_engine.model.spec import Resources
from pyctr_engine.model.stack import Service
from pyctr_engine.stacks import values
from pyctr_engine.stacks.attributes import (
    dependencies,
    health,
    logs,
    networking,
    ports,
    process,
    resources,
    security,
    storage,
)
from pyctr_engine.stacks.digest import config_hash
from pyctr_engine.stacks.document import Mapping, Mark, Node
from pyctr_engine.stacks.draft import Context, Draft

ATTRIBUTES: dict[str, Callable[[Draft, Node], None]] = {
    "build": process.build,
    "blkio_config": resources.blkio_config,
    "cap_add": security.cap_add,
    "cap_drop": security.cap_drop,
    "cgroup": security.cgroup,
    "command": process.command,
    "container_name": process.container_name,
    "cpu_count": resources.windows_only,
    "cpu_percent": resources.windows_only,
    "cpu_period": resources.cpu_period,
    "cpu_quota": resources.cpu_quota,
    "cpu_shares": resources.cpu_shares,
    "cpus": resources.cpus,
    "cpuset": resources.cpuset,
    "depends_on": dependencies.depends_on,
    "deploy": resources.deploy,
    "device_cgroup_rules": security.device_cgroup_rules,
    "devices": storage.devices,
    "domainname": security.domainname,
    "entrypoint": process.entrypoint,
    "env_file": process.env_file,
    "environment": process.environment,
    "expose": ports.expose,
    "extra_hosts": networking.extra_hosts,
    "group_add": security.group_add,
    "healthcheck": health.healthcheck,
    "hostname": process.hostname,
    "image": process.image,
    "init": process.init,
    "ipc": security.ipc,
    "labels": process.labels,
    "logging": logs.logging,
    "links": networking.links,
    "mem_limit": resources.mem_limit,
    "mem_reservation": resources.mem_reservation,
    "mem_swappiness": resources.mem_swappiness,
    "memswap_limit": resources.memswap_limit,
    "oom_kill_disable": resources.oom_kill_disable,
    "network_mode": networking.network_mode,
    "networks": networking.networks,
    "oom_score_adj": security.oom_score_adj,
    "pid": security.pid,
    "pids_limit": resources.pids_limit,
    "platform": process.platform,
    "ports": ports.ports,
    "privileged": security.privileged,
    "profiles": process.profiles,
    "pull_policy": process.pull_policy,
    "read_only": security.read_only,
    "restart": process.restart,
    "scale": resources.scale,
    "security_opt": security.security_opt,
    "shm_size": storage.shm_size,
    "stdin_open": process.stdin_open,
    "stop_grace_period": process.stop_grace_period,
    "stop_signal": process.stop_signal,
    "sysctls": security.sysctls,
    "tmpfs": storage.tmpfs,
    "tty": process.tty,
    "ulimits": resources.ulimits,
    "user": process.user,
    "uts": security.uts,
    "userns_mode": security.userns_mode,
    "volumes": storage.volumes,
    "working_dir": process.working_dir,
}
"""What a service may say, and who reads it."""

NO_EFFECT = {
    "annotations": "annotations have no effect here",
    "attach": "attach has no effect here",
    "develop": "develop has no effect here",
}
"""Attributes that may be left undone without harm; a warning says so."""

UNSUPPORTED = (
    "cgroup_parent configs cpu_rt_period cpu_rt_runtime credential_spec dns dns_opt dns_search extends "
    "external_links gpus isolation label_file mac_address models post_start pre_stop provider runtime secrets "
    "storage_opt use_api_socket volumes_from"
).split()
"""Attributes of the Compose specification that would matter, and aren't done yet."""


def read(name: str, place: Mark, node: Mapping, context: Context) -> Draft:
    """Read the attributes of a service. Raises InvalidStack."""
    values.known_keys(node, "a service", [*ATTRIBUTES, *NO_EFFECT], UNSUPPORTED)
    draft = Draft(name, place, node, context)
    for key, value in node:
        if key.text in ATTRIBUTES:
            ATTRIBUTES[key.text](draft, value)
        elif key.text in NO_EFFECT:
            context.warn(key.mark, NO_EFFECT[key.text])
    if not draft.request.image:
        raise place.error(f"the service {name} has no image", "add image:")
    return draft


def finish(draft: Draft) -> Service:
    """The service that a draft makes, once all others are known."""
    limits = {name: value for name, (value, _) in draft.limits.items()}
    replicas = int(limits.pop("replicas", 1))
    _check_replicas(draft, replicas)
    env = {**draft.env_files, **draft.environment}
    request = replace(
        draft.request,
        env=tuple(f"{name}={value}" for name, value in env.items() if value is not None),
        resources=Resources(**limits),
        stack=draft.context.stack,
        service=draft.name,
    )
    if request.network == "bridge":
        request = replace(request, aliases=tuple(dict.fromkeys((draft.name, *request.aliases))))
    request = replace(request, config_hash=config_hash(request))
    return Service(
        name=draft.name,
        request=replace(request, labels={**request.labels, **_labels(draft)}),
        depends_on=tuple(dependency for dependency, _ in draft.depends_on.values()),
        replicas=replicas,
        container_name=draft.container_name[0] if draft.container_name else "",
    )


def _labels(draft: Draft) -> dict[str, str]:
    """What `down` and other tools need to know of a container when the file isn't at hand."""
    context = draft.context
    labels = {
        "pyctr.stack": context.stack,
        "pyctr.service": draft.name,
        "com.docker.compose.project": context.stack,
        "com.docker.compose.service": draft.name,
    }
    own = [mount.source for mount in draft.request.mounts if mount.source in context.own_volumes]
    if own:
        labels["pyctr.volumes"] = ",".join(dict.fromkeys(own))
    if draft.depends_on:
        labels["pyctr.depends_on"] = ",".join(draft.depends_on)
    return labels


def _check_replicas(draft: Draft, replicas: int) -> None:
    """What one container only can have."""
    if replicas < 2:
        return
    if draft.container_name:
        name, node = draft.container_name
        raise node.error(f"{replicas} replicas can't all be named {name}", "leave container_name out")
    ports_node = draft.node.get("ports")
    fixed = [port.host_port for port in draft.request.ports if port.host_port]
    if fixed and ports_node is not None:
        raise ports_node.error(
            f"{replicas} replicas can't all publish port {fixed[0]}", "leave the host port out, or keep one replica"
        )
