"""``pyctr-tui replay``: an interface that plays one recording, with the terminal and the manners of the big one."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyctr_tui.terminal.asciicast import Event, Header


def play(header: Header, events: Sequence[Event], speed: float, idle: float) -> int:
    """Play a recording on our terminal until it is left. Raises Unsupported when there is none to draw on."""
    from pyctr_tui.terminal.abilities import depth, is_ascii, refusal

    reason = refusal(os.environ, sys.stdin.isatty(), sys.stdout.isatty(), sys.stderr.isatty())
    if reason is not None:
        from pyctr_engine.errors import Unsupported

        raise Unsupported(*reason)
    from pyctr_tui.terminal.guardian import Guardian

    guardian = Guardian(sys.stderr.fileno())
    guardian.start()
    try:
        os.environ.setdefault("ESCDELAY", "25")
        from textual.app import App

        from pyctr_tui.dialogs.replay import ReplayDialog
        from pyctr_tui.palette import palette, themes
        from pyctr_tui.terminal.driver import Driver, adopt

        depth_ = depth()

        class ReplayApp(App[int], inherit_bindings=False):
            """One dialog on an empty screen."""

            ENABLE_COMMAND_PALETTE = False
            CSS = "Screen { background: ansi_default; } Dialog { background: transparent; }"

            def __init__(self) -> None:
                super().__init__(driver_class=Driver, ansi_color=depth_ != "true")
                adopt(self, depth_, is_ascii())
                self.palette = palette(themes(depth_)[0], depth_)

            def on_mount(self) -> None:
                """Play at once."""
                self.app_resume_signal.subscribe(self, lambda _: self.refresh(layout=True))
                self.push_screen(ReplayDialog(header, events, speed, idle), lambda _: self.exit(0))

            def suspends(self, key: str, character: str | None) -> bool:
                """See `Application.suspends`."""
                if key == "ctrl+z":
                    self.action_suspend_process()
                return key == "ctrl+z"

        return ReplayApp().run() or 0
    finally:
        guardian.dismiss()
