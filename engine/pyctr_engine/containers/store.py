"""Containers in the database: specs and names, looked up as docker does: by name, id, or unique id prefix."""

from __future__ import annotations

import json
import sqlite3
from typing import Any, NamedTuple

from pyctr_engine.database import Database
from pyctr_engine.errors import Conflict, InvalidValue, NotFound
from pyctr_engine.model.spec import (
    ContainerRequest,
    ContainerSpec,
    Device,
    DeviceRule,
    HealthCheck,
    IdExtent,
    Logging,
    Mount,
    Namespaces,
    Port,
    Resources,
    RestartPolicy,
    Security,
)
from pyctr_engine.record import asdict


def find(database: Database, ref: str) -> ContainerSpec:
    """The container of that name, id or id prefix. Raises NotFound, or InvalidValue for an ambiguous prefix."""
    execute = database.connection.execute
    row = execute("SELECT spec FROM containers WHERE name = ? OR id = ?", (ref, ref)).fetchone()
    if row is None and ref and all(character in "0123456789abcdef" for character in ref):
        rows = execute("SELECT spec FROM containers WHERE id GLOB ? LIMIT 2", (ref + "*",)).fetchall()
        if len(rows) > 1:
            raise InvalidValue(
                f"{ref} is the beginning of several containers' ids", "give more of the id, or the name"
            )
        row = rows[0] if rows else None
    if row is None:
        raise NotFound(f"no such container: {ref}", "`pyctr-tui ps -a` lists all containers")
    return decode(row[0])


def exists(database: Database, id: str) -> bool:
    """Whether a container is recorded."""
    return database.connection.execute("SELECT 1 FROM containers WHERE id = ?", (id,)).fetchone() is not None


def all_specs(database: Database, but: str = "") -> list[ContainerSpec]:
    """All containers, newest first, without the one of id ``but``."""
    query = "SELECT spec FROM containers WHERE id != ? ORDER BY created DESC, id"
    rows = database.connection.execute(query, (but,)).fetchall()
    return [decode(row[0]) for row in rows]


def sharer_of_ids(connection: sqlite3.Connection, spec: ContainerSpec) -> str:
    """The id of another container that has the same host ids; empty for none."""
    if not spec.ids:
        return ""
    row = connection.execute(
        "SELECT id FROM containers WHERE id != ? AND json_extract(spec, '$.ids[0].host') = ? ORDER BY created",
        (spec.id, spec.ids[0].host),
    ).fetchone()
    return row[0] if row else ""


def insert(connection: sqlite3.Connection, spec: ContainerSpec) -> None:
    """Record a container inside the caller's transaction. Raises Conflict when its name is taken."""
    taken = connection.execute("SELECT id FROM containers WHERE name = ?", (spec.name,)).fetchone()
    if taken is not None:
        raise Conflict(
            f"the name {spec.name} is taken by container {taken[0][:12]}",
            f"choose another --name, or remove that one: `pyctr-tui rm {spec.name}`",
        )
    connection.execute(
        "INSERT INTO containers (id, name, spec, created) VALUES (?, ?, ?, ?)",
        (spec.id, spec.name, encode(spec), spec.created),
    )


class Member(NamedTuple):
    """What others of its stack have to know of a container: less to read than a spec, for there may be hundreds."""

    id: str
    name: str
    address: str
    hostname: str
    service: str
    aliases: tuple[str, ...]
    extra_hosts: tuple[tuple[str, str], ...]


def member_of(spec: ContainerSpec) -> Member:
    """A container as its peers see it."""
    asked = spec.request
    return Member(spec.id, spec.name, spec.address, spec.hostname, asked.service, asked.aliases, asked.extra_hosts)


def members(database: Database, stack: str, but: str = "") -> list[Member]:
    """The containers of a stack (of none, where it is empty) that have an address; without id ``but``."""
    rows = database.connection.execute(
        "SELECT id, name, json_extract(spec, '$.address'), json_extract(spec, '$.hostname'),"
        " json_extract(spec, '$.request.service'), json_extract(spec, '$.request.aliases'),"
        " json_extract(spec, '$.request.extra_hosts') FROM containers"
        " WHERE id != ? AND json_extract(spec, '$.request.stack') = ? AND json_extract(spec, '$.address') != ''"
        " ORDER BY created DESC",
        (but, stack),
    )
    return [
        Member(
            id,
            name,
            address,
            hostname,
            service,
            tuple(json.loads(aliases)) if aliases != "[]" else (),
            tuple((host, where) for host, where in json.loads(hosts)) if hosts != "[]" else (),
        )
        for id, name, address, hostname, service, aliases, hosts in rows
    ]


def update(connection: sqlite3.Connection, spec: ContainerSpec) -> None:
    """Replace a container's spec."""
    connection.execute("UPDATE containers SET spec = ?, name = ? WHERE id = ?", (encode(spec), spec.name, spec.id))


def delete(connection: sqlite3.Connection, id: str) -> None:
    """Forget a container."""
    connection.execute("DELETE FROM containers WHERE id = ?", (id,))


def encode(spec: ContainerSpec) -> str:
    """As JSON."""
    return json.dumps(asdict(spec), separators=(",", ":"))


def decode(text: str) -> ContainerSpec:
    """Read back what `encode` wrote."""
    value: dict[str, Any] = json.loads(text)
    value["request"] = _request(value["request"])
    value["mounts"] = tuple(Mount(**item) for item in value["mounts"])
    for key in ("ids", "gids"):
        value[key] = tuple(IdExtent(**item) for item in value.get(key, ()))
    for key in ("argv", "env", "chain"):
        value[key] = tuple(value[key])
    value["health"] = _health(value["health"]) if value.get("health") else None
    return ContainerSpec(**value)


def _request(value: dict[str, Any]) -> ContainerRequest:
    for key in ("command", "entrypoint"):
        value[key] = None if value[key] is None else tuple(value[key])
    for key in ("env", "aliases"):
        value[key] = tuple(value[key])
    value["mounts"] = tuple(Mount(**item) for item in value["mounts"])
    value["devices"] = tuple(Device(**item) for item in value["devices"])
    value["ports"] = tuple(Port(**item) for item in value["ports"])
    value["extra_hosts"] = tuple((name, address) for name, address in value["extra_hosts"])
    value["ulimits"] = {name: (soft, hard) for name, (soft, hard) in value["ulimits"].items()}
    value["resources"] = resources(value["resources"])
    value["security"] = _security(value["security"])
    value["namespaces"] = Namespaces(**value.get("namespaces", {}))
    value["group_add"] = tuple(value.get("group_add", ()))
    value["restart"] = RestartPolicy(**value["restart"])
    value["health"] = _health(value.get("health", {}))
    value["logging"] = Logging(**value.get("logging", {}))
    return ContainerRequest(**value)


def _security(value: dict[str, Any]) -> Security:
    lists = {key: tuple(value.get(key, ())) for key in ("cap_add", "cap_drop", "mask", "unmask")}
    rules = tuple(DeviceRule(**item) for item in value.get("device_rules", ()))
    return Security(**{**value, **lists, "device_rules": rules})


def resources(value: dict[str, Any]) -> Resources:
    """Limits as JSON has them."""
    for name, limit in value.items():
        if isinstance(limit, list):
            value[name] = tuple((what, amount) for what, amount in limit)
    return Resources(**value)


def _health(value: dict[str, Any]) -> HealthCheck:
    return HealthCheck(**{**value, "test": tuple(value.get("test", ()))})
