"""A line that a container wrote."""

from __future__ import annotations

from typing import Literal

from pyctr_engine.record import dataclass


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line. ``time`` in seconds since the epoch, ``text`` without its newline; undecodable bytes are replaced."""

    time: float
    stream: Literal["stdout", "stderr"]
    text: str
