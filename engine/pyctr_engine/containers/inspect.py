"""Everything about a container under docker's field names, where they mean the same."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pyctr_engine.containers import confinement, history
from pyctr_engine.model.spec import DeviceLimits, HealthCheck, Mount, Port, Resources, Security
from pyctr_engine.model.status import Container, State
from pyctr_engine.paths import Paths
from pyctr_engine.record import asdict
from pyctr_engine.runtime.logs import log_path
from pyctr_engine.snapshots.overlay import Snapshot


def inspect(paths: Paths, container: Container, gateway: str, cgroups: str) -> dict[str, Any]:
    """docker's ``inspect`` of a container; what is ours alone is under ``Pyctr``. ``cgroups``: the layout's mode."""
    spec, status, asked = container.spec, container.status, container.spec.request
    snapshot = Snapshot(paths.container(spec.id))
    return {
        "Id": spec.id,
        "Name": f"/{spec.name}",
        "Created": _time(spec.created),
        "Path": spec.argv[0],
        "Args": list(spec.argv[1:]),
        "State": {
            "Status": str(status.state),
            "Running": status.state in (State.RUNNING, State.PAUSED),
            "Paused": status.state is State.PAUSED,
            "Restarting": status.state is State.RESTARTING,
            "OOMKilled": status.oom_killed,
            "Dead": status.state is State.DEAD,
            "Pid": status.pid,
            "ExitCode": status.exit_code or 0,
            "Error": status.error,
            "StartedAt": _time(status.started_at),
            "FinishedAt": _time(status.finished_at),
            **({"Health": _health(paths, container)} if spec.health else {}),
        },
        "Image": spec.image_id,
        "ResolvConfPath": f"{paths.run_container(spec.id)}/resolv.conf",
        "HostnamePath": f"{paths.run_container(spec.id)}/hostname",
        "HostsPath": f"{paths.run_container(spec.id)}/hosts",
        "LogPath": log_path(paths.container(spec.id)),
        "RestartCount": status.restart_count,
        "Driver": "overlay",
        "Config": {
            "Hostname": spec.hostname,
            "Domainname": asked.domainname,
            "User": spec.user,
            "Tty": asked.tty,
            "OpenStdin": asked.stdin_open,
            "Env": list(spec.env),
            "Cmd": list(asked.command) if asked.command is not None else None,
            "Entrypoint": list(asked.entrypoint) if asked.entrypoint is not None else None,
            "Image": spec.image,
            "WorkingDir": spec.working_dir,
            "Labels": dict(spec.labels),
            "StopSignal": spec.stop_signal,
            "StopTimeout": asked.stop_grace,
            **({"Healthcheck": _check(spec.health)} if spec.health else {}),
        },
        "HostConfig": _host_config(container),
        "GraphDriver": {
            "Name": "overlay",
            "Data": {
                "LowerDir": ":".join([*snapshot.uppers[1:], *(f"{paths.layers}/{link}" for link in spec.chain)]),
                "UpperDir": snapshot.upper,
                "WorkDir": snapshot.work,
            },
        },
        "Mounts": [_mount(paths, mount) for mount in spec.mounts],
        "NetworkSettings": _network(container, gateway),
        "Pyctr": {
            "Stack": asked.stack,
            "Service": asked.service,
            "IdMap": [[extent.container, extent.host, extent.count] for extent in spec.ids],
            "GroupIdMap": [[extent.container, extent.host, extent.count] for extent in spec.gids or spec.ids],
            "PlainBinds": list(status.plain_binds),
            "StartMilliseconds": status.start_ms,
            "StartTrace": start_trace(paths, spec.id),
            "MonitorPid": status.monitor_pid,
            "Cgroups": cgroups,
            "LimitsKept": cgroups != "none",
            "Limits": _limits(asked.resources),
        },
    }


def start_trace(paths: Paths, id: str) -> list[dict[str, Any]]:
    """The steps of the last start: name, begin and end in milliseconds from its beginning."""
    return [{"Step": name, "Begin": begin, "End": end} for name, begin, end in history.trace(paths.container(id))]


def _host_config(container: Container) -> dict[str, Any]:
    asked = container.spec.request
    limits = asked.resources
    return {
        "Binds": [f"{m.source}:{m.target}{':ro' if m.read_only else ''}" for m in container.spec.mounts if m.source],
        "NetworkMode": asked.network,
        "PortBindings": _bindings(asked.ports),
        "LogConfig": {
            "Type": "json-file" if asked.logging.max_size else "none",
            "Config": {
                "max-size": str(asked.logging.max_size),
                "max-file": str(asked.logging.max_files),
                **({"rate-limit": str(asked.logging.rate)} if asked.logging.rate else {}),
            },
        },
        "RestartPolicy": {"Name": asked.restart.name, "MaximumRetryCount": asked.restart.max_retries},
        "AutoRemove": asked.auto_remove,
        "CapAdd": list(asked.security.cap_add),
        "CapDrop": list(asked.security.cap_drop),
        "Privileged": asked.security.privileged,
        "ReadonlyRootfs": asked.security.read_only,
        "SecurityOpt": _security_options(asked.security),
        "UsernsMode": asked.security.userns.replace("auto", "") if container.spec.ids else "host",
        "PidMode": asked.namespaces.pid.replace("private", ""),
        "IpcMode": asked.namespaces.ipc,
        "UTSMode": asked.namespaces.uts.replace("private", ""),
        "CgroupnsMode": asked.namespaces.cgroup,
        "GroupAdd": list(asked.group_add),
        "OomScoreAdj": asked.security.oom_score_adj or 0,
        "Devices": [
            {"PathOnHost": one.source, "PathInContainer": one.target, "CgroupPermissions": one.permissions}
            for one in asked.devices
        ],
        "DeviceCgroupRules": [
            f"{one.kind} {'*' if one.major < 0 else one.major}:{'*' if one.minor < 0 else one.minor} {one.access}"
            for one in asked.security.device_rules
        ],
        **_paths(asked.security),
        "ShmSize": asked.shm_size,
        "Memory": limits.memory or 0,
        "MemorySwap": limits.memory_swap or 0,
        "MemoryReservation": limits.memory_reservation or 0,
        "NanoCpus": int((limits.cpus or 0) * 1_000_000_000),
        "CpuShares": limits.cpu_shares or 0,
        "CpusetCpus": limits.cpuset,
        "CpusetMems": limits.cpuset_mems,
        "CpuPeriod": limits.cpu_period or 0,
        "CpuQuota": limits.cpu_quota or 0,
        "CpuBurst": limits.cpu_burst or 0,
        "MemoryHigh": limits.memory_high or 0,
        "MemorySwappiness": limits.memory_swappiness,
        "OomKillDisable": limits.oom_kill_disable,
        "OomGroup": limits.oom_group,
        "BlkioWeight": limits.blkio_weight or 0,
        "BlkioWeightDevice": [{"Path": path, "Weight": weight} for path, weight in limits.blkio_weight_device],
        "BlkioDeviceReadBps": _rates(limits.device_read_bps),
        "BlkioDeviceWriteBps": _rates(limits.device_write_bps),
        "BlkioDeviceReadIOps": _rates(limits.device_read_iops),
        "BlkioDeviceWriteIOps": _rates(limits.device_write_iops),
        "HugePages": [{"PageSize": size, "Limit": limit} for size, limit in limits.hugetlb],
        "PidsLimit": limits.pids,
        "Init": asked.init,
    }


def _security_options(security: Security) -> list[str]:
    found = ["no-new-privileges"] if security.no_new_privileges else []
    if security.seccomp != "default":
        found.append(f"seccomp={security.seccomp}")
    if security.apparmor:
        found.append(f"apparmor={security.apparmor}")
    if security.profile not in ("", "default"):
        found.append(f"profile={security.profile}")
    return found


def _paths(security: Security) -> dict[str, Any]:
    masked, protected = confinement.hidden_paths(security)
    return {"MaskedPaths": masked, "ReadonlyPaths": protected}


def _limits(resources: Resources) -> dict[str, Any]:
    """Those that are in force, by their own names."""
    found = asdict(resources)
    if (found["pids"] or 0) < 1:
        del found["pids"]
    return {name: value for name, value in found.items() if value not in (None, "", ()) and value is not False}


def _rates(limits: DeviceLimits) -> list[dict[str, Any]]:
    return [{"Path": path, "Rate": rate} for path, rate in limits]


def _health(paths: Paths, container: Container) -> dict[str, Any]:
    results = history.health(paths.run_container(container.id), paths.container(container.id))
    return {
        "Status": container.status.health or "none",
        "FailingStreak": container.status.health_streak,
        "Log": [
            {"Start": _time(r.started), "End": _time(r.ended), "ExitCode": r.exit_code, "Output": r.output}
            for r in results
        ],
    }


def _check(check: HealthCheck) -> dict[str, Any]:
    """As docker keeps it: times in nanoseconds."""
    times = {
        "Interval": check.interval,
        "Timeout": check.timeout,
        "StartPeriod": check.start_period,
        "StartInterval": check.start_interval,
    }
    found = {name: int((value or 0) * 1e9) for name, value in times.items()}
    return {"Test": list(check.test), **found, "Retries": check.retries}


def _mount(paths: Paths, mount: Mount) -> dict[str, Any]:
    source = f"{paths.volumes}/{mount.source}/_data" if mount.type == "volume" else mount.source
    return {
        "Type": mount.type,
        "Name": mount.source if mount.type == "volume" else "",
        "Source": source,
        "Destination": mount.target,
        "RW": not mount.read_only,
        "Propagation": (mount.propagation or "rprivate") if mount.type == "bind" else "",
    }


def _network(container: Container, gateway: str) -> dict[str, Any]:
    spec = container.spec
    address, _, prefix = spec.address.partition("/")
    endpoint = {"IPAddress": address, "IPPrefixLen": int(prefix or 0), "Gateway": gateway, "Aliases": [spec.name]}
    return {
        "Ports": _bindings(container.ports),
        "IPAddress": address,
        "Gateway": gateway if address else "",
        "Networks": {spec.request.network: endpoint} if address else {},
    }


def _bindings(ports: tuple[Port, ...]) -> dict[str, Any]:
    found: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        binding = {"HostIp": port.host_ip or "0.0.0.0", "HostPort": str(port.host_port or "")}
        found.setdefault(f"{port.container_port}/{port.protocol}", []).append(binding)
    return found


def _time(seconds: float) -> str:
    if not seconds:
        return "0001-01-01T00:00:00Z"
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
