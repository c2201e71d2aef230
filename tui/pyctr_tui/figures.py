"""Figures as people read them: sizes, rates, shares and ages, short and right for a column."""

from __future__ import annotations

_UNITS = ("", "K", "M", "G", "T", "P")


def size(count: float) -> str:
    """Bytes in at most four cells: ``0``, ``812``, ``38M``, ``1.1G`` (powers of 1024)."""
    value = float(max(count, 0))
    unit = 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value /= 1024
        unit += 1
    if unit and value < 9.95:
        return f"{value:.1f}{_UNITS[unit]}"
    return f"{value:.0f}{_UNITS[unit]}"


def exact_size(count: int) -> str:
    """Bytes for a sentence: ``812 bytes``, ``38.2 MiB``."""
    if count < 1024:
        return f"{count} byte" if count == 1 else f"{count} bytes"
    value = float(count)
    unit = 0
    while value >= 1023.95 and unit < len(_UNITS) - 1:
        value /= 1024
        unit += 1
    figure = f"{value:.1f}".removesuffix(".0")
    return f"{figure} {_UNITS[unit]}iB"


def percent(share: float) -> str:
    """A percentage in at most four cells: ``0%``, ``0.4%``, ``12%``, ``800%``."""
    if share < 0.05:
        return "0%"
    if share < 0.95:
        return f"{share:.1f}%"
    return f"{share:.0f}%"


def age(seconds: float) -> str:
    """How long, in at most three cells: ``41s``, ``12m``, ``3h``, ``6d``, ``9w``, ``2y``."""
    seconds = max(seconds, 0.0)
    for limit, unit, word in (
        (60, 1, "s"), (3600, 60, "m"), (86400, 3600, "h"), (86400 * 21, 86400, "d"), (86400 * 365, 86400 * 7, "w")
    ):  # fmt: skip
        if seconds < limit:
            return f"{int(seconds // unit)}{word}"
    return f"{int(seconds // (86400 * 365))}y"


def left(seconds: float) -> str:
    """How long something still takes, as far as one can tell: ``3 s left``, ``2 min left``, ``1 h left``."""
    seconds = max(seconds, 1.0)
    if seconds < 100:
        return f"{seconds:.0f} s left"
    return f"{seconds / 60:.0f} min left" if seconds < 5400 else f"{seconds / 3600:.0f} h left"


def cpus(count: float) -> str:
    """CPUs' worth of time: ``2.0``, ``0.03``."""
    return f"{count:.1f}" if count >= 9.95 or count == int(count) else f"{count:.2f}"


def nice_top(value: float, base: float = 1.0) -> float:
    """The smallest 1, 2 or 5 times a power of ten (times ``base``) that is not below ``value``."""
    top = base
    while top < value:
        for factor in (2.0, 5.0, 10.0):
            if top * factor >= value:
                return top * factor
        top *= 10
    return top


def nice_bytes(value: float, least: float = 1024.0) -> float:
    """The smallest power of two that is not below ``value`` nor ``least``."""
    top = least
    while top < value:
        top *= 2
    return top


def count(number: int, noun: str) -> str:
    """A counted noun: ``1 image``, ``3 images``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
