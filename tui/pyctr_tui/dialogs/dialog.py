"""A dialog: one framed pane in the middle of the screen, over the panes, which go on living."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.geometry import NULL_OFFSET, NULL_SPACING, Region, Size
from textual.layout import Layout, WidgetPlacement
from textual.screen import ModalScreen

from pyctr_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from textual import events
    from textual.widget import Widget

Result = TypeVar("Result")


class _Centred(Layout):
    name = "centred"

    def arrange(
        self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True
    ) -> list[WidgetPlacement]:
        """The pane in the middle, at the size it asks for."""
        assert isinstance(parent, Dialog)
        width, height = parent.wanted_size(size.width, size.height)
        width, height = min(width, size.width), min(height, size.height)
        region = Region((size.width - width) // 2, max(0, (size.height - height) * 2 // 5), width, height)
        return [WidgetPlacement(region, NULL_OFFSET, NULL_SPACING, child) for child in children]


class Dialog(ModalScreen[Result], inherit_bindings=False):
    """Shows a `Pane` and gives it the keys. Subclasses make the pane and handle `on_key`."""

    CSS = "Dialog { overflow: hidden hidden; }"
    ALLOW_SELECT = False

    def __init__(self, pane: Pane) -> None:
        super().__init__()
        self.pane = pane
        self._centred = _Centred()
        self._answered = False

    @property
    def layout(self) -> Layout:
        """Ours."""
        return self._centred

    def wanted_size(self, width: int, height: int) -> tuple[int, int]:
        """Cells the pane would like, frame included, on a screen of this size."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """The pane."""
        yield self.pane

    def on_mount(self) -> None:
        """Give it the focus."""
        self.pane.focus()

    async def on_key(self, event: events.Key) -> None:
        """Keys are the dialog's; none reaches the panes below, and the one that suspends does so here too."""
        event.stop()
        event.prevent_default()
        application: Any = self.app
        if not application.suspends(event.key, event.character):
            self.key(event)

    def key(self, event: events.Key) -> None:
        """Take a key."""
        if event.key in ("escape", "q", "ctrl+c"):
            self.dismiss(None)

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """Close it with an answer, once: a key that was typed before it was off the screen changes nothing."""
        if self._answered:
            return AwaitComplete()
        self._answered = True
        return super().dismiss(result)

    def on_click(self, event: events.Click) -> None:
        """A click beside the pane closes it."""
        if not self.pane.region.contains(event.screen_x, event.screen_y):
            event.stop()
            self.dismiss(None)
