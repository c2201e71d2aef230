"""`system check`: the store, the database, and what the kernel holds for us, compared with each other."""

from __future__ import annotations

import os

from pyctr_engine.containers import spawner, status, store
from pyctr_engine.containers.context import Context
from pyctr_engine.errors import EngineError
from pyctr_engine.model.host import Finding
from pyctr_engine.snapshots import stack


def check(context: Context) -> list[Finding]:
    """Examine everything; changes nothing."""
    with context.lock:
        rows = context.database.connection.execute("PRAGMA integrity_check").fetchall()
        specs = {spec.id: spec for spec in store.all_specs(context.database)}
    findings = [_finding("database", [row[0] for row in rows if row[0] != "ok"], f"{len(specs)} containers recorded")]
    findings += context.images.verify()
    findings.append(
        _finding("container files", _stray_directories(context, set(specs)), "each belongs to a container")
    )
    findings.append(_finding("checkpoints", _broken_stacks(context, set(specs)), "each is whole"))
    findings.append(_finding("control groups", _stray_cgroups(context, set(specs)), "each belongs to a container"))
    dead = [
        f"{spec.name} is recorded as running, but its monitor is gone"
        for spec in specs.values()
        if (state := status.read_state(context.paths, spec.id))
        and state["state"] in ("running", "paused", "restarting")
        and not status.monitor_lives(state)
    ]
    findings.append(_finding("monitors", dead, "every running container has one"))
    findings.append(_finding("leases", _stray_leases(context, set(specs)), "each belongs to a container"))
    return findings


def _finding(subject: str, problems: list[str], fine: str) -> Finding:
    if not problems:
        return Finding("ok", subject, fine)
    more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
    return Finding("fail", subject, problems[0] + more, "`pyctr-tui ps` sweeps what dead monitors left")


def _stray_directories(context: Context, known: set[str]) -> list[str]:
    found = []
    for directory in (context.paths.containers, context.paths.run_containers):
        if os.path.isdir(directory):
            found += [
                f"{directory}/{name} belongs to no container" for name in os.listdir(directory) if name not in known
            ]
    return found


def _broken_stacks(context: Context, known: set[str]) -> list[str]:
    found = []
    for id in sorted(known):
        directory = context.paths.container(id)
        if not os.path.isdir(directory):
            continue  # being made, or being removed
        try:
            paths = [f"{directory}/{name}" for name in sorted(stack.read(directory).referenced())]
        except EngineError as error:
            found.append(error.message)
            continue
        found += [f"{path} is missing" for path in paths if not os.path.isdir(path)]
    return found


def _stray_cgroups(context: Context, known: set[str]) -> list[str]:
    ids = context.cgroups.ids(context.cgroup_parent) - known - {spawner.reserved_id(context.paths)}
    return [f"the cgroup of {id[:12]} belongs to no container" for id in sorted(ids)]


def _stray_leases(context: Context, known: set[str]) -> list[str]:
    found = []
    with context.lock:
        for table in ("addresses", "id_ranges", "published_ports"):
            rows = context.database.connection.execute(f"SELECT DISTINCT container FROM {table}").fetchall()  # noqa: S608
            found += [f"{table}: a lease of {row[0][:12]}, which is gone" for row in rows if row[0] not in known]
    return found
