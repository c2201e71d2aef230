"""Mending what `check` finds. Each function tells what it did, or why it left things as they are."""

from __future__ import annotations

import os

from pyctr_engine.cgroups import control
from pyctr_engine.containers import remove as removal
from pyctr_engine.containers import spawner, store
from pyctr_engine.containers.context import Context
from pyctr_engine.linux import mount
from pyctr_engine.linux.tree import remove_tree
from pyctr_engine.model.tidy import Repair

FILES = "container files"


def sweep(context: Context) -> Repair:
    """What every listing of containers does as well."""
    done = removal.recover(context)
    return Repair("containers", "; ".join(done) or "nothing was left to sweep")


def remove(path: str) -> Repair:
    """Remove what belongs to nobody."""
    remove_tree(path)
    return Repair(FILES, f"removed {path}")


def stray(context: Context, path: str) -> Repair:
    """Remove a directory of no container; what its container wrote is put aside, for it may be all that is left."""
    upper = f"{path}/upper"
    if not os.path.isdir(upper) or not os.listdir(upper):
        return remove(path)
    kept = f"{context.paths.state}/lost/{os.path.basename(path)}"
    os.makedirs(os.path.dirname(kept), mode=0o700, exist_ok=True)
    os.rename(path, kept)
    return Repair(FILES, f"moved {path} to {kept}: remove it when what its container wrote is not needed")


def stray_cgroups(context: Context) -> set[str]:
    """Ids that have a cgroup and are no container's, nor the spawner's reserve; none while one is being created."""
    with context.nobody_creating() as alone:
        ids = context.cgroups.ids(context.cgroup_parent) if alone else set()
        with context.lock:
            known = {spec.id for spec in store.all_specs(context.database)}
        strays = ids - known - {spawner.reserved_id(context.paths)}
    return {id for id in strays if context.cgroups.existing(context.cgroup_parent, id)}


def cgroup(context: Context, id: str) -> Repair:
    """Kill what runs in the cgroup of no container, and remove it."""
    if id not in stray_cgroups(context):
        return Repair("control groups", f"the cgroup of {id[:12]} is in use, or gone, by now")
    left = context.cgroups.existing(context.cgroup_parent, id)
    for directory in left:  # its monitor's too
        control.kill("", [directory])
    control.remove(left)
    return Repair("control groups", f"removed the cgroup of {id[:12]}, with all that ran in it")


def umount(point: str) -> Repair:
    """Take away a mount that hides something of ours."""
    mount.umount(point, mount.MNT_DETACH)
    return Repair("mounts", f"unmounted {point}")


def network(context: Context) -> Repair:
    """Make the bridge and its rules again."""
    from pyctr_engine.network import bridge, firewall

    with context.lock:
        found = context.networks.default()
        published = context.networks.published(found)
        bridge.ensure(found, published)
        firewall.ensure(found, published)
    return Repair("network", f"bridge {found.bridge} and its rules made again; restart what had no network")


def lost_volume(context: Context, name: str, users: list[str]) -> Repair:
    """A volume without files: made anew for the containers that mount it, forgotten otherwise."""
    if users:
        with context.lock:
            context.volumes.ensure(name)
        return Repair("volumes", f"volume {name} of {users[0]} made anew: it is empty, its files were gone")
    removal.remove_volume(context, name)
    return Repair("volumes", f"forgot volume {name}, whose files were gone")


def record_volume(context: Context, name: str) -> Repair:
    """A volume without a record gets one."""
    with context.lock:
        context.volumes.ensure(name)
    return Repair("volumes", f"recorded volume {name}")


def purge_volumes(context: Context) -> Repair:
    """What interrupted makings and removals left."""
    with context.nobody_creating() as alone:
        gone = context.volumes.purge(half_made=alone)
    return Repair("volumes", f"removed {len(gone)} directories of volumes that are gone, or were never finished")
