"""The settings: every one with its value, where that comes from, and what it means; changed in place."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rich.segment import Segment

from pyctr_tui import glyphs
from pyctr_tui.keymap import key_name
from pyctr_tui.pages.page import Page
from pyctr_tui.panes.listing import ListPane
from pyctr_tui.safe_text import safe
from pyctr_tui.settings.table import SETTINGS, Setting
from pyctr_tui.widgets.draw import Line, cells, fit_tail, gap

if TYPE_CHECKING:
    from pyctr_tui.screens.home import HomeScreen
    from pyctr_tui.settings.settings import Settings

NAME, VALUE, DEFAULT, FROM = 13, 18, 9, 15
"""Cells of the columns."""
WIDE = 96
"""Columns from which there is room for what each setting means beside it."""
FROM_WORDS = {"default": "default", "chosen": "chosen here", "file": "the file", "session": "until you quit"}


class SettingsPane(ListPane[Setting]):
    """One setting a line; below, what the selected one means, and what is wrong in the file."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(id="settings")
        self.settings = settings
        self.items = SETTINGS

    def key(self, item: Setting) -> str:
        """Its name."""
        return item.name

    @property
    def page(self) -> int:
        """How many are in sight over what stands below."""
        return max(1, self.inner_size[1] - 1 - self._below(self.inner_size[1]))

    def _below(self, height: int) -> int:
        """Lines under the list."""
        wanted = 4 + min(len(self.settings.problems), 6) + bool(self.settings.problems)
        return min(wanted, max(height - 6, 0))

    def title(self) -> Line:
        """Where the file is."""
        return [Segment("Settings", self.palette.strong if self.has_focus else self.palette.dim)]

    def subtitle(self) -> Line:
        """How many mistakes there are."""
        wrong = len(self.settings.problems)
        if wrong:
            return [Segment(f"{wrong} wrong in the file", self.palette.warn)]
        return [Segment("Space changes · e opens the file", self.palette.dim)]

    def header(self, width: int) -> Line:
        """The columns' names."""
        dim = self.palette.dim
        line = [gap(1), cells("SETTING", NAME, dim), cells("VALUE", VALUE, dim), cells("DEFAULT", DEFAULT, dim)]
        line += [cells("FROM", FROM, dim), gap(2)]
        return [*line, Segment("MEANING", dim)] if width >= WIDE else line

    def draw(self, item: Setting, width: int) -> Line:
        """One setting."""
        palette, value, source = self.palette, self.settings.value(item.name), self.settings.source(item.name)
        default = item.text(item.default)
        set_now = value != item.default
        text = item.text(value)
        line: Line = [
            gap(1),
            cells(item.name, NAME, palette.strong if set_now else palette.text),
            cells(safe(text), VALUE - 1, palette.accent if set_now else palette.text),
            gap(1),
            cells(default, DEFAULT, palette.faint if set_now else palette.dim),
            cells(FROM_WORDS[source], FROM, palette.dim if source == "default" else palette.text),
            gap(2),
        ]
        if width >= WIDE:
            line.append(cells(item.help, max(width - NAME - VALUE - DEFAULT - FROM - 4, 1), palette.dim))
        return line

    def paint(self, width: int, height: int) -> list[Line]:
        """The list, and what stands below it."""
        lines = super().paint(width, height)
        below = self._below(height)
        own = self._own(width)
        if own and height - below - len(lines) > 2:
            lines += [[], *own[: height - below - len(lines) - 2]]
        lines += [[] for _ in range(height - below - len(lines))]
        return [*lines[: height - below], *self._notes(width)[:below]]

    def _own(self, width: int) -> list[Line]:
        """What stands in the file alone: own keys, commands and themes, a line each."""
        palette = self.palette
        rows: list[tuple[str, str, str]] = []
        for action, keys in self.settings.value("keys").items():
            rows.append(("key", action, " ".join(map(key_name, keys)) or "none"))
        for object, commands in self.settings.value("commands").items():
            rows += [(object, command.name, command.template) for command in commands]
        for name, theme in self.settings.value("themes").items():
            colours = " ".join(f"{role} {colour}" for role, colour in theme.colours.items())
            rows.append(("theme", name, f"{theme.base} {glyphs.DOT} {colours}"))
        return [
            [
                gap(1),
                cells(kind, NAME, palette.faint),
                cells(safe(name), VALUE - 1, palette.text),
                gap(1),
                cells(safe(said), max(width - NAME - VALUE - 2, 1), palette.dim),
            ]
            for kind, name, said in rows
        ]

    def _notes(self, width: int) -> list[Line]:
        palette = self.palette
        lines: list[Line] = [[Segment(glyphs.BAR_REST * width, palette.frame)]]
        item = self.selected
        if item is not None:
            lines.append([gap(1), cells(item.help, width - 2, palette.text)])
            choices = " ".join(item.choices)
            if item.kind == "bool":
                choices = "on off"
            elif not item.is_simple:
                choices = "set in the file · Enter opens it"
            lines.append([gap(1), cells(choices, width - 2, palette.dim)])
        shown = safe(_home_short(self.settings.path)) or "no file"
        lines.append(
            [gap(1), Segment("file ", palette.faint), Segment(fit_tail(shown, max(width - 7, 1)), palette.dim)]
        )
        if self.settings.problems:
            lines.append([])
        for problem in self.settings.problems[:6]:
            lines.append([
                gap(1),
                Segment(f"{glyphs.WARNING} ", palette.warn),
                cells(_short(problem, self.settings.path), max(width - 4, 1), palette.text),
            ])  # fmt: skip
        return lines


