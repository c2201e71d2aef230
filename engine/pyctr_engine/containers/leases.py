"""Leases of addresses, host ids and ports against the containers that should hold them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise

from pyctr_engine.containers import idranges, remove, sharing, status, store
from pyctr_engine.containers.context import Context
from pyctr_engine.errors import NotFound
from pyctr_engine.model.host import Finding
from pyctr_engine.model.spec import ContainerSpec
from pyctr_engine.model.tidy import Problem, Repair
from pyctr_engine.network import addresses
from pyctr_engine.paths import in_house

_TABLES = {"addresses": "address", "id_ranges": "range of host ids", "published_ports": "published port"}


def problems(context: Context) -> list[Problem]:
    """All that is wrong with them; specs and leases are read in one transaction."""
    with context.lock, context.database.transaction() as connection:
        specs = {spec.id: spec for spec in store.all_specs(context.database)}
        held = {
            table: {row[0] for row in connection.execute(f"SELECT DISTINCT container FROM {table}")}  # noqa: S608
            for table in _TABLES
        }
        ranges = connection.execute("SELECT start, count, container FROM id_ranges ORDER BY start").fetchall()
        leased = dict(connection.execute("SELECT container, address FROM addresses").fetchall())
    found = []
    for table, what in _TABLES.items():
        for id in sorted(held[table] - set(specs)):
            detail = f"a {what} is leased to {id[:12]}, which is gone"
            found.append(_problem(detail, _releasing(context, table, id, what)))
    found += _overlaps(ranges, specs)
    holders = _holders(specs.values())
    for spec in specs.values():
        has_ids = spec.id in held["id_ranges"] or holders.get(spec.id) != spec.id
        found += _unleased(context, spec, has_ids, leased.get(spec.id))
        if spec.id in held["published_ports"] and _is_idle(context, spec):
            detail = f"{spec.name} holds ports, but does not run"
            found.append(_problem(detail, partial(_free_ports, context, spec)))
    return found


def _holders(specs: Iterable[ContainerSpec]) -> dict[str, str]:
    """Which container is to hold the lease of each one's host ids: of those that share them one, itself mostly."""
    specs = sorted(specs, key=lambda spec: (bool(sharing.others(spec.request)), spec.created))
    first: dict[int, str] = {}
    return {spec.id: first.setdefault(spec.ids[0].host, spec.id) for spec in specs if spec.ids}


def _problem(detail: str, mend: Callable[[], Repair] | None, cost: str = "") -> Problem:
    return Problem(Finding("fail", "leases", detail, cost or "`pyctr-tui system check --repair` puts it right"), mend)


def _releasing(context: Context, table: str, id: str, what: str) -> Callable[[], Repair]:
    def release() -> Repair:
        with context.lock, context.database.transaction() as connection:
            connection.execute(
                f"DELETE FROM {table} WHERE container = ? AND container NOT IN (SELECT id FROM containers)",  # noqa: S608
                (id,),
            )
        return Repair("leases", f"released the {what} of {id[:12]}, which is gone")

    return release


def _overlaps(ranges: list[tuple[int, int, str]], specs: dict[str, ContainerSpec]) -> list[Problem]:
    found = []
    for (start, count, one), (later, _, other) in pairwise(ranges):
        if later < start + count:
            names = [specs[id].name if id in specs else id[:12] for id in (one, other)]
            detail = f"the host ids of {names[0]} and {names[1]} overlap"
            found.append(_problem(detail, None, "remove one of them and make it again"))
    return found


def _unleased(context: Context, spec: ContainerSpec, has_ids: bool, address: int | None) -> list[Problem]:
    """What a container's spec says that it has, and no lease says so."""
    found = []
    if spec.ids and not has_ids and not in_house():
        detail = f"the host ids of {spec.name} are not leased"
        found.append(_problem(detail, lambda: _lease_ids(context, spec)))
    if spec.address and address != addresses.to_number(spec.address.split("/")[0]):
        detail = f"the address {spec.address} of {spec.name} is not leased"
        found.append(_problem(detail, lambda: _lease_address(context, spec)))
    return found


def _lease_ids(context: Context, spec: ContainerSpec) -> Repair:
    fixed = sharing.fixed_range(spec.request.security.userns)
    if fixed is not None:
        with context.lock, context.database.transaction() as connection:
            idranges.lease_fixed(connection, spec.id, *fixed)
        return Repair("leases", f"the host ids of {spec.name} are leased again")
    start = min(extent.host for extent in spec.ids)
    size = -(-(max(extent.host + extent.count for extent in spec.ids) - start) // 65536) * 65536
    with context.lock, context.database.transaction() as connection:
        taken = connection.execute(
            "SELECT container FROM id_ranges WHERE start < ? AND start + count > ?", (start + size, start)
        ).fetchone()
        if taken is not None:
            left = f"the host ids of {spec.name} are leased to {taken[0][:12]}: remove one of them"
            return Repair("leases", left, done=False)
        connection.execute("INSERT INTO id_ranges VALUES (?, ?, ?)", (start, size, spec.id))
    return Repair("leases", f"the host ids of {spec.name} are leased again")


def _lease_address(context: Context, spec: ContainerSpec) -> Repair:
    number = addresses.to_number(spec.address.split("/")[0])
    with context.lock:
        network = context.networks.default()
        with context.database.transaction() as connection:
            row = connection.execute(
                "SELECT container FROM addresses WHERE network = ? AND address = ?", (network.name, number)
            ).fetchone()
            if row is not None:
                left = f"the address of {spec.name} is leased to {row[0][:12]}: remove one of them"
                return Repair("leases", left, done=False)
            connection.execute("DELETE FROM addresses WHERE container = ?", (spec.id,))
            connection.execute("INSERT INTO addresses VALUES (?, ?, ?)", (network.name, number, spec.id))
    return Repair("leases", f"the address of {spec.name} is leased again")


def _is_idle(context: Context, spec: ContainerSpec) -> bool:
    """Whether it neither runs nor is being started."""
    with contextlib.suppress(NotFound, BlockingIOError), context.container_lock(spec.id, wait=False):
        return not status.is_alive(context.paths, spec.id)
    return False


def _free_ports(context: Context, spec: ContainerSpec) -> Repair:
    remove.release_ports(context, spec)
    return Repair("leases", f"released the ports of {spec.name}, which does not run")
