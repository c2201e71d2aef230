"""What a command printed, to read over nearly the whole screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_tui.dialogs.dialog import Dialog
from pyctr_tui.panes.viewer import ViewerPane

if TYPE_CHECKING:
    from textual import events


class OutputDialog(Dialog[None]):
    """Shows bytes as a text; the moving keys scroll."""

    def __init__(self, heading: str, data: bytes, whole: bool) -> None:
        self._viewer = ViewerPane("output")
        self._shown = (heading, data, whole)
        super().__init__(self._viewer)

    def on_mount(self) -> None:
        """Show them."""
        super().on_mount()
        self._viewer.show_bytes(*self._shown)

    def wanted_size(self, width: int, height: int) -> tuple[int, int]:
        """All but a margin."""
        return max(width - 4, 1), max(height - 2, 1)

    def key(self, event: events.Key) -> None:
        """Scroll, or close."""
        page, far = self._viewer.page, 1 << 30
        steps = {
            "down": 1, "j": 1, "up": -1, "k": -1, "pagedown": page, "space": page, "pageup": -page, "g": -far,
            "home": -far, "G": far, "end": far, "ctrl+d": page // 2, "ctrl+u": -page // 2,
        }  # fmt: skip
        if event.key in steps:
            self._viewer.move(steps[event.key])
        elif event.key in ("left", "h", "right", "l"):
            self._viewer.shift(8 if event.key in ("right", "l") else -8)
        else:
            super().key(event)
