"""A stack written out again, as YAML in Compose's names: what the engine made of the file."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from pyctr_engine.model.spec import (
    ContainerRequest,
    Device,
    DeviceRule,
    HealthCheck,
    Logging,
    Mount,
    Port,
    Resources,
    Security,
)
from pyctr_engine.model.stack import Service, Stack
from pyctr_engine.stacks.digest import OWN_LABELS

_DEFAULT = ContainerRequest(image="")
_PLAIN = "hostname domainname user working_dir tty stdin_open init stop_signal shm_size platform".split()
"""Attributes that are written as the request has them."""


def render(stack: Stack) -> str:
    """A stack as YAML that loads as the same stack again."""
    import yaml

    document: dict[str, Any] = {
        "name": stack.name,
        "services": {service.name: _service(service, stack) for service in stack.services},
    }
    volumes: dict[str, Any] = {name: {"name": name} for name in stack.volumes}
    volumes |= {name: {"name": name, "external": True} for name in stack.external_volumes}
    if volumes:
        document["volumes"] = volumes
    text: str = yaml.safe_dump(_escaped(document), sort_keys=False, allow_unicode=True, width=1000)
    return text


def _health(check: HealthCheck) -> dict[str, Any]:
    if check == HealthCheck():
        return {}
    if check.test == ("NONE",):
        return {"healthcheck": {"disable": True}}
    times = {"interval": check.interval, "timeout": check.timeout, "start_period": check.start_period}
    times["start_interval"] = check.start_interval
    found: dict[str, Any] = {"test": list(check.test)} if check.test else {}
    found |= {name: _duration(value) for name, value in times.items() if value is not None}
    if check.retries is not None:
        found["retries"] = check.retries
    return {"healthcheck": found}


def _logging(logging: Logging) -> dict[str, Any]:
    usual = Logging()
    if logging == usual:
        return {}
    if not logging.max_size:
        return {"logging": {"driver": "none"}}
    options = {"max-size": (logging.max_size, usual.max_size), "max-file": (logging.max_files, usual.max_files)}
    options["rate-limit"] = (logging.rate, usual.rate)
    return {
        "logging": {"options": {name: str(value) for name, (value, normal) in options.items() if value != normal}}
    }


def _duration(seconds: float) -> str:
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


def _escaped(value: Any) -> Any:
    """A dollar sign in a value is written twice, or it would be a variable when read again."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return value


def _service(service: Service, stack: Stack) -> dict[str, Any]:
    """A service's attributes; those that say nothing are left out."""
    request = service.request
    found: dict[str, Any] = {"image": request.image}
    for attribute in ("entrypoint", "command"):
        value = getattr(request, attribute)
        if value is not None:
            found[attribute] = list(value)
    if service.container_name:
        found["container_name"] = service.container_name
    for attribute in _PLAIN:
        value = getattr(request, attribute)
        if value != getattr(_DEFAULT, attribute):
            found[attribute] = value
    if request.pull != _DEFAULT.pull:
        found["pull_policy"] = request.pull
    if request.stop_grace != _DEFAULT.stop_grace:
        found["stop_grace_period"] = _duration(request.stop_grace)
    lists: dict[str, Any] = {
        "environment": dict(pair.split("=", 1) for pair in request.env),
        "volumes": [_mount(mount) for mount in request.mounts if not mount.executable],
        "tmpfs": [_tmpfs(mount) for mount in request.mounts if mount.executable],
        "ports": [_port(port) for port in request.ports],
        "devices": [_device(device) for device in request.devices],
        "labels": {key: value for key, value in request.labels.items() if not key.startswith(OWN_LABELS)},
        "extra_hosts": [f"{host}={address}" for host, address in request.extra_hosts],
        "ulimits": {key: {"soft": soft, "hard": hard} for key, (soft, hard) in request.ulimits.items()},
        "sysctls": dict(request.sysctls),
        "group_add": list(request.group_add),
    }
    found |= {name: value for name, value in lists.items() if value}
    found |= _health(request.health) | _logging(request.logging)
    found |= _network(service, stack) | _resources(request.resources) | _security(request.security)
    found |= _namespaces(service, stack)
    if service.depends_on:
        found["depends_on"] = {
            item.service: {"condition": item.condition, "required": item.required} for item in service.depends_on
        }
    if request.restart.name != "no":
        retries = f":{request.restart.max_retries}" if request.restart.max_retries else ""
        found["restart"] = request.restart.name + retries
    if service.replicas != 1:
        found["scale"] = service.replicas
    return found


