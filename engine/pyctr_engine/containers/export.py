"""A container's file system as a tar."""

from __future__ import annotations

from collections.abc import Callable

from pyctr_engine.containers.context import Context
from pyctr_engine.model.progress import Progress
from pyctr_engine.model.status import Container


def export(
    context: Context, container: Container, path: str, progress: Callable[[Progress], None] | None = None
) -> None:
    """Write what it sees as its root, whether it runs or not, to ``path`` (``-``: standard output).

    Left out are what is mounted in it and what the engine itself put there: mount points, /etc/hosts and the like.
    """
    from pyctr_engine.images.export import export
    from pyctr_engine.snapshots import stack

    directory = context.paths.container(container.id)
    own = stack.read(directory)

    def tell(written: int) -> None:
        if progress is not None:
            progress(Progress(container.name, "exporting", written))

    uppers = [own.upper, *own.deltas]
    export(context.paths.layers, directory, uppers, container.spec.chain, path, None if progress is None else tell)
    context.event("container", "export", container.id, container.name)
