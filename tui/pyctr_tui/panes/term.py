"""Tab 9: terminals in the selected container. While one is typed into, every key is its program's but Ctrl+]."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

from pyctr_tui.panes.tabbed import TabPane
from pyctr_tui.panes.term_drawing import hints, overlay, session_tabs, tab_under
from pyctr_tui.terminal.cells import CURSOR, draw_row, lay_over
from pyctr_tui.terminal.tabs import Tab, Tabs
from pyctr_tui.widgets.draw import Line
from pyctr_tui.widgets.line_edit import LineEdit

if TYPE_CHECKING:
    from textual import events
    from textual.timer import Timer

    from pyctr_tui.application import Application
    from pyctr_tui.terminal.copymode import CopyMode
    from pyctr_tui.view import ContainerView

Mode = Literal["", "typing", "prefix", "copy", "search"]
QUICK_FRAME, BUSY_FRAME = 0.016, 0.066
"""Seconds between two paintings while little is written, and while a flood is."""
MUCH = 4096
"""Bytes since the last painting that make a flood."""
LOOK_SECONDS = 4.0
"""How often the engine is asked which sessions there are, while the pane is in sight."""
WHEEL = 3


class TermPane(TabPane):
    """The sessions of the selected container, one of them in sight.

    Attributes:
        ref: The container's id; empty when none is selected.
        mode: Whose the keys are: the lists' (empty), the program's, or what follows Ctrl+].
        copy: What is looked back at in copy mode.
    """

    tab = "term"

    def __init__(self, application: Application) -> None:
        super().__init__(id="term")
        self.application = application
        self.store = application.store
        self.tabs = Tabs(application)
        self.tabs.changed = self._changed
        self.tabs.gone = self._gone
        self.ref = ""
        self.scope = "term"
        self.mode: Mode = ""
        self.copy: CopyMode | None = None
        self.edit = LineEdit()
        self._ahead: list[tuple[str, str | None]] = []
        self._painted = 0.0
        self._timer: Timer | None = None
        self._cache: dict[int, Line] = {}
        self._cached: tuple[object, ...] = ()
        self._seen = 0
        self._drag: tuple[int, int] | None = None

    def on_mount(self) -> None:
        """Look from time to time for sessions that others opened."""
        self.set_interval(LOOK_SECONDS, self.look)

    @property
    def current(self) -> Tab | None:
        """The session in sight."""
        return self.tabs.current(self.ref) if self.ref else None

    @property
    def container(self) -> ContainerView | None:
        """The container."""
        return self.store.by_id.get(self.ref)

    # -- what is selected ---------------------------------------------------------------------------------------

    def show_subject(self, ref: str) -> None:
        """Look at another container."""
        if ref != self.ref:
            self.ref = ref
            self.copy = None
            if self.mode:
                self.set_mode("")
            self.look()
        self.repaint()

    def look(self) -> None:
        """Ask which sessions there are, if that can be seen."""
        one = self.container
        if self.shown and self.is_mounted and one is not None and one.state.can_exec:
            self._ask(one)

    def _ask(self, one: ContainerView, enter: bool = False, fresh: bool = False) -> None:
        engine, details = self.application.engine, self.application.details

        def answered(answer: object) -> None:
            error, value = answer.error, answer.value  # type: ignore[attr-defined]
            if not error:
                self.tabs.listed(one.id, one.name, value)
            if enter and self.ref == one.id:
                self._entered(one, error, fresh)

        details.call("sessions entered" if enter else "sessions", lambda: engine.sessions(one.id), answered, one.id)

    # -- going in and out ---------------------------------------------------------------------------------------

    def enter(self, one: ContainerView, fresh: bool = True) -> None:
        """Type into the container's session; into a new shell when it has none, if it may be a ``fresh`` one."""
        self.show_subject(one.id)
        current = self.current
        if current is not None and not current.is_alive:
            if not fresh:
                return
            self.tabs.forget(current)
            current = self.current
        if current is not None:
            self.tabs.choose(current)
            self.set_mode("typing")
            return
        if fresh:
            self.set_mode("typing")
        self._ask(one, enter=True, fresh=fresh)

    def _entered(self, one: ContainerView, error: str, fresh: bool) -> None:
        """The engine has said which sessions there are: come back to the newest, or open one."""
        if error:
            self.set_mode("")
            self.application.home.notify_line(error, "bad")
            return
        current = self.current
        if not fresh and (current is None or self.application.home.focus_name != "term"):
            return
        if current is not None:
            self.tabs.choose(current)
            if not self.mode:
                self.set_mode("typing")
        else:
            current = self.tabs.open(one)
        for key, character in self._ahead:
            current.key(key, character)
        self._ahead.clear()

    def set_mode(self, mode: Mode) -> None:
        """Change whose the keys are."""
        if mode in ("", "typing"):
            self.copy = None
        if not mode:
            self._ahead.clear()
        self.mode = mode
        self.application.home.footer.show_typing(mode)
        self.repaint()

    def watch_has_focus(self, focused: bool) -> None:
        """Keys are the program's only while the pane has the focus; a dialog over it gives it back."""
        if not focused and self.mode and self.app.screen is self.screen:
            self.set_mode("")
        current = self.current
        if current is not None and current.emulator.modes.focus:
            current.send(b"\x1b[I" if focused else b"\x1b[O")
        super().watch_has_focus(focused)

    # -- painting -----------------------------------------------------------------------------------------------

    def _changed(self, tab: Tab | None) -> None:
        """Something is to be drawn: now, or when the last painting was long enough ago."""
        if tab is not None and tab is not self.current:
            return
        if tab is not None and not tab.is_alive and self.mode:
            self.set_mode("")
            self.application.home.notify_line(tab.said, "good" if tab.exit_code == 0 else "warn")
        if self._timer is not None:
            return
        pause = BUSY_FRAME if tab is not None and tab.fresh_bytes > MUCH else QUICK_FRAME
        wait = self._painted + pause - time.monotonic()
        if wait <= 0 or not self.is_mounted:
            self._paint_now()
        else:
            self._timer = self.set_timer(wait, self._paint_now)

    def _gone(self, tab: Tab) -> None:
        """With its last session the pane gives the keys back."""
        if tab.container == self.ref and self.current is None and self.mode:
            self.set_mode("")

    def _paint_now(self) -> None:
        self._timer = None
        self._painted = time.monotonic()
        self.repaint()

    def subtitle(self) -> Line:
        """The sessions, one a tab."""
        one = self.container
        tabs = self.tabs.of(self.ref) if one is not None else []
        return session_tabs(self.palette, tabs, self.current, max(self.size.width - 8, 8))

    def paint(self, width: int, height: int) -> list[Line]:
        """The screen of the session in sight, or how to get one."""
        bar = 0 if self.framed else 1
        rows = max(height - bar, 1)
        self.tabs.size = (width, rows)
        tab = self.current
        if tab is None:
            return hints(self.palette, self.container, self.mode == "typing")
        tab.resize(width, rows)
        tab.dirty, tab.fresh_bytes = False, 0
        head: list[Line] = [] if self.framed else [session_tabs(self.palette, self.tabs.of(self.ref), tab, width)]
        body = self._copied(width, rows) if self.copy is not None else self._live(tab, width, rows)
        over = overlay(self.palette, tab, self.mode, self.copy, self.edit, width)[:rows]
        return [*head, *body[: rows - len(over)], *over]

    def _live(self, tab: Tab, width: int, rows: int) -> list[Line]:
        emulator = tab.emulator
        key = (tab, width, rows, emulator.is_reversed, emulator.is_alternate, self.palette.name)
        if key != self._cached:
            self._cached, self._seen = key, 0
            self._cache.clear()
        self._seen, dirty = emulator.observe(self._seen)
        grid, cache = emulator.rows(), self._cache
        for y in range(min(rows, len(grid))) if dirty is None else dirty:
            if y < rows:
                cache[y] = draw_row(grid[y], width, emulator.is_reversed)
        lines = [cache.get(y, []) for y in range(rows)]
        cursor = emulator.cursor
        if cursor.visible and tab.is_alive and cursor.y < rows:
            style = CURSOR if self.mode == "typing" and self.has_focus else self.palette.selected_away
            wide = 2 if cursor.x + 1 < width and grid[cursor.y][cursor.x + 1][1] == "" else 1
            lines[cursor.y] = lay_over(lines[cursor.y], cursor.x, cursor.x + wide, style)
        return lines

    def _copied(self, width: int, rows: int) -> list[Line]:
        copy = self.copy
        assert copy is not None
        copy.resize(max(rows - 1, 1))
        lines = []
        for y in range(copy.top, min(copy.top + copy.height, len(copy.rows))):
            line = draw_row(copy.rows[y], width)
            if span := copy.span(y):
                line = lay_over(line, *span, self.palette.selected + self.palette.strong)
            if y == copy.y:
                line = lay_over(line, copy.x, copy.x + 1, CURSOR)
            lines.append(line)
        return lines + [[] for _ in range(rows - len(lines))]

    def thumb(self, height: int) -> tuple[int, int] | None:
        """Where copy mode looks."""
        copy = self.copy
        if copy is None or len(copy.rows) <= copy.height:
            return None
        scale = height / len(copy.rows)
        return int(copy.top * scale), min(height - 1, int((copy.top + copy.height) * scale))

    # -- keys ---------------------------------------------------------------------------------------------------

    async def on_key(self, event: events.Key) -> None:
        """While it is typed into, no key is anybody else's."""
        if not self.mode:
            return
        event.stop()
        event.prevent_default()
        if self.mode == "typing":
            self._type(event.key, event.character)
        elif self.mode == "prefix":
            self.application.home.terminal_actions.prefixed(event.key, event.character)
        elif self.mode == "search":
            self._search_key(event.key, event.character)
        else:
            self._copy_key(event.key, event.character)

    def _type(self, key: str, character: str | None) -> None:
        home, tab = self.application.home, self.current
        if home.footer.notice is not None:
            home.footer.show_notice("")
        if key == "ctrl+right_square_bracket":
            self.set_mode("prefix")
        elif tab is not None:
            tab.key(key, character)
        else:
            self._ahead.append((key, character))

    def on_paste(self, event: events.Paste) -> None:
        """Paste into the program; several lines only after asking when they would be taken for typed ones."""
        tab = self.current
        if self.mode == "search":
            event.stop()
            self.edit.insert(event.text)
            self.repaint()
        elif self.mode and tab is not None:
            event.stop()
            self.application.home.terminal_actions.paste(tab, event.text)

    # -- copy mode ----------------------------------------------------------------------------------------------

    def look_back(self, by: int = 0) -> None:
        """Copy mode."""
        tab = self.current
        if tab is None:
            return
        if self.copy is None:
            from pyctr_tui.terminal.copymode import CopyMode

            self.copy = CopyMode(tab.emulator, max(self.tabs.size[1] - 1, 1))
        self.mode = "copy"
        self.application.home.footer.show_typing("copy")
        if by:
            self.copy.scroll(by)
        self.repaint()

    def _copy_key(self, key: str, character: str | None) -> None:
        copy = self.copy
        assert copy is not None
        outcome = copy.key(key, character)
        if outcome == "leave":
            self.set_mode("typing")
        elif outcome == "copy":
            self.application.home.terminal_actions.copy(copy.selected())
            self.set_mode("typing")
        elif outcome == "search":
            self.edit = LineEdit("", "text")
            self.mode = "search"
        self.repaint()

    def _search_key(self, key: str, character: str | None) -> None:
        copy = self.copy
        assert copy is not None
        if key in ("escape", "ctrl+c", "enter"):
            self.mode = "copy"
            if key == "enter":
                copy.search(self.edit.value)
        else:
            self.edit.key(key, character)
        self.repaint()

    # -- the mouse ----------------------------------------------------------------------------------------------

    def _cell(self, event: events.MouseEvent) -> tuple[int, int] | None:
        """The emulator's cell under the mouse."""
        width, height = self.tabs.size
        x, y = (event.x - 1, event.y - 1) if self.framed else (event.x, event.y - 1)
        return (x, y) if 0 <= x < width and 0 <= y < height else None

    def _to_program(self, event: events.MouseEvent, button: int, what: str) -> bool:
        """Give it to the program, if that asked for the mouse and Shift isn't held."""
        tab, cell = self.current, self._cell(event)
        if self.mode != "typing" or tab is None or cell is None or event.shift or tab.connection is None:
            return False
        if not tab.emulator.wants_mouse and not (button >= 64 and tab.emulator.scrolls_by_keys()):
            return False
        event.stop()
        held = {name for name, on in (("meta", event.meta), ("ctrl", event.ctrl)) if on}
        tab.emulator.mouse(*cell, button, what, held)
        return True

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """The program's, or the beginning of a selection."""
        if not self._to_program(event, max(event.button - 1, 0), "press"):
            self._drag = self._cell(event) if event.button == 1 else None

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """The program's; else what was selected stays selected: y copies it."""
        self._drag = None
        self._to_program(event, max(event.button - 1, 0), "release")

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """The program's, or a selection."""
        if self._to_program(event, max(event.button - 1, 0), "move") or self._drag is None or not event.button:
            return
        cell = self._cell(event)
        if cell is None or (cell == self._drag and self.copy is None):
            return
        if self.copy is None:
            self.look_back()
        copy = self.copy
        if copy is not None:
            if copy.anchor is None:
                copy.anchor = self._drag[0], copy.top + self._drag[1]
            copy.x, copy.y = cell[0], min(copy.top + cell[1], len(copy.rows) - 1)
            self.repaint()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The program's, or back into what scrolled away."""
        if not self._to_program(event, 64, "press") and self.current is not None:
            self.look_back(-WHEEL)
            assert self.copy is not None
            self.copy.y = self.copy.top

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The program's, or forward again; at the end copy mode is left."""
        if self._to_program(event, 65, "press") or self.copy is None:
            return
        self.copy.y = self.copy.top + self.copy.height - 1
        self.copy.scroll(WHEEL)
        if self.copy.at_end and self.copy.anchor is None:
            self.set_mode("typing" if self.has_focus else "")
        self.repaint()

    def on_click(self, event: events.Click) -> None:
        """A click on a session's name shows it, one into the screen types there."""
        row = self.size.height - 1 if self.framed else 0
        tabs = self.tabs.of(self.ref)
        if event.y == row and tabs:
            line = session_tabs(self.palette, tabs, self.current, max(self.size.width - 8, 8))
            found = tab_under(line, tabs, event.x, self.size.width if self.framed else 0)
            if found is not None:
                self.tabs.choose(found)
        elif self._cell(event) is not None and not self.mode and self.current is not None and self.current.is_alive:
            self.tabs.choose(self.current)
            self.set_mode("typing")
        else:
            super().on_click(event)
