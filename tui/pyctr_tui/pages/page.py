"""What a page is: one or more panes, where they stand, and when they look again."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.geometry import Region

if TYPE_CHECKING:
    from pyctr_tui.jobs import Job
    from pyctr_tui.screens.home import HomeScreen
    from pyctr_tui.settings.table import Object
    from pyctr_tui.widgets.pane import Pane

SIDE_BY_SIDE = 100
"""Columns from which two panes stand beside each other."""


class Page:
    """Subclasses make ``panes`` and say what they show. Methods ``action_…`` are what the keymap's commands name.

    Attributes:
        panes: The first has the focus when the page is opened. Their ids are the keymap's scopes.
        cli: The command line that shows the same, for the footer.
    """

    cli: ClassVar[str] = ""

    def __init__(self, home: HomeScreen) -> None:
        self.home = home
        self.application = home.application
        self.store = home.store
        self.panes: tuple[Pane, ...] = ()

    def arrange(self, width: int, height: int) -> dict[str, Region]:
        """Where the panes stand in a body of this size (its upper left is 0, 0): beside each other, or stacked."""
        if len(self.panes) == 1:
            return {str(self.panes[0].id): Region(0, 0, width, height)}
        first, second = self.panes
        if width >= SIDE_BY_SIDE:
            left = width * 45 // 100
            return {str(first.id): Region(0, 0, left, height), str(second.id): Region(left, 0, width - left, height)}
        upper = height * 45 // 100
        if upper < 6:
            focused = second if self.home.focus_name == second.id else first
            return {str(focused.id): Region(0, 0, width, height)}
        return {str(first.id): Region(0, 0, width, upper), str(second.id): Region(0, upper, width, height - upper)}

    def ring(self) -> tuple[str, ...]:
        """Ids of the panes that Tab goes through."""
        return tuple(str(pane.id) for pane in self.panes)

    def opened(self) -> None:
        """It is shown, for the first time or again: ask the engine for what it shows."""

    def refreshed(self) -> None:
        """The store has changed while it is shown (at most once a second): paint what depends on it."""

    def moved(self, pane: Pane) -> None:
        """The cursor of one of its lists stands elsewhere."""

    def job_changed(self, job: Job) -> None:
        """A job has begun, come further or ended while it is shown."""

    def custom_object(self) -> tuple[str, Object]:
        """The name and kind of what is selected, for the user's own commands; no name where there are none for it."""
        return "", "volume"

    def back(self) -> bool:
        """Esc: undo the nearest thing; ``False`` when there is none and the page is to be left."""
        return False
