"""Textual's parser of what a terminal sends, but for Esc and a key: they are the same bytes as Alt and that key."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from textual import events
from textual._xterm_parser import XTermParser

ESC = "\x1b"
LONGER = frozenset("[O" + ESC)
"""What follows Esc in longer sequences: whether one comes, Textual's parser waits to see."""
EDITING = frozenset({"alt+b", "alt+f", "alt+d", "alt+backspace"})
"""Word by word, as in any line that is typed."""


class Parser(XTermParser):
    """Esc and a key typed quickly, or brought together by a slow line, are two keys, unless Alt and it are bound.

    Textual's takes them for the key alone where that has a name (``:``, Enter), for Option's character where it is a
    digit, and else for Alt and the key, so that an Esc was lost in each case.
    """

    def __init__(self, means: Callable[[str], bool], debug: bool = False) -> None:
        super().__init__(debug)
        self._means = means

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[events.Key]:
        if not alt and (len(sequence) != 2 or sequence[0] != ESC or sequence[1] in LONGER):
            yield from super()._sequence_to_key_events(sequence)
            return
        for key in super()._sequence_to_key_events(sequence[-1]):
            name = key.key
            if len(name) == 1 and name.isupper():
                name = f"shift+{name.lower()}"
            name = f"alt+{name}"
            if name in EDITING or self._means(name):
                yield events.Key(name, key.character)
            else:
                yield events.Key("escape", ESC)
                yield key
