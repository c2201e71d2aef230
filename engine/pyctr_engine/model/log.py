"""A line that a container wrote."""

from __future__ import annotations

from typing import Literal

from pyctr_engine.record import dataclass


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line. ``time`` in seconds since the epoch, ``text`` without its newline; undecodable bytes are replaced.

    Attributes:
        partial: It goes on in the next of the same stream: it was longer than the log's records are.
        dropped: It stands for so many lines that are missing, and says why.
    """

    time: float
    stream: Literal["stdout", "stderr"]
    text: str
    partial: bool = False
    dropped: int = 0