def _short(problem: str, path: str) -> str:
    """A mistake with the file's bare name: its path stands above."""
    return problem.replace(safe(path), safe(os.path.basename(path)), 1)


def _home_short(path: str) -> str:
    home = os.path.expanduser("~")
    return "~" + path[len(home) :] if home != "/" and path.startswith(home + "/") else path


class SettingsPage(Page):
    """One list."""

    cli = "settings check"

    def __init__(self, home: HomeScreen) -> None:
        super().__init__(home)
        self.list = SettingsPane(home.application.settings)
        self.panes = (self.list,)

    def opened(self) -> None:
        """Show them as they are."""
        self.list.repaint()

    def action_open(self) -> None:
        """The next value; what is set in the file alone opens the file."""
        self.action_change_setting()

    def action_change_setting(self) -> None:
        """The next value, at once."""
        item = self.list.selected
        if item is None:
            return
        if item.kind == "columns":
            self.home.lists.action_columns()
            return
        if not item.is_simple:
            self.action_edit_settings()
            return
        now = self.application.settings.value(item.name)
        choices: tuple[object, ...] = (False, True) if item.kind == "bool" else item.choices
        if item.name == "theme":
            choices = self.application.themes.names
        if item.name == "theme" and len(choices) == 1:
            self.home.notify_line("the terminal's own colours: it has too few for themes", "warn")
            return
        value = choices[(choices.index(now) + 1) % len(choices)] if now in choices else choices[0]
        said = self.application.configured.choose(item.name, value)
        self.list.repaint()
        self.home.notify_line(f"{item.name}: {item.text(value)}" + (f" · {said}" if said else ""))

    def action_reset_setting(self) -> None:
        """Forget what was chosen here: the file's word, or the default."""
        item = self.list.selected
        if item is None or self.application.settings.source(item.name) not in ("chosen", "session"):
            self.home.notify_line("nothing was chosen here for it")
            return
        self.application.configured.forget(item.name)
        self.list.repaint()
        self.home.notify_line(f"{item.name}: {item.text(self.application.settings.value(item.name))} again")

    def action_edit_settings(self) -> None:
        """Open the file in the user's editor, and read it again."""
        from pyctr_tui.terminal import host

        path = self.application.settings.path
        if not path:
            self.home.notify_line("there is no file: these are the defaults", "warn")
            return
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        except OSError as error:
            self.home.notify_line(f"{safe(path)}: {(error.strerror or 'error').lower()}", "bad")
            return
        said, tone = host.run(self.application, (*host.editor(os.environ), path), "the editor")
        if tone == "good":
            self.application.configured.read_again()
            self.list.repaint()
        else:
            self.home.notify_line(said, tone)
