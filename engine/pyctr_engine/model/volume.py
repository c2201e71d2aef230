"""A named volume."""

from __future__ import annotations

from pyctr_engine.record import dataclass


@dataclass(frozen=True, slots=True)
class Volume:
    """A directory that outlives the containers that use it.

    Attributes:
        name: Its name; 64 hex digits for one that was never named.
        mountpoint: Its directory on the host, absolute.
        created: Seconds since the epoch.
        stack: The stack that it was made for; empty for none.
    """

    name: str
    mountpoint: str
    created: float
    stack: str = ""
