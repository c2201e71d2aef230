"""What a controller wants written into one of its files."""

from __future__ import annotations

from pyctr_engine.record import dataclass


@dataclass(frozen=True, slots=True)
class Setting:
    """One write.

    Attributes:
        file: The control file's name, without a directory.
        value: What is written.
        asked: Whether a user asked for it. What nobody asked for is left out where the file doesn't exist.
        either: The limit's name where several files serve the same one, of which a kernel may lack some: those that
            take it are written, and at least one must.
    """

    file: str
    value: str
    asked: bool = True
    either: str = ""
