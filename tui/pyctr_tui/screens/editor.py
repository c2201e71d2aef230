"""The stack editor: a stack file checked as it is typed, the error at its place, the plan beside it.

The text area is Textual's own: undo, selections, words and lines are well kept there. Its colours are ours.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.geometry import NULL_OFFSET, NULL_SPACING, Region, Size
from textual.layout import Layout, WidgetPlacement
from textual.screen import Screen
from textual.widgets import TextArea
from textual.widgets.text_area import TextAreaTheme

from pyctr_engine.errors import InvalidStack
from pyctr_engine.record import dataclass
from pyctr_tui import glyphs
from pyctr_tui.actions.stacks import StackActions, told
from pyctr_tui.dialogs.confirm import ConfirmDialog
from pyctr_tui.figures import count
from pyctr_tui.panes.plan import draw_action
from pyctr_tui.safe_text import safe
from pyctr_tui.saved_file import saved_file
from pyctr_tui.widgets.draw import Line, cells, fill, gap, spread
from pyctr_tui.widgets.pane import Pane

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual import events
    from textual.widget import Widget

    from pyctr_engine.engine import Engine
    from pyctr_engine.model.stack import Action, Stack
    from pyctr_tui.application import Application
    from pyctr_tui.details import Answer
    from pyctr_tui.palette import Palette

REST = 0.25
"""Seconds after the last key before the text is checked."""
NARROW = 90
"""Columns below which the plan stands under the text."""
PLACE = re.compile(r"(.*?):(\d+):(\d+): ")
KEY = re.compile(r"^(\s*(?:- )?)([\w.\-/\"']+)(:)(?=\s|$)")
COMMENT = re.compile(r"(?:^|\s)#.*$")
VARIABLE = re.compile(r"\$\{[^}]*\}|\$\w+")
UNDERLINE = Style(underline=True)
NEW = """\
name: new
services:
  web:
    image: pyctr/base
    command: python3 -m http.server
