"""Images together with the containers made from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pyctr_engine.containers import store
from pyctr_engine.containers.context import Context
from pyctr_engine.errors import InvalidValue, NotFound, NotPermitted, RegistryError
from pyctr_engine.record import replace

if TYPE_CHECKING:
    import threading

    from pyctr_engine.images.store import Image
    from pyctr_engine.model.image import ImageSummary
    from pyctr_engine.model.progress import Progress
    from pyctr_engine.model.registry import Pulled, Pushed
    from pyctr_engine.model.spec import ContainerRequest

ProgressSink = Callable[["Progress"], None]

PULL_POLICIES = ("missing", "always", "never")


def images(context: Context) -> list[ImageSummary]:
    """All images, newest first, each with who uses it."""
    used = used_by(context)
    found = [replace(item, used_by=used.get(item.id, ())) for item in context.images.list()]
    return sorted(found, key=lambda item: item.created or 0.0, reverse=True)


def image(context: Context, ref: str) -> ImageSummary:
    """One image. Raises NotFound."""
    id = context.images.find(ref).id
    for item in images(context):
        if item.id == id:
            return item
    raise NotFound(f"no such image: {ref}", "`pyctr-tui images` lists what there is")


def remove(context: Context, ref: str, force: bool) -> list[str]:
    """Remove a name or an image; refuses one that containers use."""
    id = context.images.find(ref).id
    done = context.images.remove(ref, force)
    for line in done:
        what, _, which = line.partition(": ")
        context.event("image", "delete" if what == "Deleted" else "untag", id, ref if which == id else which)
    return done


def used_by(context: Context) -> dict[str, tuple[str, ...]]:
    """Image id → ids of the containers made from it."""
    found: dict[str, tuple[str, ...]] = {}
    with context.lock:
        for spec in store.all_specs(context.database):
            id = spec.image_id.partition("@")[0]  # of the state after a layer: it needs the image
            found[id] = (*found.get(id, ()), spec.id)
    return found


def obtain(context: Context, request: ContainerRequest, progress: ProgressSink | None) -> Image:
    """The image of a request, pulled when the request's policy says so.

    Raises:
        NotFound: it isn't here, and can't or must not be pulled. Cancelled.
    """
    if request.pull not in PULL_POLICIES:
        raise InvalidValue(f"there is no pull policy {request.pull!r}", f"one of: {', '.join(PULL_POLICIES)}")
    ref = request.image
    absent: NotFound | None = None
    if request.pull != "always" or context.images.is_built_in(ref):
        try:
            image = context.images.resolve(ref)
            if not request.platform or context.images.suits(image.config, request.platform):
                return image
            absent = NotFound(
                f"image {ref} is here for {image.config.os}/{image.config.architecture} only, not {request.platform}",
                f"`pyctr-tui pull --platform {request.platform} {ref}` brings the other",
            )
        except NotFound as error:
            absent = error
        if request.pull == "never" or context.images.is_built_in(ref) or not context.images.is_reference(ref):
            raise absent
    try:
        pull(context, ref, request.platform, progress)
    except (NotFound, NotPermitted, RegistryError) as error:
        if absent is None:
            raise
        hint = f"{absent.hint}; {error.hint}" if "did you mean" in absent.hint and error.hint else error.hint
        raise NotFound(f"{absent.message}, and {error.message}", hint or absent.hint) from error
    return context.images.resolve(ref)


def pull(
    context: Context,
    name: str,
    platform: str = "",
    progress: ProgressSink | None = None,
    cancel: threading.Event | None = None,
) -> Pulled:
    """Pull an image. Raises what `ImageStore.pull` does."""
    from pyctr_engine.model.registry import Pulled

    done = context.images.pull(name, platform, progress, cancel)
    context.event("image", "pull", done.stored.id, done.reference.familiar)
    summary = image(context, done.stored.id)
    return Pulled(summary, done.reference.canonical, done.digest, done.newer, done.warnings)


def push(
    context: Context,
    name: str,
    compression: str,
    progress: ProgressSink | None = None,
    cancel: threading.Event | None = None,
) -> Pushed:
    """Push an image. Raises what `ImageStore.push` does."""
    from pyctr_engine.model.registry import Pushed

    done = context.images.push(name, compression, progress, cancel)
    context.event("image", "push", context.images.find(name).id, done.reference.familiar)
    return Pushed(done.reference.canonical, done.digest, done.size)
