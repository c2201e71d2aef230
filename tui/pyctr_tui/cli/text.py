"""Text for people: harmless on a terminal, times, ages and sizes as docker writes them."""

from __future__ import annotations

import os
import time

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def harmless(text: str) -> str:
    """Outside text as one line that can do nothing to a terminal but stand there."""
    if text.isascii() and text.isprintable():
        return text
    from pyctr_tui.safe_text import safe

    return safe(text)


def harmless_line(text: str) -> str:
    """As `harmless`, for a line that a program printed: tabs stay, and colours unless NO_COLOR says otherwise."""
    if text.isascii() and text.isprintable():
        return text
    import re

    parts = re.split(r"(\x1b\[[0-9;:]*m)", text.rstrip("\r"))
    colours = parts[1::2] if not os.environ.get("NO_COLOR") else [""] * (len(parts) // 2)
    plain = ["\t".join(harmless(piece) for piece in part.split("\t")) for part in parts[::2]]
    line = "".join(piece + colour for piece, colour in zip(plain, [*colours, ""], strict=True))
    return line + "\x1b[0m" if any(colours) else line


def size(count: float, units: tuple[str, ...] = _DECIMAL, base: int = 1000, digits: int = 3) -> str:
    """Bytes as docker's lists show them: ``0B``, ``1.13kB``, ``124MB``."""
    value = float(max(count, 0))
    unit = 0
    while value >= base and unit < len(units) - 1:
        value /= base
        unit += 1
    return f"{value:.{digits}g}{units[unit]}" if value < 1000 else f"{value:.0f}{units[unit]}"


def binary_size(count: float) -> str:
    """Bytes as docker's stats show memory: ``38.2MiB``."""
    return size(count, _BINARY, 1024, 4)


def duration(seconds: float) -> str:
    """How long, in docker's words: ``41 seconds``, ``About an hour``, ``3 weeks``."""
    if seconds < 1:
        return "Less than a second"
    minutes, hours, days = seconds // 60, round(seconds / 3600), seconds / 86400
    if seconds < 60:
        return _counted(seconds, "second")
    if minutes == 1:
        return "About a minute"
    if minutes < 46:
        return _counted(minutes, "minute")
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return _counted(hours, "hour")
    if days < 14:
        return _counted(days, "day")
    if days < 60:
        return _counted(days // 7, "week")
    if days < 730:
        return _counted(days // 30, "month")
    return _counted(days // 365, "year")


def ago(then: float | None, now: float) -> str:
    """How long ago ``then`` (seconds since the epoch) was; ``N/A`` when unknown, as 0 is in reproducible images."""
    return "N/A" if not then else f"{duration(now - then)} ago"


def date(moment: float | None) -> str:
    """A moment as docker's lists write it, in local time: ``2026-01-31 13:05:00 +0100 CET``."""
    return "N/A" if not moment else time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(moment))


def timestamp(moment: float) -> str:
    """RFC 3339 in UTC with nanoseconds, as docker's logs and events write it."""
    whole = int(moment)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{int((moment - whole) * 1e9):09d}Z"


def _counted(count: float, noun: str) -> str:
    return f"{int(count)} {noun}" if int(count) == 1 else f"{int(count)} {noun}s"
