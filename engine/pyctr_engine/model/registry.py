"""What pulling and pushing came to."""

from __future__ import annotations

from pyctr_engine.model.image import ImageSummary
from pyctr_engine.record import dataclass


@dataclass(frozen=True, slots=True)
class Pulled:
    """An image that was pulled.

    Attributes:
        reference: In full: ``docker.io/library/nginx:latest``.
        digest: ``sha256:…`` of what the reference names: a manifest, or an index of manifests for several platforms.
        newer: Whether the name meant something else before, or nothing.
        warnings: Sentences for the user.
    """

    image: ImageSummary
    reference: str
    digest: str
    newer: bool
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pushed:
    """An image that was pushed: ``reference`` in full, and its manifest's digest and bytes there."""

    reference: str
    digest: str
    size: int
