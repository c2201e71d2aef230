"""Volumes together with the containers that mount them."""

from __future__ import annotations

from typing import Any

from pyctr_engine.containers import store
from pyctr_engine.containers.context import Context
from pyctr_engine.errors import Conflict


def volumes(context: Context) -> list[dict[str, Any]]:
    """Name, mountpoint, created, size in bytes, and the names of the containers that mount it."""
    with context.lock:
        listed = context.volumes.list()
        specs = store.all_specs(context.database)
    return [
        {
            "name": volume.name,
            "mountpoint": volume.mountpoint,
            "created": volume.created,
            "size": context.volumes.size(volume.name),
            "used_by": [
                spec.name
                for spec in specs
                if any(mount.type == "volume" and mount.source == volume.name for mount in spec.mounts)
            ],
        }
        for volume in listed
    ]


def create(context: Context, name: str) -> None:
    """Make a volume. Raises Conflict, InvalidValue."""
    with context.lock:
        _, made = context.volumes.ensure(name)
        if not made:
            raise Conflict(f"there is a volume {name} already", "`pyctr-tui volume ls` lists them")
    context.event("volume", "create", name, name)
