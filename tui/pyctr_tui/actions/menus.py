"""Menus: all that can be done to what is selected, and to many at once; and the pane as plain text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pyctr_tui.actions.actions import Actions
from pyctr_tui.dialogs.command_palette import MOVES
from pyctr_tui.dialogs.menu import Item, MenuDialog
from pyctr_tui.figures import count
from pyctr_tui.home_layout import TABS
from pyctr_tui.keymap import EVERYWHERE, Command
from pyctr_tui.query import parse
from pyctr_tui.view import ContainerView

UNNAMED = (
    *MOVES, "pane", "tab", "menu", "mark", "mark_all", "mark_others", "mark_none", "next_match", "previous_match",
    "filter", "sort", "columns", "running", "collapse", "expand", "grow", "zoom", "show_all", "bulk",
)  # fmt: skip
"""Actions that are no use in a menu."""

SHOWN = 8
"""Names that are told when asking."""


class MenuActions(Actions):
    """Ways to actions other than their keys."""

    def action_menu(self) -> None:
        """All actions for what is selected here, by name."""
        home = self._home
        seen: set[str] = set()
        items = []
        for command in home.application.keymap.of(home.focus_name):
            plain = command.action.partition(" ")[0]
            if command.scopes == EVERYWHERE or plain in UNNAMED or command.label in seen:
                continue
            seen.add(command.label)
            key = command.keys[0] if command.keys else ""
            items.append(Item(command.label, command.help, key, self._doing(command)))
        container, stack = home.containers.container, home.containers.stack
        about = container.name if container else stack.name if stack else home.focus_name
        if home.selection.shows_image and (image := home.selection.image) is not None:
            about = image.label
        elif home.page is not None:
            about = home.page.custom_object()[0] or home.focus_name
        self._open(about, items)

    def _doing(self, command: Command) -> Callable[[], object]:
        return lambda: self._home.do(command)

    def _open(self, heading: str, items: Sequence[Item]) -> None:
        from pyctr_tui.safe_text import safe

        self._home.app.push_screen(MenuDialog(safe(heading), items), self._chosen)

    @staticmethod
    def _chosen(call: Callable[[], object] | None) -> None:
        if call is not None:
            call()

    def action_bulk(self) -> None:
        """What can be done to many containers at once."""
        containers = self._home.store.containers
        up = [one for one in containers if one.is_up]
        down = [one for one in containers if not one.is_up]
        items = [
            Item("stop all", f"the {len(up)} that run, after asking", "s", self._asking(up, "stops", "start_stop")),
            Item("start all", f"the {len(down)} that don't", "a", self._to(down, "start_stop")),
            Item(
                "restart all", f"the {len(up)} that run, after asking", "r", self._asking(up, "restarts", "restart")
            ),
            Item("remove stopped", f"the {len(down)} that don't run, after asking", "d", self._to(down, "remove")),
            Item("prune", "see what is not used, and remove it", "p", lambda: self._home.action_view("disk")),
        ]
        self._open("Many at once", items)

    def _asking(self, targets: Sequence[ContainerView], word: str, action: str) -> Callable[[], None]:
        """The same after a yes: one key too many shall not stop a whole host."""
        do = self._to(targets, action)

        def ask() -> None:
            names = [one.name for one in targets[:SHOWN]]
            if len(targets) > SHOWN:
                names.append(f"and {len(targets) - SHOWN} more")
            self._confirm(f"{word.capitalize()} {count(len(targets), 'container')}", names, word, do)

        return ask if targets else do

    def _to(self, targets: Sequence[ContainerView], action: str) -> Callable[[], None]:
        def do() -> None:
            home = self._home
            if not targets:
                home.notify_line("there are none")
                return
            before, home.store.marks = home.store.marks, {one.id for one in targets}
            try:
                home.handler(action)()
            finally:
                home.store.marks = before & home.store.by_id.keys()
                home.containers.repaint()

        return do

    def action_show_all(self) -> None:
        """All containers again."""
        self._home.store.query, self._home.store.running_only = parse(""), False
        self._home.containers.update_rows()

    def action_tab(self, by: str) -> None:
        """The next tab, or the one before."""
        home = self._home
        home.action_pane(TABS[(TABS.index(home.tab) + int(by)) % len(TABS)])

    def action_copy_mode(self) -> None:
        """The focused pane as plain text over the whole screen."""
        home = self._home
        if home.zoomed or home.page is not None:
            self._plain(zoomed=False)
            return
        home.action_zoom()
        home.call_after_refresh(lambda: home.call_after_refresh(lambda: self._plain(zoomed=True)))

    def _plain(self, zoomed: bool) -> None:
        from pyctr_tui.screens.plain import PlainScreen

        home = self._home

        def back(_: None) -> None:
            if zoomed and home.zoomed:
                home.action_zoom()

        home.app.push_screen(PlainScreen(home.application, home.pane_of(home.focus_name).text_lines()), back)