"""


@dataclass(frozen=True, slots=True)
class _Checked:
    """What came of checking a text, as the stack of that name (empty: the file's own)."""

    number: int
    name: str | None
    stack: Stack | None = None
    actions: tuple[Action, ...] = ()
    error: str = ""
    hint: str = ""


class _Yaml(TextArea):
    """The text, its keys, comments and variables in colours, and the place of an error underlined."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("alt+b", "cursor_word_left", show=False),
        Binding("alt+f", "cursor_word_right", show=False),
        Binding("alt+d", "delete_word_right", show=False),
        Binding("ctrl+home", "to_the_start", show=False),
        Binding("ctrl+end", "to_the_end", show=False),
    ]

    def __init__(self, text: str, palette: Palette) -> None:
        super().__init__(text, id="yaml", show_line_numbers=True, tab_behavior="indent", soft_wrap=False)
        self.indent_width = 2
        self._colours = palette
        self.problem: tuple[int, int] | None = None
        self.register_theme(
            TextAreaTheme(
                name="ours",
                base_style=palette.base,
                gutter_style=palette.base + palette.faint,
                cursor_style=palette.base + palette.badge,
                cursor_line_style=palette.selected_away,
                cursor_line_gutter_style=palette.base + palette.dim,
                selection_style=palette.selected,
            )
        )
        self.theme = "ours"
        for state in ("", "_hover", "_active"):
            for part, style in (("color", palette.frame), ("background", palette.base)):
                colour = style.color if part == "color" else style.bgcolor
                if colour is not None:
                    setattr(self.styles, f"scrollbar_{part}{state}", Color.from_rich_color(colour))

    def get_line(self, line_index: int) -> Text:
        """A line in its colours."""
        line = super().get_line(line_index)
        palette, text = self._colours, line.plain
        if found := KEY.match(text):
            line.stylize(palette.accent, *found.span(2))
            line.stylize(palette.dim, *found.span(3))
        for variable in VARIABLE.finditer(text):
            line.stylize(palette.edge["memory"], *variable.span())
        if comment := COMMENT.search(text):
            line.stylize(palette.dim, *comment.span())
        if self.problem is not None and self.problem[0] == line_index:
            start = min(self.problem[1], max(len(text) - 1, 0))
            line.stylize(palette.bad + UNDERLINE, start, len(text) or 1)
        return line

    def action_to_the_start(self) -> None:
        """Put the cursor where the text begins."""
        self.move_cursor((0, 0))

    def action_to_the_end(self) -> None:
        """Put the cursor where the text ends."""
        self.move_cursor(self.document.end)

    def show_problem(self, place: tuple[int, int] | None) -> None:
        """Underline from a place (line and column, from 0) to the line's end."""
        if place != self.problem:
            self.problem = place
            self._line_cache.clear()
            self.refresh()


class _PlanPane(Pane, can_focus=False):
    """What `up` would do with the text as it is, or what is wrong with it."""

    def __init__(self) -> None:
        super().__init__(id="editor-plan")
        self.actions: tuple[Action, ...] = ()
        self.warnings: tuple[str, ...] = ()
        self.error = ""
        self.hint = ""
        self.name_of = ""
        self.checking = True

    def title(self) -> Line:
        """Of which stack."""
        return [Segment(f"Plan of {self.name_of}" if self.name_of else "Plan", self.palette.strong)]

    def subtitle(self) -> Line:
        """How many things would change."""
        if self.error:
            return []
        many = sum(action.kind != "keep" for action in self.actions)
        return [Segment(count(many, "change") if many else "nothing to do", self.palette.dim)]

    def paint(self, width: int, height: int) -> list[Line]:
        """Actions, then warnings; or the error with its hint."""
        palette = self.palette
        if self.error:
            from textwrap import wrap

            lines: list[Line] = [[]]
            lines += [[gap(1), Segment(text, palette.bad)] for text in wrap(self.error, max(width - 2, 10))]
            lines += [[gap(1), Segment(text, palette.dim)] for text in wrap(self.hint, max(width - 2, 10))]
            return lines
        lines = [draw_action(action, width, palette) for action in self.actions]
        if self.warnings:
            lines.append([])
            lines += [[gap(1), cells(f"{glyphs.WARNING} {text}", width - 2, palette.warn)] for text in self.warnings]
        if not lines:
            lines = [[gap(1), Segment(f"checking {glyphs.ELLIPSIS}" if self.checking else "nothing", palette.faint)]]
        return lines


class _StateLine(Pane, can_focus=False):
    """Keys, or what is to be said."""

    def __init__(self) -> None:
        super().__init__(framed=False, id="editor-state")
        self.said: tuple[str, str] | None = None
        self.aside = ""

    def say(self, text: str, tone: str = "dim") -> None:
        """Say something until the next key."""
        self.said = (text, tone) if text else None
        self.repaint()

    def paint(self, width: int, height: int) -> list[Line]:
        """One line."""
        palette = self.palette
        if self.said is not None:
            return [fill([gap(1), Segment(self.said[0], getattr(palette, self.said[1]))], width)]
        line: Line = []
        keys = (
            ("Ctrl+S", "save"), ("F5", "apply"), ("F8", "to the error"), ("F4", "your editor"), ("Esc", "close")
        )  # fmt: skip
        for key, word in keys:
            line += [Segment(f" {key}", palette.accent), Segment(f" {word} ", palette.dim)]
        return [spread(line, [Segment(self.aside + " ", palette.dim)], width)]


class _EditorLayout(Layout):
    name = "editor"

    def arrange(
        self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True
    ) -> list[WidgetPlacement]:
        """A title, text and plan beside or above each other, a last line."""
        width, body = size.width, max(size.height - 2, 1)
        if width >= NARROW:
            left = width * 6 // 10
            regions = {"yaml": Region(0, 1, left, body), "editor-plan": Region(left, 1, width - left, body)}
        else:
            upper = max(body * 2 // 3, min(body, 6))
            regions = {"yaml": Region(0, 1, width, upper)}
            if body > upper:
                regions["editor-plan"] = Region(0, 1 + upper, width, body - upper)
        regions["editor-title"] = Region(0, 0, width, 1)
        regions["editor-state"] = Region(0, size.height - 1, width, 1)
        return [
            WidgetPlacement(regions[child.id], NULL_OFFSET, NULL_SPACING, child)
            for child in children
            if child.id in regions
        ]


class _TitleLine(Pane, can_focus=False):
    def __init__(self, path: str) -> None:
        super().__init__(framed=False, id="editor-title")
        self.path = path
        self.changed = False

    def paint(self, width: int, height: int) -> list[Line]:
        palette = self.palette
        mark = [Segment("  changed", palette.warn)] if self.changed else []
        return [
            fill([Segment(" edit ", palette.badge), Segment(f" {safe(self.path)}", palette.strong), *mark], width)
        ]


class EditorScreen(Screen[bool], inherit_bindings=False):
    """Edits one file. Its answer is whether the stack was applied.

    ``stack`` is the name under which the file was brought up, if it was; it stays that stack's, as with ``-p``, when
    the file's own name is another.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "save", priority=True),
        Binding("f4", "own_editor", priority=True),
        Binding("f5", "apply", priority=True),
        Binding("f8", "to_the_problem", priority=True),
        Binding("escape", "close", priority=True),
    ]

    CSS = """
    EditorScreen { background: ansi_default; }
    EditorScreen TextArea { border: none; padding: 0; scrollbar-size: 0 1; }
    """
    ALLOW_SELECT = False

    def __init__(self, application: Application, path: str, text: str | None, stack: str = "") -> None:
        super().__init__()
        self.application = application
        self.path = path
        self._known_as = stack
        self._given: str | None = None if stack else ""
        self._on_disk = text
        self._saved = text = NEW if text is None else text
        self.yaml = _Yaml(text, application.palette)
        self.plan_pane = _PlanPane()
        self.state = _StateLine()
        self.heading = _TitleLine(path)
        self._editor_layout = _EditorLayout()
        self._stack: Stack | None = None
        self._applying = False
        self._checks = 0

    @property
    def layout(self) -> Layout:
        """Ours."""
        return self._editor_layout

    def compose(self) -> ComposeResult:
        """Title, text, plan, state."""
        yield from (self.heading, self.yaml, self.plan_pane, self.state)

    def on_mount(self) -> None:
        """Check at once, and whenever the text rests."""
        self.yaml.focus()
        self._rest = self.set_timer(REST, self._check, pause=True)
        self._check()

    def on_resize(self, event: events.Resize) -> None:
        """The terminal has another size."""
        for pane in (self.heading, self.plan_pane, self.state):
            pane.repaint()

    # -- checking -----------------------------------------------------------------------------------------------

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """Check when it has come to rest."""
        if self.state.said is not None and (self._applying or self.yaml.text != self._saved):
            self.state.say("")
        self._applying = False
        changed = self.yaml.text != self._saved
        if changed != self.heading.changed:
            self.heading.changed = changed
            self.heading.repaint()
        self._rest.stop()
        self._rest = self.set_timer(REST, self._check)

    def on_text_area_selection_changed(self, event: TextArea.SelectionChanged) -> None:
        """Say where the cursor is."""
        row, column = self.yaml.cursor_location
        self.state.aside = f"{row + 1}:{column + 1}"
        self.state.repaint()

    def _check(self) -> None:
        engine, path, text, given = self.application.engine, self.path, self.yaml.text, self._given
        saved, known_as = self._saved, self._known_as
        number = self._checks = self._checks + 1

        def work() -> _Checked:
            name = _other_name(engine, path, saved, known_as) if given is None else given
            try:
                stack = engine.check_stack(path, text, name)
            except InvalidStack as error:
                return _Checked(number, name, error=error.message, hint=error.hint)
            return _Checked(number, name, stack, tuple(engine.plan(stack)))

        self.application.details.call("editor", work, self._checked)

    def _checked(self, answer: Answer) -> None:
        if not self.is_attached:
            return
        pane = self.plan_pane
        pane.checking = False
        found: _Checked = answer.value or _Checked(self._checks, self._given, error=answer.error)
        self._given, self._stack = found.name, found.stack
        place = PLACE.match(found.error)
        if place and os.path.abspath(place.group(1)) != os.path.abspath(self.path):
            place = None  # it is in another file, as .env
        if found.error:
            pane.error = safe(found.error[place.end() :] if place else found.error)
            pane.hint = safe(found.hint)
        else:
            pane.error = pane.hint = ""
        if found.stack is not None:
            pane.name_of = safe(found.stack.name)
            pane.actions = found.actions
            pane.warnings = tuple(safe(PLACE.sub("", text, count=1)) for text in found.stack.warnings)
        self.yaml.show_problem((int(place.group(2)) - 1, int(place.group(3)) - 1) if place else None)
        if place:
            pane.error = f"line {place.group(2)}, column {place.group(3)}: {pane.error}"
        pane.repaint()
        if self._applying and found.number == self._checks:
            self._applying = False
            self.state.say("")
            self._ask_to_apply()

    # -- keys ---------------------------------------------------------------------------------------------------

    def action_to_the_problem(self) -> None:
        """Put the cursor where the error is."""
        if self.yaml.problem is None:
            self.state.say("there is no error", "good")
        else:
            self.yaml.move_cursor(self.yaml.problem, center=True)

    def action_save(self) -> None:
        """Write the file."""
        self._save()

    def _save(self, then: Callable[[], object] | None = None) -> None:
        """Write the file, after asking when it holds what was not read or written here; then go on."""
        if self._is_as_read():
            self._write(then)
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._write(then)

        lines = [f"{safe(self.path)} was changed by somebody else since it was read.", "", "What they wrote goes."]
        self.app.push_screen(ConfirmDialog("Write over it?", lines, "write"), answered)

    def _is_as_read(self) -> bool:
        """Whether the file holds what was read or written here last, or is gone."""
        try:
            found = _read(self.path)
        except (OSError, ValueError):  # no text any more; or writing will say why it can't be
            return False
        return found is None or found == self._on_disk

    def _write(self, then: Callable[[], object] | None) -> None:
        """Aside, then in its place, with its mode."""
        text = self.yaml.text
        try:
            with saved_file(self.path) as file:
                file.write(text.encode())
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or safe(str(error)) or "error"
            self.state.say(f"can't write {safe(self.path)}: {reason.lower()}", "bad")
            return
        self._saved = self._on_disk = text
        self.heading.changed = False
        self.heading.repaint()
        self.state.say(f"saved {safe(self.path)}", "good")
        if then is not None:
            then()

    def action_own_editor(self) -> None:
        """Save, and go on in the user's own editor; then read what that has written."""
        if self.yaml.text == self._on_disk:
            self._edit_outside()
        else:
            self._save(self._edit_outside)

    def _edit_outside(self) -> None:
        from pyctr_tui.terminal import host

        argv = (*host.editor(os.environ), os.path.abspath(self.path))
        said, tone = host.run(self.application, argv, "the editor")
        try:
            text = _read(self.path)
        except (OSError, ValueError) as error:
            said, tone = f"can't read {safe(self.path)}: {safe(str(error))}", "bad"
        else:
            if text is not None and text != self.yaml.text:
                self._saved = self._on_disk = text
                place = self.yaml.cursor_location
                self.yaml.load_text(text)
                self.yaml.move_cursor(place)
                self.heading.changed = False
                self.heading.repaint()
        self.state.say("" if tone == "good" else said, tone)
        self._check()

    def action_apply(self) -> None:
        """Save, and bring the stack up as the plan says, after asking; the plan is made anew for that."""
        self._applying = True
        self.state.say(f"checking {glyphs.ELLIPSIS}")
        self._rest.stop()
        self._check()

    def _ask_to_apply(self) -> None:
        stack, pane = self._stack, self.plan_pane
        if stack is None or pane.error:
            self.state.say("mend the error first · F8 goes there", "warn")
            return
        changes = [action for action in pane.actions if action.kind != "keep"]
        if not changes:
            self.state.say("everything is as the file says", "good")
            return
        cli = f"up{f' -p {safe(self._given)}' if self._given else ''} {safe(self.path)}"

        def answered(yes: bool | None) -> None:
            if yes:
                self._save(self._up)

        self.app.push_screen(ConfirmDialog(f"Apply {safe(stack.name)}?", told(changes), "apply", cli=cli), answered)

    def _up(self) -> None:
        StackActions(self.application.home).up(self.path, self._given or "")
        self.dismiss(True)

    def action_close(self) -> None:
        """Leave, after asking when something is not saved."""
        if self.yaml.text == self._saved:
            self.dismiss(False)
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.dismiss(False)

        lines = [f"What was changed in {safe(self.path)} is not saved.", "", "Ctrl+S saves it."]
        self.app.push_screen(ConfirmDialog("Close without saving?", lines, "drop it"), answered)


def edit(application: Application, path: str, stack: str = "") -> None:
    """Open the editor on the file of a stack; one that isn't there begins with an example.

    What it says in case of an unreadable file goes to the home screen.
    """
    try:
        text = _read(path)
    except (OSError, ValueError) as error:  # no text, or no path: NUL, half a surrogate pair
        application.home.notify_line(f"can't read {safe(path)}: {safe(str(error))}", "bad", 12.0)
        return
    application.push_screen(EditorScreen(application, path, text, stack))


def _read(path: str) -> str | None:
    """What is in a file; ``None`` when there is none. Raises OSError, ValueError."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _other_name(engine: Engine, path: str, text: str, stack: str) -> str:
    """The name that must be said for the file to be that stack's; empty where its own is the same."""
    try:
        return "" if engine.check_stack(path, text).name == stack else stack
    except InvalidStack:
        return stack
