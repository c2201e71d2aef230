"""Record a tour of the interface as an asciicast: ``python -m screenshots.tour``; `pyctr-tui replay` plays it.

As the pictures are taken of a real session, so is this recorded of one: the example stacks on a terminal of the
script's own, driven by keys at a pace that can be followed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench.tui.terminal import Terminal
from tests.e2e.tmux import program

from pyctr_tui.terminal.asciicast import Recorder
from screenshots.take import HERE, change_something, killed, session

COLUMNS, ROWS = 120, 36
BETWEEN_KEYS = 0.15
ENTER, ESCAPE, LEFT, RIGHT, CTRL_U, END = "\r", "\x1b", "\x1b[D", "\x1b[C", "\x15", "\x1b[1;5F"


@dataclass(frozen=True, slots=True)
class Step:
    """Keys, what has to be on the screen then, and seconds to look at it."""

    keys: tuple[str, ...]
    until: str
    look: float = 2.0


STEPS = (
    Step((*"jjjj",), "limits-breath-1 ·", 4.0),
    Step(("4", *[LEFT] * 10), "Esc leaves it"),
    Step((ENTER,), "at ", 3.0),
    Step((ENTER, ESCAPE, "1"), "Containers"),
    Step(("M",), "Limits of", 1.0),
    Step(("\x1b[1;5A", "\x1b[1;5A"), "update", 3.0),
    Step((ESCAPE, ":", *"shop", ENTER, "5"), "shop ·", 2.5),
    Step(("&", *"no luck", ENTER), "& no luck", 3.0),
    Step((ESCAPE, "/", *"luck", ENTER, "n"), "luck", 2.5),
    Step((ESCAPE, "1", "/", *"state:exited", ENTER), "exit 0"),
    Step((ESCAPE, ":", *"hello-worker-1", ENTER, "x"), "/data/result-", 2.0),
    Step(("C",), "become one new layer", 2.0),
    Step((CTRL_U, *"worker:tour", ENTER), "worker:tour", 3.0),
    Step(("1", "f"), "Layers of hello-worker-1", 2.0),
    Step(("x", "G", RIGHT), "changes", 2.5),
    Step((ESCAPE, "S"), "Plan of", 2.0),
    Step(("e",), "F5 apply", 2.0),
    Step((END, ENTER, *"spring: 1"), "attribute spring", 3.0),
    Step((ESCAPE, "y"), "Plan of", 1.0),
    Step(("v",), "Events", 2.0),
    Step(("P",), "CAN GO", 2.0),
    Step(("1", "e"), "every key is its own", 1.5),
    Step((*"ls -l --color /", ENTER), "usr", 2.5),
    Step(("\x1d", "r", *"date", ENTER), "UTC", 2.0),
    Step(("\x1d", "r"), "recorded: ", 2.5),
    Step(("\x1d", "d"), "it runs on", 2.0),
    Step(("1", ":", *"catalogue", ENTER, "4", "z"), "its last lines", 4.0),
    Step(("z",), "Containers", 1.0),
    Step(("1", "?"), "Keys in", 3.0),
    Step((ESCAPE,), "Containers", 1.0),
)


class Watched(Terminal):
    """The bench's terminal, with what it shows recorded."""

    recorder: Recorder

    def _show(self, data: bytes) -> None:
        self.recorder.output(data)
        super()._show(data)


def main() -> int:
    """Record it."""
    parser = argparse.ArgumentParser(prog="python -m screenshots.tour", description=main.__doc__)
    parser.add_argument("--into", type=Path, default=HERE / "tour.cast", help="the recording to write")
    parser.add_argument("--past", type=float, default=45.0, help="seconds that the graphs get to fill")
    asked = parser.parse_args()
    if os.geteuid():
        sys.exit("a tour is of real containers, which needs root")
    with session() as (paths, engine), killed(engine):
        os.environ |= {"PYCTR_STATE_DIR": paths.state, "PYCTR_RUN_DIR": paths.run, "HOME": paths.state}
        time.sleep(asked.past)
        change_something(engine)
        asked.into.unlink(missing_ok=True)
        Watched.recorder = Recorder(str(asked.into), COLUMNS, ROWS, "a tour of pyctr-tui")
        terminal = Watched((program(),), COLUMNS, ROWS)
        try:
            terminal.wait(lambda: "shop" in terminal.text() and "breath-1" in terminal.text())
            time.sleep(2)
            for step in STEPS:
                for key in step.keys:
                    terminal.press(key)
                    time.sleep(BETWEEN_KEYS)
                terminal.wait(lambda step=step: step.until in terminal.text())  # type: ignore[misc]
                time.sleep(step.look)
            terminal.press("q")
            time.sleep(1)
        finally:
            terminal.close()
            Watched.recorder.close()
    lines = [json.dumps(json.loads(line), ensure_ascii=False) for line in asked.into.read_text().splitlines()]
    asked.into.write_text("\n".join(lines) + "\n")  # a braille cell in three bytes instead of six
    os.chmod(asked.into, 0o644)
    print(f"{asked.into}: {asked.into.stat().st_size >> 10} KB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
