"""What a layer may hold at most, whoever made it."""

from __future__ import annotations

import os
import re

from pyctr_engine.errors import ImageFormatError, InvalidValue
from pyctr_engine.record import dataclass

VARIABLE = "PYCTR_LAYER_LIMITS"
HINT = f"if you trust it: {VARIABLE}=size=256g,entries=5000000,path=16384,ratio=5000 (any of these, 0 for no limit)"

FREE = 1 << 30
"""Bytes that may come out of any compressed stream: a bomb is what goes on after them."""

_UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one layer, or of one archive of images.

    Attributes:
        size: Bytes when decompressed, and bytes of its files, holes included.
        entries: Files, directories and so on.
        path: Bytes of a path.
        ratio: How many bytes may come out of a compressed one, after `FREE`.
    """

    size: int = 64 << 30
    entries: int = 1_000_000
    path: int = 16384
    ratio: int = 500


def limits() -> Limits:
    """The limits that hold: PYCTR_LAYER_LIMITS over the defaults. Raises InvalidValue."""
    text = os.environ.get(VARIABLE, "")
    given: dict[str, int] = {}
    for item in filter(None, text.split(",")):
        name, _, value = item.strip().partition("=")
        match = re.fullmatch(r"(\d{1,18})([kmgt]?)", value.lower())
        if name not in Limits.__match_args__ or not match:
            raise InvalidValue(
                f"{VARIABLE} can't be read at {item!r}", "it looks like size=64g,entries=1000000,path=16384,ratio=500"
            )
        given[name] = int(match[1]) << _UNITS[match[2]] or 1 << 62
    return Limits(**given)


class Meter:
    """Watches what goes into a decompressor and what comes out."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._fed = 0
        self._made = 0

    def feed(self, size: int) -> None:
        """``size`` compressed bytes go in."""
        self._fed += size

    def make(self, size: int) -> None:
        """``size`` bytes come out; raises ImageFormatError when they are too many."""
        self._made += size
        if self._made > self._limits.size:
            raise ImageFormatError(f"the archive holds more than {self._limits.size} bytes", HINT)
        if self._made > max(FREE, self._fed * self._limits.ratio):
            raise ImageFormatError(f"the archive unpacks to more than {self._limits.ratio} times its size", HINT)
