"""Pressure stall information of one cgroup, or of the machine: accounting/psi.rst."""

from __future__ import annotations

from pyctr_engine.cgroups import files
from pyctr_engine.model.stats import Pressure


def read(path: str) -> Pressure:
    """One ``*.pressure`` file (``/proc/pressure/*`` has the same form); both ``None`` where the kernel can't tell.

    Lines like ``some avg10=0.12 avg60=0.00 avg300=0.00 total=1234``.
    """
    try:
        text = files.read(path)
    except OSError:  # no PSI in this kernel, or switched off (psi=0): EOPNOTSUPP
        return Pressure()
    return Pressure(_average(text, "some"), _average(text, "full"))


def _average(text: str, kind: str) -> float | None:
    start = text.find(f"{kind} avg10=")
    if start < 0:
        return None
    value = text[start + len(kind) + 7 :].split(None, 1)[0]
    try:
        return float(value)
    except ValueError:
        return None
