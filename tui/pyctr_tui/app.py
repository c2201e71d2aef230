"""The way in: looks at the terminal, posts the guardian, and only then imports what is heavy."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyctr_engine.engine import Engine


def run_app(engine: Engine, stack: str | None = None) -> int:
    """Open the interface on ``engine`` and return its exit code when it is left.

    ``stack`` names the stack to select first. Raises Unsupported when there is no terminal to draw on.
    """
    from pyctr_tui.terminal.abilities import depth, is_ascii, refusal

    reason = refusal(os.environ, sys.stdin.isatty(), sys.stdout.isatty(), sys.stderr.isatty())
    if reason is not None:
        from pyctr_engine.errors import Unsupported

        raise Unsupported(*reason)
    from pyctr_tui.terminal.guardian import Guardian

    guardian = Guardian(sys.stderr.fileno())
    guardian.start()
    try:
        # Read by Textual when it is imported: how long a lone Esc waits for the rest of a sequence, milliseconds.
        os.environ.setdefault("ESCDELAY", "25")
        from pyctr_tui.feed import Feed

        sys.setswitchinterval(0.001)  # a key waits that long for a thread that is busy, not five times as long
        gc.set_threshold(20_000, 20, 50)
        feed = Feed(engine)
        feed.start()  # the first reading is made while Textual is imported
        from pyctr_tui.application import Application
        from pyctr_tui.settings.settings import Settings

        settings = Settings.load()
        application = Application(engine, stack, depth(), is_ascii(), feed=feed, settings=settings)
        code = application.run(mouse=settings.value("mouse"))
        left_in_order = application.return_code in (0, None)
    finally:
        guardian.dismiss()
    if code is None:
        return 0 if left_in_order else 1
    if code == 0:
        running = sum(container.is_up for container in application.store.containers)
        if running:
            who = "1 container goes" if running == 1 else f"{running} containers go"
            sys.stdout.write(f"{who} on; `pyctr-tui` shows them again.\n")
    return code
