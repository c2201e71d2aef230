"""What a removal would take, told before it is done; measured as `prune` measures."""

from __future__ import annotations

from collections.abc import Sequence

from pyctr_engine.containers import diskusage, listing, store
from pyctr_engine.containers.context import Context
from pyctr_engine.containers.create import volume_mounts
from pyctr_engine.linux.diskusage import DiskUsage, allocated
from pyctr_engine.model.spec import ContainerSpec
from pyctr_engine.model.tidy import ImageUsage, Removal, RemovedVolume


def removal(context: Context, containers: Sequence[str], images: Sequence[str]) -> Removal:
    """See `Engine.removal`."""
    specs = [listing.find(context, ref) for ref in containers]
    counter = DiskUsage()
    for spec in specs:
        counter.add(context.paths.container(spec.id))
    usages = tuple(diskusage.container(context, spec) for spec in specs)
    gone = _images(context, images, counter) if images else ()
    return Removal(usages, _volumes(context, specs), gone, counter.freed_if_removed)


def _volumes(context: Context, going: Sequence[ContainerSpec]) -> tuple[RemovedVolume, ...]:
    ids = {spec.id for spec in going}
    with context.lock:
        staying = [spec for spec in store.all_specs(context.database) if spec.id not in ids]
    unnamed = {mount.source for spec in going for mount in volume_mounts(spec)}
    names = dict.fromkeys(mount.source for spec in going for mount in spec.mounts if mount.type == "volume")
    return tuple(
        RemovedVolume(
            name,
            allocated(f"{context.paths.volumes}/{name}"),
            name in unnamed,
            diskusage.users(staying, name),
        )
        for name in names
    )


def _images(context: Context, refs: Sequence[str], counter: DiskUsage) -> tuple[ImageUsage, ...]:
    """Add to ``counter`` what nothing needs once all names of these images have gone."""
    from pyctr_engine.images import garbage
    from pyctr_engine.images.prune import measure

    ids = {context.images.find(ref).id for ref in refs}
    used = {use.image_id for use in context.images.uses()}
    with context.images.layout.keeping():
        measure(context.images, garbage.unneeded(context.images, ids - used), counter)
    return tuple(image for image in context.images.usage().images if image.id in ids)
