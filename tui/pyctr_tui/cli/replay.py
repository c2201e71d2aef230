"""``replay``: play a recording of a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_tui.cli.call import Call
from pyctr_tui.cli.options import Grammar, Option

if TYPE_CHECKING:
    from collections.abc import Sequence

_REPLAY = Grammar(
    "replay",
    "FILE",
    "Play what `exec --record` or the interface recorded (asciicast v2). Space pauses, + and - change the speed.",
    Option("-s, --speed", "So many times as fast", "FACTOR"),
    Option("-i, --idle", "Pauses last so many seconds at most; 2 by default", "SECONDS"),
    least=1,
    most=1,
)


def replay(call: Call, words: Sequence[str]) -> int:
    """``replay``."""
    from pyctr_tui.replay import play
    from pyctr_tui.terminal import asciicast

    parsed = _REPLAY.parse(words)
    numbers = {}
    for name, least in (("speed", 1.0), ("idle", 0.0)):
        text = parsed.value(name)
        try:
            numbers[name] = float(text) if text else least
        except ValueError:
            numbers[name] = -1.0
        if not 0 <= numbers[name] < 1e6 or (name == "speed" and not numbers[name]):
            raise _REPLAY.error(f"--{name}: {text!r} is not a sensible number", "give one like 2 or 0.5")
    header, events = asciicast.read(parsed.arguments[0])
    return play(header, events, numbers["speed"], numbers["idle"])