def _network(service: Service, stack: Stack) -> dict[str, Any]:
    request = service.request
    if request.network == "bridge":
        aliases = [alias for alias in request.aliases if alias != service.name]
        return {"networks": {"default": {"aliases": aliases}}} if aliases else {}
    for other in stack.services:
        if request.network == f"container:{other.container(1)}":
            return {"network_mode": f"service:{other.name}"}
    return {"network_mode": request.network}


def _resources(resources: Resources) -> dict[str, Any]:
    names = {
        "memory": "mem_limit",
        "memory_swap": "memswap_limit",
        "memory_reservation": "mem_reservation",
        "memory_swappiness": "mem_swappiness",
        "pids": "pids_limit",
    }
    found = {names.get(field.name, field.name): getattr(resources, field.name) for field in fields(resources)}
    disks = {
        "weight": found.pop("blkio_weight"),
        "weight_device": [{"path": path, "weight": weight} for path, weight in found.pop("blkio_weight_device")],
    }
    for name in ("device_read_bps", "device_write_bps", "device_read_iops", "device_write_iops"):
        disks[name] = [{"path": path, "rate": rate} for path, rate in found.pop(name)]
    disks = {name: value for name, value in disks.items() if value}
    found = {name: value for name, value in found.items() if value is not False and value not in (None, "", ())}
    return {**found, **({"blkio_config": disks} if disks else {})}


def _security(security: Security) -> dict[str, Any]:
    options = []
    if security.no_new_privileges is not None:
        options.append(f"no-new-privileges:{str(security.no_new_privileges).lower()}")
    if security.seccomp != "default":
        options.append(f"seccomp={security.seccomp}")
    if security.apparmor:
        options.append(f"apparmor={security.apparmor}")
    if security.profile:
        options.append(f"profile={security.profile}")
    options += [f"{word}={':'.join(paths)}" for word in ("mask", "unmask") if (paths := getattr(security, word))]
    found: dict[str, Any] = {
        "privileged": security.privileged,
        "read_only": security.read_only,
        "cap_add": list(security.cap_add),
        "cap_drop": list(security.cap_drop),
        "security_opt": options,
        "userns_mode": "" if security.userns == "auto" else security.userns,
        "device_cgroup_rules": [_rule(rule) for rule in security.device_rules],
    }
    found = {name: value for name, value in found.items() if value}
    if security.oom_score_adj is not None:
        found["oom_score_adj"] = security.oom_score_adj
    return found


def _rule(rule: DeviceRule) -> str:
    major, minor = ("*" if number < 0 else str(number) for number in (rule.major, rule.minor))
    return f"{rule.kind} {major}:{minor} {rule.access}"


def _namespaces(service: Service, stack: Stack) -> dict[str, Any]:
    """Those of a service of this stack by the service's name: a container's may be another when read again."""
    names = {f"container:{other.container(1)}": f"service:{other.name}" for other in stack.services}
    asked = service.request.namespaces
    modes = {kind: getattr(asked, kind) for kind in ("pid", "ipc", "uts", "cgroup")}
    return {kind: names.get(mode, mode) for kind, mode in modes.items() if mode != "private"}


def _mount(mount: Mount) -> dict[str, Any]:
    found: dict[str, Any] = {"type": mount.type}
    if mount.source:
        found["source"] = mount.source
    found["target"] = mount.target
    if mount.read_only:
        found["read_only"] = True
    if mount.type == "tmpfs":
        found["tmpfs"] = ({"size": mount.size} if mount.size else {}) | {"mode": f"{mount.mode:o}"}
    return found


def _tmpfs(mount: Mount) -> str:
    """The short form, which alone can say that programs may be run in it."""
    size = f"size={mount.size}," if mount.size else ""
    return f"{mount.target}:{size}mode={mount.mode:o},{'ro,' if mount.read_only else ''}exec"


def _port(port: Port) -> dict[str, Any]:
    found: dict[str, Any] = {"target": port.container_port}
    if port.host_port:
        found["published"] = str(port.host_port)
    if port.host_ip:
        found["host_ip"] = port.host_ip
    return {**found, "protocol": port.protocol}


def _device(device: Device) -> dict[str, Any]:
    return {"source": device.source, "target": device.target, "permissions": device.permissions}
