"""Pressure stall information of one cgroup, or of the machine: accounting/psi.rst."""

from __future__ import annotations

from pyctr_engine.linux.kept import Descriptors, File
from pyctr_engine.model.stats import Pressure

UNKNOWN = Pressure()


def read(path: str) -> Pressure:
    """One ``*.pressure`` file (``/proc/pressure/*`` has the same form); all ``None`` where the kernel can't tell."""
    meter = Meter(File(path, Descriptors()))
    meter.read()
    return meter.value


class Meter:
    """Reads one such file again and again.

    Attributes:
        value: What it said last.
    """

    __slots__ = ("file", "value")

    def __init__(self, file: File) -> None:
        self.file = file
        self.value = UNKNOWN

    def read(self) -> None:
        """Read it."""
        if self.file.changed():
            self.value = parse(self.file.data)

    @property
    def is_fading(self) -> bool:
        """Whether it will change by itself, as its average does until it is 0."""
        return bool(self.value.some or self.value.full)


def parse(data: bytes) -> Pressure:
    """Lines like ``some avg10=0.12 avg60=0.00 avg300=0.00 total=1234``, and the same of ``full`` (not for all)."""
    words = data.split()
    if len(words) == 10:  # by their places: this is done hundreds of times a second
        return Pressure(float(words[1][6:]), float(words[6][6:]), int(words[4][6:]), int(words[9][6:]))
    return Pressure(float(words[1][6:]), None, int(words[4][6:])) if len(words) == 5 else UNKNOWN
