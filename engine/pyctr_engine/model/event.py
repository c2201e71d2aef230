"""What happened, as the event log keeps it."""

from __future__ import annotations

from collections.abc import Mapping

from pyctr_engine.record import dataclass, field


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        time: Seconds since the epoch.
        type: ``container``, ``image``, ``network``, ``volume``, ``stack`` or ``system``.
        action: docker's word: create start die oom kill stop destroy exec_start commit tag untag delete load import
            prune repair …
        id: The object's full id (a name for volumes, networks and stacks).
        name: Its name then.
        attributes: More, e.g. ``exitCode``.
    """

    time: float
    type: str
    action: str
    id: str
    name: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
