"""How far long work has come."""

from __future__ import annotations

from pyctr_engine.record import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of long work.

    Attributes:
        subject: What is worked on (a container, an image, a layer).
        text: What is being done, e.g. ``creating``, ``started``.
        done, total: Bytes or items; ``total`` 0 when unknown.
        finished: Whether this subject is finished.
    """

    subject: str
    text: str
    done: int = 0
    total: int = 0
    finished: bool = False
