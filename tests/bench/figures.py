"""Figures: samples with a target, and how they are printed."""

from __future__ import annotations

import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """What was measured.

    Attributes:
        name: What of.
        samples: Every reading, in ``unit``.
        target: The most that the median may be; ``None`` where the figure is only there to compare with.
        note: Why it is as it is, or what it was compared with.
    """

    name: str
    samples: tuple[float, ...]
    unit: str = "ms"
    target: float | None = None
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def verdict(self) -> str:
        """``met``, or by how much it was missed."""
        if self.target is None:
            return ""
        over = self.median - self.target
        if over <= 0:
            return "met"
        return f"MISSED by {over:.3g}{'' if self.unit == '×' else ' ' + self.unit} ({over / self.target:.0%})"

    def cells(self) -> tuple[str, ...]:
        """Name, median, min and max, target, verdict."""
        unit = self.unit if self.unit == "×" else f" {self.unit}"
        spread = f"{digits(min(self.samples))} … {digits(max(self.samples))}" if len(self.samples) > 1 else ""
        target = "" if self.target is None else f"≤ {self.target:g}{unit}"
        return self.name, f"{digits(self.median)}{unit}", spread, target, self.verdict


def ratio(name: str, figure: Figure, floor: Figure, target: float | None = None, note: str = "") -> Figure:
    """How many times the floor's median a figure's is."""
    return Figure(name, (figure.median / floor.median,), "×", target, note)


def digits(value: float) -> str:
    """Three digits that matter."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(figures: list[Figure]) -> str:
    """All of them, a line each, with their notes below."""
    head = ("", "median", "min … max", "target", "")
    rows = [head, *(figure.cells() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = []
    for row in rows:
        name, *rest = (
            text.ljust(width) if not at else text.rjust(width)
            for at, (text, width) in enumerate(zip(row[:4], widths[:4], strict=True))
        )
        lines.append("  ".join([name, *rest, row[4]]).rstrip())
    notes = dict.fromkeys(figure.note for figure in figures if figure.note)
    return "\n\n".join(["\n".join(lines), *notes])
