"""A container's file system as a tar."""

from __future__ import annotations

from pyctr_engine.containers.context import Context
from pyctr_engine.model.status import Container


def export(context: Context, container: Container, path: str) -> None:
    """Write what it sees as its root, whether it runs or not, to ``path`` (``-``: standard output).

    Left out are what is mounted in it and what the engine itself put there: mount points, /etc/hosts and the like.
    """
    from pyctr_engine.images.export import export
    from pyctr_engine.snapshots import stack

    directory = context.paths.container(container.id)
    own = stack.read(directory)
    export(context.paths.layers, directory, [own.upper, *own.deltas], container.spec.chain, path)
    context.event("container", "export", container.id, container.name)
